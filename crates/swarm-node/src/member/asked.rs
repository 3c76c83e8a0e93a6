//! What a member says of itself when it is asked.

use std::sync::Arc;
use std::time::Duration;

use swarm_ca::Role;
use swarm_model::Id;

use super::Member;
use crate::info::{Remote, Warning};
use crate::manager::Manager;

/// For so long nothing is told of a pace that waits: a manager that opens its store again is back by then.
const PACE_TOLD: Duration = Duration::from_secs(10);

impl Member {
    /// This node's id.
    pub fn node_id(&self) -> &Id {
        &self.node_id
    }

    /// Its swarm's id.
    pub fn cluster_id(&self) -> String {
        self.own.identity().subject.cluster_id().to_owned()
    }

    /// What its certificate says it is.
    pub fn role(&self) -> Role {
        self.own.identity().subject.role()
    }

    /// Its manager, where it runs.
    pub fn manager(&self) -> Option<Arc<Manager>> {
        self.manager.read().clone()
    }

    /// Has another manager lead, if this one does; its agent follows, and it serves on.
    pub async fn hand_over(&self) {
        if let Some(manager) = self.manager()
            && manager.store().is_leader()
            && !manager.store().hand_over().await
        {
            tracing::debug!("no other manager leads in the place of this one");
        }
    }

    /// Why its manager does not run, while it should.
    pub fn trouble(&self) -> Option<String> {
        self.removed.read().clone().or_else(|| self.trouble.read().clone())
    }

    /// What it should not be like, though it goes on: nobody leads it, or its store's disk is full.
    pub fn ailment(&self) -> Option<String> {
        let disk = self.manager().and_then(|manager| manager.store().disk_trouble());
        if let Some(trouble) = disk {
            return Some(format!(
                "the disk of its store does not take writes ({trouble}): make room there, or mend it"
            ));
        }
        let lost = self.agent.read().as_ref().and_then(swarm_agent::Agent::lost);
        lost.map(|why| format!("no leader is found: {why}"))
    }

    /// That another pace of its store waits, once it is clear that it is not only the manager before it that opens
    /// its own again.
    pub(crate) fn pace_warning(&self) -> Option<Warning> {
        self.manager()?;
        let waits = self.pace_waits.read();
        let (since, warning) = waits.as_ref()?;
        (since.elapsed() >= PACE_TOLD).then(|| warning.clone())
    }

    /// Where others reach it, without the port.
    pub fn address(&self) -> String {
        self.kept.lock().advertise.ip().to_string()
    }

    /// The managers that it knows.
    pub fn managers(&self) -> Vec<Remote> {
        let known = self.kept.lock().managers.clone();
        let id_of = |addr: &String| {
            let manager = self.manager()?;
            manager.replica().read(|tables| {
                let has = |node: &&Arc<swarm_model::Node>| {
                    node.manager_status.as_ref().is_some_and(|status| status.addr == *addr)
                };
                tables.nodes.values().find(has).map(|node| node.id.to_string())
            })
        };
        let remote = |addr: String| Remote { node_id: id_of(&addr).unwrap_or_default(), addr };
        known.into_iter().map(remote).collect()
    }
}
