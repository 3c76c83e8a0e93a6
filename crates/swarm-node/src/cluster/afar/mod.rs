//! The engines as the leader sees them, on managers that have no connection to any: what is on them, and what
//! happens there.
//!
//! Reading order: `known` (pure), [`sights`], [`events`].
//!
//! Invariants: the leader is asked only while somebody looks; what it told stays until another leader, or the
//! same again, has told everything anew; one that says nothing of what is on them is given up within [`SILENCE`].
//! Nothing may happen on them for any time: that stream ends with the leadership.

mod events;
mod known;
mod sights;

use std::future::pending;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use swarm_backend::Body;
use swarm_engine::{EngineClient, Outgoing};
use tokio::time::{sleep, timeout};

use crate::node::Node;

pub(super) use events::with_leaders;
pub(super) use sights::Afar;

/// How often it is looked whether this node is a manager.
const LOOK: Duration = Duration::from_millis(250);
/// The pause after a leader went, or did not answer.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a leader may take to answer: one that has just begun waits for its nodes.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it may say nothing: it sends a line each three seconds.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest line: a node with some 20,000 containers.
const LONGEST: usize = 16 << 20;

/// Works with each manager that leads, one after the other, by its address, while that is not this one; and
/// again after a pause where the work ended.
async fn with_each_leader<W: Future<Output = ()>>(node: &Node, mut work: impl FnMut(String) -> W) {
    loop {
        let Ok(manager) = node.manager() else {
            sleep(LOOK).await;
            continue;
        };
        let mut leadership = manager.store().leadership();
        let now = leadership.borrow_and_update().clone();
        let other =
            leadership.wait_for(|next| (next.leads, &next.leader) != (now.leads, &now.leader));
        let working = async {
            match &now.leader {
                Some(leader) if !now.leads => work(leader.clone()).await,
                _ => pending().await,
            }
        };
        let pause = tokio::select! {
            other = other => if other.is_ok() { Duration::ZERO } else { LOOK },
            () = working => AGAIN,
            () = manager.ended() => LOOK,
        };
        sleep(pause).await;
    }
}

/// What the leader streams, line by line.
struct Lines {
    body: Body,
    begun: BytesMut,
}

impl Lines {
    fn of(body: Body) -> Self {
        Self { body, begun: BytesMut::new() }
    }

    /// Asks for it; why there is none, in words.
    async fn ask(client: &EngineClient, path: &str) -> Result<Self, String> {
        let asked = client.send(Outgoing::get(path), Some(ANSWER)).await;
        let reply = asked.map_err(|error| error.to_string())?;
        if !reply.status.is_success() {
            return Err(format!("it answered {}", reply.status));
        }
        Ok(Self::of(reply.body))
    }

    /// The next line; an empty one only says that the leader lives. Without `silence` it may take for ever.
    async fn next(&mut self, silence: Option<Duration>) -> Result<Bytes, String> {
        let mut seen = 0;
        loop {
            let end = self.begun.iter().skip(seen).position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let mut line = self.begun.split_to(seen + end + 1);
                line.truncate(line.len() - 1);
                return Ok(line.freeze());
            }
            seen = self.begun.len();
            if seen > LONGEST {
                return Err(format!("it sent a line of more than {LONGEST} bytes"));
            }
            let frame = match silence {
                Some(silence) => timeout(silence, self.body.frame())
                    .await
                    .map_err(|_| format!("it said nothing for {silence:?}"))?,
                None => self.body.frame().await,
            };
            let frame = frame.ok_or("it ended its answer")?.map_err(|error| error.to_string())?;
            self.begun.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
    }
}
