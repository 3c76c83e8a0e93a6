//! Whether this machine reaches a pool's engines, as a manager on it would have to. That the manager
//! reaches them is what it says of its nodes itself.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use swarm_engine::{EngineAddress, PLAIN_PORT};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::node::text;
use super::super::verdict::Level;
use super::Seen;

/// For one connection.
const DEADLINE: Duration = Duration::from_secs(3);
/// Connections at a time.
const AT_ONCE: usize = 64;

pub(super) async fn look(nodes: &Value, seen: &mut Seen) {
    let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
    let mut reached = 0;
    for some in nodes.chunks(AT_ONCE) {
        let tried = some.iter().map(|node| async move {
            let address = text(&node["Status"]["Addr"]);
            let failure = try_one(&address).await.err();
            (text(&node["Spec"]["Name"]), text(&node["Status"]["State"]), address, failure)
        });
        for (name, state, address, failure) in join_all(tried).await {
            let Some(failure) = failure else {
                reached += 1;
                continue;
            };
            // Of one that is down the manager has told already.
            if state == "ready" {
                let what = format!(
                    "the manager reaches node {name}, this machine does not reach {address}: {failure}"
                );
                let todo = "a manager here would need a way to it: look at routes and firewalls";
                seen.find(Level::Warning, what, todo);
            }
        }
    }
    if !nodes.is_empty() {
        seen.fact(format!("this machine reaches {reached} of {} nodes", nodes.len()));
    }
    let mut versions: Vec<_> = nodes
        .iter()
        .map(|node| text(&node["Description"]["Engine"]["EngineVersion"]))
        .filter(|version| !version.is_empty())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    if !versions.is_empty() {
        seen.fact(format!("engines are of version {}", versions.join(", ")));
    }
}

async fn try_one(address: &str) -> Result<(), String> {
    let parsed = EngineAddress::parse(address, PLAIN_PORT).map_err(|error| error.to_string())?;
    let connecting = async {
        match &parsed {
            EngineAddress::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
            EngineAddress::Tcp { host, port } => {
                TcpStream::connect((host.as_str(), *port)).await.map(drop)
            }
        }
    };
    match timeout(DEADLINE, connecting).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEADLINE:?}")),
    }
}
