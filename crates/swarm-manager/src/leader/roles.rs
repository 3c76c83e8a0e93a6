//! Managers that are to be workers leave the store. That managers come in is theirs to do: a node that
//! is promoted asks to be let in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use swarm_kv::StoreError;
use swarm_model::node::Role;
use swarm_model::{Id, Node};
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::reign::{Reign, is_end, told};
use crate::replica::{Batch, Replica};

/// A refusal (the others would be without a quorum) may be over later.
const AGAIN: Duration = Duration::from_secs(5);

/// A change of members takes a moment; one that takes this long is tried again.
const DEADLINE: Duration = Duration::from_secs(10);

/// Looks after roles for one leadership.
pub async fn run(replica: Arc<Replica>, clock: Clock, reign: Reign) -> Result<(), StoreError> {
    let feed = replica.feed();
    // What was refused, so that it is told once.
    let mut refused: BTreeMap<Id, String> = BTreeMap::new();
    loop {
        let leaving = replica.read(|tables| {
            let nodes = tables.nodes.values();
            let leaving = nodes.filter(|node| node.spec.role == Role::Worker && node.member != 0);
            leaving.cloned().collect::<Vec<_>>()
        });
        refused.retain(|id, _| leaving.iter().any(|node| node.id == *id));
        for node in &leaving {
            match demote(&replica, &clock, &reign, node).await {
                Ok(()) => {
                    refused.remove(&node.id);
                    tracing::info!(node = node.name(), "a manager was made a worker");
                }
                Err(error) if is_end(&error) => return Err(error),
                Err(error) => {
                    let words = error.to_string();
                    if refused.get(&node.id) != Some(&words) {
                        tracing::warn!(node = node.name(), %error, "it stays a manager for now");
                    }
                    refused.insert(node.id.clone(), words);
                }
            }
        }
        if refused.is_empty() {
            loop {
                let touched = feed.changed().await;
                if touched.whole || !touched.nodes.is_empty() {
                    break;
                }
            }
        } else {
            sleep(AGAIN).await;
        }
    }
}

async fn demote(
    replica: &Replica,
    clock: &Clock,
    reign: &Reign,
    node: &Node,
) -> Result<(), StoreError> {
    let store = replica.store();
    let is_member = store.members().await.iter().any(|member| member.id == node.member);
    if is_member {
        let removed = timeout(DEADLINE, store.remove_member(node.member)).await;
        removed.map_err(|_| StoreError::Unreachable {
            store: "the swarm's store".to_owned(),
            reason: format!("no manager was removed within {DEADLINE:?}"),
        })??;
    }
    let batch = replica.read(|tables| {
        let mut batch = Batch::default();
        reign.fence(&mut batch);
        let Some(present) = tables.nodes.get(&node.id) else { return Ok(batch) };
        if present.member != node.member {
            return Ok(batch);
        }
        let mut changed = Node::clone(present);
        (changed.member, changed.manager_status) = (0, None);
        changed.updated_at = clock.now(tables);
        batch.put(&changed)?;
        Ok::<_, StoreError>(batch)
    })?;
    replica.commit(batch).await.map_err(told)
}
