//! `GET /swarm/ways`, this program's own: whether this node and the swarm's managers reach each other, each
//! asked on its own machine. For `swarm doctor`, which judges it.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use swarm_agent::Dial as _;
use swarm_ca::Role;
use swarm_rpc::v1::ways_client::WaysClient;
use swarm_rpc::v1::{WayEnd, WaysReply, WaysRequest};
use tokio::time::timeout;
use tonic::Code;

use super::Member;

/// How long a manager may take: it connects to all others, for five seconds each at most, at once.
const LOOK: Duration = Duration::from_secs(8);

/// The way from one node to a manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Way {
    /// Who would go it.
    pub from: End,
    /// The manager; nothing is known of one that did not answer but its address.
    pub to: End,
    /// `HOST:PORT`.
    pub addr: String,
    /// In words; empty where it was gone.
    pub failure: String,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct End {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub hostname: String,
}

impl From<Option<WayEnd>> for End {
    fn from(end: Option<WayEnd>) -> Self {
        let WayEnd { id, hostname } = end.unwrap_or_default();
        Self { id, hostname }
    }
}

impl Member {
    /// All ways to managers, from here and from each manager that is reached.
    pub(crate) async fn ways(&self) -> Vec<Way> {
        let own = (self.role() == Role::Manager).then(|| self.kept.lock().advertise.to_string());
        let managers = self.managers_known();
        let others = managers.iter().filter(|address| own.as_ref() != Some(address));
        let found = join_all(others.map(|address| self.ways_by(address))).await;
        found.into_iter().flatten().collect()
    }

    /// The way to this manager, and those that it tells of.
    async fn ways_by(&self, address: &str) -> Vec<Way> {
        let (reply, failure) = match self.ask_ways(address).await {
            Ok(reply) => (reply, String::new()),
            Err(failure) => (WaysReply::default(), failure),
        };
        let (addr, asked) = (address.to_owned(), End::from(reply.from));
        let here = End { id: self.node_id.to_string(), hostname: String::new() };
        let mut ways = vec![Way { from: here, to: asked.clone(), addr, failure }];
        ways.extend(reply.ways.into_iter().map(|way| Way {
            from: asked.clone(),
            to: way.to.into(),
            addr: way.address,
            failure: way.failure,
        }));
        ways
    }

    async fn ask_ways(&self, address: &str) -> Result<WaysReply, String> {
        let channel = self.way.channel(address).await.map_err(|error| error.to_string())?;
        let asking = async { WaysClient::new(channel).look(WaysRequest {}).await };
        match timeout(LOOK, asking).await {
            Ok(Ok(reply)) => Ok(reply.into_inner()),
            // It was reached; one of an older version does not tell whom it reaches itself.
            Ok(Err(status)) if status.code() == Code::Unimplemented => Ok(WaysReply::default()),
            Ok(Err(status)) => Err(format!("{address}: {}", status.message())),
            Err(_) => Err(format!("{address}: no answer within {LOOK:?}")),
        }
    }
}
