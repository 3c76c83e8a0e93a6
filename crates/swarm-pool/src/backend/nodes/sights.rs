//! `GET /pool/sights`: what this manager sees of its engines, for managers that see none of them. A line for
//! each node, and then one for each node that changed.
//!
//! Invariants: nobody who does not read is told anything, and nothing is kept for him: a change is looked up
//! when the line before it was taken; nodes are told again only where what is shown of them differs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use swarm_backend::{
    ALWAYS, BoxError, ContainerSight, Exchange, NodeSight, Overview, Reply, Result, SightLine,
    Sights, Waiting,
};
use swarm_docker::container::LABEL_TASK_ID;
use tokio::time::{sleep, timeout};

use crate::Pool;

/// The least time between two looks, so that a burst of changes is one.
const BREATH: Duration = Duration::from_millis(50);
/// How often a line is sent at least: the other side takes a longer silence for the end.
const BEAT: Duration = Duration::from_secs(3);

#[async_trait]
impl Sights for Pool {
    async fn sights(&self, _: Exchange) -> Result<Reply> {
        let telling = Telling {
            pool: Weak::clone(&self.own),
            changes: self.watch(),
            told: Told::default(),
            lines: VecDeque::new(),
            begun: false,
        };
        let frames = stream::unfold(telling, |mut telling| async move {
            let line = telling.next().await?;
            Some((Ok::<_, BoxError>(Frame::data(line)), telling))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        Ok(Reply::streaming_json(StatusCode::OK, body))
    }
}

/// One client's stream.
struct Telling {
    pool: Weak<Pool>,
    changes: BoxStream<'static, ()>,
    told: Told,
    lines: VecDeque<Bytes>,
    begun: bool,
}

impl Telling {
    /// `None` when the pool is gone.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.begun {
                sleep(BREATH).await;
                match timeout(BEAT, self.changes.next()).await {
                    Ok(Some(())) => {}
                    Ok(None) => return None,
                    Err(_) => return Some(Bytes::from_static(b"\n")),
                }
            }
            let pool = self.pool.upgrade()?;
            let (mut told, first) = (std::mem::take(&mut self.told), !self.begun);
            // A pass over all engines is made where nobody's request is answered.
            let looked = tokio::task::spawn_blocking(move || {
                let lines = told.look(&*pool, first);
                (told, lines)
            });
            (self.told, self.lines) = looked.await.ok()?;
            self.begun = true;
        }
    }
}

/// What a client knows.
#[derive(Debug, Default)]
struct Told {
    /// By their keys: the nodes as they were looked at last, and digests of what was told of them.
    nodes: HashMap<String, (NodeSight, u64)>,
    waiting: Vec<Waiting>,
}

impl Told {
    /// What there is to tell.
    fn look(&mut self, pool: &dyn Overview, first: bool) -> VecDeque<Bytes> {
        let mut lines = VecDeque::new();
        let nodes = pool.nodes();
        let there: HashSet<&str> = nodes.iter().map(|node| node.key.as_str()).collect();
        self.nodes.retain(|key, _| {
            let stays = there.contains(key.as_str());
            if !stays {
                lines.extend(line(&SightLine::Gone(key.clone())));
            }
            stays
        });
        for node in nodes {
            let known = self.nodes.get(&node.key);
            if node.revision != ALWAYS && known.is_some_and(|(seen, _)| *seen == node) {
                continue;
            }
            let found = pool.containers(&node.key).into_iter().map(shortened).collect();
            let Some(line) = line(&SightLine::Node(Box::new(node.clone()), found)) else {
                continue;
            };
            let digest = digest(&line);
            if known.is_none_or(|(_, told)| *told != digest) {
                lines.push_back(line);
            }
            self.nodes.insert(node.key.clone(), (node, digest));
        }
        let waiting = pool.pool().waiting;
        if waiting != self.waiting {
            self.waiting.clone_from(&waiting);
            lines.extend(line(&SightLine::Waiting(waiting)));
        }
        if first {
            lines.extend(line(&SightLine::Ready));
        }
        lines
    }
}

/// Without what everybody knows of a task.
fn shortened(mut container: ContainerSight) -> ContainerSight {
    if container.labels.contains_key(LABEL_TASK_ID) {
        container.labels.retain(|label, _| label == LABEL_TASK_ID);
    }
    container
}

fn line(what: &SightLine) -> Option<Bytes> {
    let mut line = serde_json::to_vec(what).ok()?;
    line.push(b'\n');
    Some(line.into())
}

fn digest(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "sights_tests.rs"]
mod tests;
