//! What a leader does first: it has heard of no node yet, and says so. Its planners start and move
//! nothing on account of a node that is `unknown`; the dispatcher waits for those nodes before it
//! calls them down. One that took leave of the leader before is not expected at once.

use std::sync::Arc;

use swarm_kv::StoreError;
use swarm_model::Node;
use swarm_model::node::NodeState;

use crate::clock::Clock;
use crate::reign::{Reign, told};
use crate::replica::{Batch, Replica};

/// How many nodes are written at once.
const AT_ONCE: usize = 1_000;

/// Takes back what the leader before said of nodes that it heard.
pub async fn wait_for_nodes(
    replica: &Arc<Replica>,
    clock: &Clock,
    reign: &Reign,
) -> Result<(), StoreError> {
    loop {
        let (batch, is_rest) = replica.read(|tables| {
            let now = clock.now(tables);
            let heard = |node: &&Arc<Node>| node.status.state == NodeState::Ready;
            let mut batch = Batch::default();
            reign.fence(&mut batch);
            let mut nodes = tables.nodes.values().filter(heard);
            for node in nodes.by_ref().take(AT_ONCE) {
                let mut node = Node::clone(node);
                node.status.state = NodeState::Unknown;
                "a new leader waits for it".clone_into(&mut node.status.message);
                node.updated_at = now;
                batch.put(&node)?;
            }
            Ok::<_, StoreError>((batch, nodes.next().is_some()))
        })?;
        match replica.commit(batch).await.map_err(told) {
            Ok(()) if is_rest => {}
            Ok(()) => return Ok(()),
            // Somebody changed a node meanwhile.
            Err(StoreError::Conflict { .. }) => replica.fresh().await?,
            Err(error) => return Err(error),
        }
    }
}
