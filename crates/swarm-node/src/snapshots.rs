//! Has a manager's store cut its log as the swarm's settings say (`--snapshot-interval`,
//! `--max-snapshots`, and the API's `LogEntriesForSlowFollowers`).

use std::sync::Arc;

use swarm_manager::replica::Replica;
use swarm_raft::Embedded;

/// Follows the settings; until it is dropped.
pub(crate) async fn follow(store: Arc<Embedded>, replica: Arc<Replica>) {
    let feed = replica.feed();
    loop {
        let raft = replica.read(|tables| tables.cluster.as_ref().map(|it| it.spec.raft.clone()));
        if let Some(raft) = raft {
            let older = raft.keep_old_snapshots.unwrap_or_default();
            store.keep_snapshots(raft.snapshot_interval, older);
            store.keep_behind(raft.log_entries_for_slow_followers);
        }
        loop {
            let touched = feed.changed().await;
            if touched.whole || touched.cluster {
                break;
            }
        }
    }
}
