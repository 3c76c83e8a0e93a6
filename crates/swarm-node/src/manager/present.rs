//! What this manager says of itself in its node's record: that it holds the store, and where it is reached.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::StoreError;
use swarm_manager::clock::Clock;
use swarm_manager::replica::Batch;
use swarm_model::node::Role;

use super::{Manager, Seat};

/// A pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps this node's record saying that it holds the store, and where it is reached.
pub(super) async fn present(manager: Arc<Manager>, seat: Seat, clock: Clock) {
    let feed = manager.replica.feed();
    loop {
        match present_once(&manager, &seat, &clock).await {
            Ok(()) => loop {
                let touched = feed.changed().await;
                if touched.whole || touched.nodes.contains(&seat.node_id) {
                    break;
                }
            },
            Err(error) => {
                tracing::debug!(%error, "this manager's own record is written again soon");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes out of the store what this manager was before it lost what it had: nobody else is to be it.
async fn take_out(manager: &Manager, was: u64) -> Result<(), StoreError> {
    let members = manager.store.members().await;
    if manager.is_removed() || members.iter().all(|member| member.id != was) {
        return Ok(());
    }
    manager.store.remove_member(was).await
}

async fn present_once(manager: &Manager, seat: &Seat, clock: &Clock) -> Result<(), StoreError> {
    let (own, status) = (manager.store.id(), seat.manager_status());
    let was =
        manager.replica.read(|tables| tables.nodes.get(&seat.node_id).map(|node| node.member));
    if let Some(was) = was.filter(|was| *was != 0 && *was != own) {
        take_out(manager, was).await?;
    }
    let changed = manager.replica.read(|tables| {
        let node = tables.nodes.get(&seat.node_id)?;
        let is_said = node.member == own
            && node.manager_status.as_ref().is_some_and(|known| known.addr == status.addr);
        if is_said || node.spec.role != Role::Manager || manager.is_removed() {
            return None;
        }
        let mut node = swarm_model::Node::clone(node);
        node.member = own;
        node.manager_status = Some(status);
        node.updated_at = clock.now(tables);
        Some(node)
    });
    let Some(node) = changed else { return Ok(()) };
    let mut batch = Batch::default();
    batch.put(&node)?;
    manager.replica.commit(batch).await
}
