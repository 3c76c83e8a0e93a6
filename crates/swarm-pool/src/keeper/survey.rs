//! The pool as plans for moves see it: engines' summaries, and every container with what it takes to
//! move it, or why it stays.

use std::sync::Arc;

use swarm_core::placement::node::{NodeId, NodeSummary};
use swarm_core::rebalance::{self, Cause, Plan, Resident, Settings};
use swarm_core::reschedule::{depend, transition};
use swarm_model::{Intent, Place};

use crate::Pool;
use crate::engine::{Container, EngineView};

use super::data::data;

/// The pool at one moment.
pub(crate) struct Survey {
    nodes: Vec<Arc<NodeSummary>>,
    residents: Vec<Resident>,
}

impl Pool {
    /// Looks at everything.
    pub(crate) fn survey(&self, cause: Cause) -> Survey {
        let mut residents = Vec::new();
        for engine in self.members.all().iter() {
            let Some(reference) = engine.reference() else { continue };
            let view = engine.view();
            let node = NodeId::new(reference.id.as_str());
            for container in &*view.containers {
                let name = container.names().next().unwrap_or_default();
                let hidden = self.shared.state.is_superseded(container.id());
                if hidden || transition::is_aside(name, container.generation(), container.id()) {
                    continue;
                }
                let intent = container.swarm_id().and_then(|id| self.shared.state.intents.get(id));
                // What is between two engines is the planner's.
                if intent.as_ref().is_none_or(|intent| is_of(intent, container)) {
                    let intent = intent.as_deref();
                    residents.push(self.resident(container, intent, (name, &node), &view, cause));
                }
            }
        }
        Survey { nodes: self.shared.scheduler.nodes(), residents }
    }

    fn resident(
        &self,
        container: &Container,
        intent: Option<&Intent>,
        (name, node): (&str, &NodeId),
        view: &EngineView,
        cause: Cause,
    ) -> Resident {
        let shared = |volume: &str| self.is_shared_volume(volume);
        let movable = rebalance::movable(intent, cause, shared).and_then(|movable| {
            if !view.status.is_reachable() {
                return Err("its engine does not answer".to_owned());
            }
            // Volumes that its image asks for are in no configuration.
            match data(&container.entry, &view.volumes).next() {
                Some(at) => Err(format!("it has data there: volume at {at}")),
                None => Ok(movable),
            }
        });
        let needs = intent.map(depend::dependencies).unwrap_or_default();
        Resident {
            id: container.id().to_owned(),
            name: name.to_owned(),
            node: node.clone(),
            labels: labels(container),
            ports: container.ports.to_vec(),
            host_ports: container.host_ports.to_vec(),
            needs: needs.into_iter().map(|need| need.container).collect(),
            movable,
        }
    }

    /// What would even the pool out, in at most `limit` moves.
    pub(crate) fn plan_rebalance(&self, limit: usize) -> Plan {
        let survey = self.survey(Cause::Balance);
        let settings = Settings { limit, ..Settings::default() };
        self.over(&survey, |pool| rebalance::plan(pool, &settings))
    }

    /// What would leave an engine, were it drained now.
    pub(crate) fn plan_drain_of(&self, engine: &str) -> Plan {
        self.plan_drain(&self.survey(Cause::Drain), &NodeId::new(engine))
    }

    /// What can leave an engine.
    pub(super) fn plan_drain(&self, survey: &Survey, node: &NodeId) -> Plan {
        self.over(survey, |pool| rebalance::drain(pool, node))
    }

    fn over(&self, survey: &Survey, plan: impl FnOnce(&rebalance::Pool<'_>) -> Plan) -> Plan {
        let Survey { nodes, residents } = survey;
        self.shared.scheduler.planned(|filters, strategy| {
            plan(&rebalance::Pool { nodes, residents, filters, strategy })
        })
    }
}

/// Whether a container is the copy of an intent that is wanted.
pub(super) fn is_of(intent: &Intent, container: &Container) -> bool {
    matches!(&intent.place, Place::At { container: at, .. } if at == container.id())
}

fn labels(container: &Container) -> std::collections::BTreeMap<String, String> {
    let pairs = container.entry.labels().iter();
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
