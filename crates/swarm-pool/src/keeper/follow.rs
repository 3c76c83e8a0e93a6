//! What is seen and must be kept: engines' records, and what containers were last seen to be.
//!
//! A container that somebody stopped or started beside the manager is wanted as it is seen. One that
//! ended is wanted stopped only after it has stayed so on a working engine for a while: an engine
//! that shuts down stops its containers before it falls silent, and nobody wanted that.

use std::time::Duration;

use swarm_backend::InSwarm;
use swarm_docker::container::State as Running;
use swarm_model::{Availability, Desired, EngineRecord, EngineRef, FORMAT};

use crate::Pool;
use crate::clock;
use crate::engine::{Container, EngineView, Identity};
use crate::state::State;

use super::data::data;
use super::survey::is_of;

/// How long a container must have been seen ended before it counts as wanted so.
const ENDED: Duration = Duration::from_secs(15);

impl Pool {
    /// Keeps a record of every engine that answers.
    pub(crate) fn follow_engines(&self) {
        let records = &self.shared.state.engines;
        for engine in self.members.reachable() {
            let view = engine.view();
            let Some(identity) = &view.identity else { continue };
            let now = clock::now_millis() / 1_000;
            let old = records.get(&identity.id);
            if old.as_ref().is_some_and(|old| is_same(old, identity)) {
                continue;
            }
            let record = EngineRecord {
                format: FORMAT,
                engine: EngineRef { id: identity.id.clone(), name: identity.name.clone() },
                address: identity.address.clone(),
                cpus: identity.cpus,
                memory: identity.memory,
                labels: (*identity.labels).clone(),
                availability: old.as_ref().map_or(Availability::Active, |old| old.availability),
                // Whoever is back is not gone.
                gone: false,
                created: old.as_ref().map_or(now, |old| old.created),
                // A node's version, too: never the same twice.
                updated: old.map_or(now, |old| now.max(old.updated + 1)),
            };
            if self.swarm().is_none() {
                self.shared.scheduler.set_availability(&identity.id, record.availability);
            }
            records.set(&identity.id, record);
        }
    }

    /// Keeps which containers have data where they are: also those of engines that do not answer
    /// any more, as they were last seen.
    pub(super) fn follow_volumes(&self) {
        for engine in self.members.all().iter() {
            let view = engine.view();
            for container in &*view.containers {
                follow_volumes_of(&self.shared.state, container, &view);
            }
        }
    }

    /// Keeps what containers are seen to be as what is wanted of them.
    pub(super) fn follow_containers(&self) {
        let (state, keeping) = (&self.shared.state, &self.shared.keeping);
        let now = keeping.now();
        let mut ended = keeping.ended.lock();
        for engine in self.members.reachable() {
            let view = engine.view();
            for container in &*view.containers {
                let Some(id) = container.swarm_id() else { continue };
                let Some(intent) = state.intents.get(id) else { continue };
                if !is_of(&intent, container) {
                    continue;
                }
                let seen = match container.entry.state().state {
                    Running::Running | Running::Restarting | Running::Paused => Desired::Running,
                    Running::Exited | Running::Dead => Desired::Stopped,
                    _ => continue,
                };
                if seen == intent.desired {
                    ended.remove(id);
                } else if seen == Desired::Running {
                    state.intents.change(id, |intent| intent.desired = Desired::Running);
                } else if now - *ended.entry(id.to_owned()).or_insert(now) >= ENDED {
                    ended.remove(id);
                    state.intents.change(id, |intent| intent.desired = Desired::Stopped);
                }
            }
        }
    }
}

/// Keeps where in a container data is that stays with its engine.
pub(crate) fn follow_volumes_of(state: &State, container: &Container, view: &EngineView) {
    let mounts = container.entry.mounts();
    let Some(id) = container.swarm_id() else { return };
    let Some(intent) = state.intents.get(id).filter(|intent| is_of(intent, container)) else {
        return;
    };
    if mounts.is_empty() && intent.volumes.is_empty() {
        return;
    }
    let mut volumes: Vec<_> = data(&container.entry, &view.volumes).map(str::to_owned).collect();
    volumes.sort_unstable();
    state.intents.change(id, |intent| intent.volumes = volumes);
}

fn is_same(record: &EngineRecord, identity: &Identity) -> bool {
    record.engine.name == identity.name
        && record.address == identity.address
        && (record.cpus, record.memory) == (identity.cpus, identity.memory)
        && record.labels == *identity.labels
        && !record.gone
}
