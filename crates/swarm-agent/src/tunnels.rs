//! Connections between the leader and this node's own engine, which has no address for it: each is asked
//! for by the leader, dialled to it by this node, and copied.
//!
//! Invariants: only the manager of this session is dialled, proven to be one; all end with the session;
//! how many there are is bounded; what is not opened is told, with the reason.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swarm_engine::{EngineClient, Raw};
use swarm_rpc::preamble::{self, TunnelId};
use swarm_rpc::v1::OpenTunnel;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::session::dial::Dial;

/// As many as the leader asks for at most.
const MOST: usize = 512;
/// How long reaching the engine, or the leader, may take: the leader does not wait longer.
const REACH: Duration = Duration::from_secs(3);

/// How long the leader may take to let go of a connection that the engine has ended. It keeps none that
/// says nothing more, so this is for one that hangs.
const LINGER: Duration = Duration::from_secs(30);

/// The tunnels of one session; dropped, they end.
pub(crate) struct Tunnels {
    engine: EngineClient,
    dial: Arc<dyn Dial>,
    leader: String,
    open: JoinSet<()>,
}

impl Tunnels {
    pub(crate) fn new(engine: EngineClient, dial: Arc<dyn Dial>, leader: String) -> Self {
        Self { engine, dial, leader, open: JoinSet::new() }
    }

    /// Opens one.
    pub(crate) fn open(&mut self, wanted: &OpenTunnel) {
        while self.open.try_join_next().is_some() {}
        let Some(id) = read(&wanted.id) else {
            tracing::warn!("the leader asks for a tunnel without an id");
            return;
        };
        let many = self.open.len() >= MOST;
        let (engine, dial) = (self.engine.clone(), Arc::clone(&self.dial));
        let leader = self.leader.clone();
        self.open.spawn(async move {
            if let Err(why) = tunnel(&engine, &*dial, &leader, &id, many).await {
                tracing::debug!(leader, why, "a tunnel to the engine");
            }
        });
    }
}

fn read(id: &Bytes) -> Option<TunnelId> {
    Some(TunnelId(<[u8; 32]>::try_from(&**id).ok()?))
}

async fn tunnel(
    engine: &EngineClient,
    dial: &dyn Dial,
    leader: &str,
    id: &TunnelId,
    many: bool,
) -> Result<(), String> {
    let reached = async {
        if many {
            return Err(format!("it has {MOST} connections open for the leader already"));
        }
        let raw = timeout(REACH, engine.raw()).await;
        let raw = raw.map_err(|_| format!("no connection within {REACH:?}"));
        raw.and_then(|raw| raw.map_err(|error| error.to_string()))
    };
    let called = async {
        let called = timeout(REACH, dial.tunnel(leader)).await;
        let called = called.map_err(|_| format!("no connection within {REACH:?}"));
        called.and_then(|called| called.map_err(|error| error.to_string()))
    };
    let (reached, called) = tokio::join!(reached, called);
    let mut called: Box<dyn Raw> = called.map_err(|why| format!("the leader: {why}"))?;
    let opened = reached.as_ref().map(drop).map_err(String::as_str);
    let said = timeout(REACH, preamble::write(&mut called, id, opened)).await;
    said.map_err(|_| "the leader takes nothing".to_owned())?.map_err(|error| error.to_string())?;
    match reached {
        Ok(raw) => swarm_splice::join(called, raw, LINGER).await.map_err(|error| error.to_string()),
        Err(why) => Err(format!("the engine: {why}")),
    }
}
