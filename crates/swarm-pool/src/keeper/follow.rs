//! What is seen and must be kept: engines' records, and what containers were last seen to be.
//!
//! A container that somebody stopped or started beside the manager is wanted as it is seen. One that
//! ended is wanted stopped only after it has stayed so on a working engine for a while: an engine
//! that shuts down stops its containers before it falls silent, and nobody wanted that.

use std::sync::Arc;
use std::time::Duration;

use swarm_backend::InSwarm;
use swarm_docker::container::{ListEntry, State as Running};
use swarm_docker::volume::VolumeEntry;
use swarm_model::{Availability, Desired, EngineRecord, EngineRef, FORMAT};

use crate::Pool;
use crate::clock;
use crate::engine::{Container, EngineView, Identity};
use crate::state::State;

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

/// Where in a container volumes of its engine are, those that its image asks for too. A volume
/// counts until it is known to be a plugin's: its engine may fall silent before its volumes are read.
pub(super) fn data<'c>(
    container: &'c ListEntry,
    known: &'c [Arc<VolumeEntry>],
) -> impl Iterator<Item = &'c str> {
    let is_plugins =
        |name: &str| known.iter().any(|volume| *volume.name == *name && !volume.is_local());
    // The other mounts are named by their path on the host.
    let here = move |(name, _): &(&str, &str)| !name.starts_with('/') && !is_plugins(name);
    container.mounts().iter().filter(here).map(|(_, path)| path)
}

fn is_same(record: &EngineRecord, identity: &Identity) -> bool {
    record.engine.name == identity.name
        && record.address == identity.address
        && (record.cpus, record.memory) == (identity.cpus, identity.memory)
        && record.labels == *identity.labels
        && !record.gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_data_until_it_is_known_to_be_a_plugins() {
        let listed = br#"{"Id":"c","Names":["/c"],"Image":"i","ImageID":"sha256:i","Command":"",
            "Created":1,"Ports":[],"Labels":{},"State":"running","Status":"Up","HostConfig":{},
            "NetworkSettings":{"Networks":{}},"Mounts":[
            {"Type":"volume","Name":"0f","Source":"","Destination":"/data","Driver":"local"},
            {"Type":"volume","Name":"nfs","Source":"","Destination":"/shared","Driver":"nfs"},
            {"Type":"bind","Source":"/srv","Destination":"/srv"}]}"#;
        let entry = ListEntry::parse(listed, "node", "192.0.2.1", None).unwrap();
        assert_eq!(data(&entry, &[]).collect::<Vec<_>>(), ["/data", "/shared"]);
        let list =
            br#"{"Volumes":[{"Name":"nfs","Driver":"nfs","Mountpoint":"","Scope":"global"}]}"#;
        let known: Vec<_> =
            VolumeEntry::parse_list(list).unwrap().0.into_iter().map(Arc::new).collect();
        assert_eq!(data(&entry, &known).collect::<Vec<_>>(), ["/data"]);
    }
}
