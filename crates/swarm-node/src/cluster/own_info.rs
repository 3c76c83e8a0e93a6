//! `GET /info` as another manager gave it, with this node's own part in the swarm in it: a client that
//! asks who answers means the node that it asked.

use std::collections::BTreeMap;

use http::header::CONTENT_LENGTH;
use serde_json::value::{RawValue, to_raw_value};
use swarm_backend::{ApiError, Reply, Result, empty, full, read_whole};

use crate::info::SwarmInfo;

/// A pool of thousands of engines has a megabyte of rows.
const LARGEST: usize = 64 << 20;

/// Puts `own` into a reply; one that is no success stays as it is.
pub(super) async fn with_own(mut reply: Reply, own: &SwarmInfo) -> Result<Reply> {
    if !reply.status.is_success() {
        return Ok(reply);
    }
    let unread = |error: serde_json::Error| {
        ApiError::system(format!("the leader's answer to /info is no JSON: {error}"))
    };
    let told = read_whole(std::mem::replace(&mut reply.body, empty()), LARGEST).await?;
    let mut info: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&told).map_err(unread)?;
    info.insert("Swarm".to_owned(), to_raw_value(own).map_err(unread)?);
    reply.headers.remove(CONTENT_LENGTH);
    reply.body = full(serde_json::to_vec(&info).map_err(unread)?);
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use super::*;

    async fn told(status: StatusCode, body: &Value) -> Value {
        let own = SwarmInfo { node_id: "own".to_owned(), ..SwarmInfo::default() };
        let mut reply = Reply::json(status, body.to_string());
        reply.headers.insert(CONTENT_LENGTH, 1.into());
        let reply = with_own(reply, &own).await.unwrap();
        assert_eq!(reply.headers.contains_key(CONTENT_LENGTH), !status.is_success());
        serde_json::from_slice(&read_whole(reply.body, LARGEST).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_asked_node_s_part_takes_the_leader_s_place() {
        let leaders =
            json!({"NCPU": 8, "Swarm": {"NodeID": "leader"}, "SystemStatus": [["a", "b"]]});
        let info = told(StatusCode::OK, &leaders).await;
        assert_eq!(info["Swarm"]["NodeID"], "own");
        assert_eq!((&info["NCPU"], &info["SystemStatus"]), (&json!(8), &leaders["SystemStatus"]));
        let refused = json!({"message": "no"});
        assert_eq!(told(StatusCode::SERVICE_UNAVAILABLE, &refused).await, refused);
    }
}
