//! Which nodes there are, as long as this manager leads: read from the swarm's objects whenever they
//! change.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use swarm_discovery::Entry;
use swarm_manager::Tables;
use swarm_model::Availability;
use swarm_model::node::NodeState;
use swarm_pool::Pool;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::kept::manager_of;
use crate::manager::Manager;
use crate::node::Node;

/// What a leader sees.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// Since when it leads; `None` while it does not.
    pub since: Option<Instant>,
    /// The engines of all nodes that ever told of themselves.
    pub entries: Arc<[Entry]>,
    /// Those that answer, by their addresses.
    pub ready: HashSet<String>,
    /// Those that the swarm has given up, by their ids.
    pub down: HashSet<String>,
    /// Some may be on their way from the last leader.
    pub awaits: bool,
    /// Those that are given no containers, by their addresses.
    pub paused: HashSet<String>,
}

impl Sight {
    fn of(tables: &Tables, since: Instant) -> Self {
        let mut entries = Vec::new();
        let mut sight = Self { since: Some(since), ..Self::default() };
        for node in tables.nodes.values() {
            if node.description.hostname.is_empty() {
                continue;
            }
            let ip: Option<IpAddr> = node.status.addr.parse().ok();
            let entry = Entry::Node { id: node.id.to_string(), ip };
            match node.status.state {
                NodeState::Ready => drop(sight.ready.insert(entry.to_string())),
                NodeState::Down => drop(sight.down.insert(node.id.to_string())),
                NodeState::Unknown => sight.awaits = true,
                NodeState::Disconnected => {}
            }
            // What runs stays: only tasks are drained.
            if node.spec.availability != Availability::Active {
                sight.paused.insert(entry.to_string());
            }
            entries.push(entry);
        }
        sight.entries = entries.into();
        sight
    }
}

/// Keeps `told` as it is, and the pool knowing whom to give containers to, until it is told to stop.
pub(super) async fn run(
    node: Arc<Node>,
    pool: Arc<Pool>,
    told: watch::Sender<Sight>,
    stop: CancellationToken,
) {
    let following = async {
        loop {
            let manager = manager_of(&node).await;
            tokio::select! {
                () = lead(&manager, &pool, &told) => {}
                () = manager.ended() => {}
            }
            told.send_replace(Sight::default());
            manager.ended().await;
        }
    };
    let _ = stop.run_until_cancelled(following).await;
}

/// One manager's leaderships, one after the other.
async fn lead(manager: &Manager, pool: &Pool, told: &watch::Sender<Sight>) {
    let replica = manager.replica();
    let mut leadership = manager.store().leadership();
    while leadership.wait_for(|now| now.leads).await.is_ok() {
        let since = Instant::now();
        let feed = replica.feed();
        let mut over = leadership.clone();
        let lost = async { over.wait_for(|now| !now.leads).await.is_ok() };
        let telling = async {
            loop {
                let now = replica.read(|tables| Sight::of(tables, since));
                let paused = now.paused.clone();
                if told.send_if_modified(|known| std::mem::replace(known, now) != *known) {
                    pool.pause(paused);
                }
                loop {
                    let touched = feed.changed().await;
                    if touched.whole || !touched.nodes.is_empty() {
                        break;
                    }
                }
            }
        };
        tokio::select! {
            _ = lost => {}
            () = telling => {}
        }
        told.send_replace(Sight::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tables: &mut Tables, id: &str, change: impl FnOnce(&mut swarm_model::Node)) {
        let mut node = swarm_model::Node { id: id.into(), ..swarm_model::Node::default() };
        node.description.hostname = format!("host-{id}");
        node.status.addr = "10.0.0.2".to_owned();
        node.status.state = NodeState::Ready;
        change(&mut node);
        tables.nodes.insert(id.into(), Arc::new(node));
    }

    #[test]
    fn all_nodes_that_told_of_themselves_are_there_and_the_swarm_s_word_of_them_counts() {
        let mut tables = Tables::default();
        with(&mut tables, "a", |_| {});
        with(&mut tables, "b", |node| {
            node.status.state = NodeState::Down;
            node.status.addr.clear();
        });
        with(&mut tables, "c", |node| node.spec.availability = Availability::Drain);
        with(&mut tables, "d", |node| node.description.hostname.clear());
        let sight = Sight::of(&tables, Instant::now());
        let shown: Vec<_> = sight.entries.iter().map(Entry::to_string).collect();
        assert_eq!(shown, ["node://a/10.0.0.2", "node://b", "node://c/10.0.0.2"]);
        assert!(sight.ready.contains("node://a/10.0.0.2") && !sight.ready.contains("node://b"));
        assert_eq!(sight.paused, HashSet::from(["node://c/10.0.0.2".to_owned()]));
        assert_eq!(sight.down, HashSet::from(["b".to_owned()]));
        assert!(!sight.awaits);
        // A leadership began.
        with(&mut tables, "a", |node| node.status.state = NodeState::Unknown);
        assert!(Sight::of(&tables, Instant::now()).awaits);
    }
}
