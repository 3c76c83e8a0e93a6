//! What is known of one engine, and the snapshots made of it.
//!
//! The worker owns the cache and feeds it observations; a snapshot shares everything that did not
//! change with the one before it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use swarm_core::placement::images::ImageIndex;
use swarm_core::placement::node::{Health as Fitness, NodeSummary, Resources};
use swarm_core::placement::ports::PortSet;
use swarm_docker::container::State;
use swarm_docker::image::ImageEntry;
use swarm_docker::network::NetworkEntry;
use swarm_docker::volume::VolumeEntry;

use super::health::{Health, Status};
use super::observe::{Observed, Seen};
use super::{Container, Identity};
use crate::clock;

/// Objects of one kind, shared between snapshots.
pub type Objects<T> = Arc<[Arc<T>]>;

/// A snapshot of one engine.
#[derive(Debug, Clone)]
pub struct EngineView {
    /// Where it listens, as discovery named it.
    pub address: Arc<str>,
    /// What the pool thinks of it.
    pub status: Status,
    /// Its last failure, until the next success.
    pub error: Option<Arc<str>>,
    /// Who it is, once it was reached.
    pub identity: Option<Arc<Identity>>,
    /// Its containers.
    pub containers: Objects<Container>,
    /// Its images.
    pub images: Objects<ImageEntry>,
    /// Its networks.
    pub networks: Objects<NetworkEntry>,
    /// Its volumes.
    pub volumes: Objects<VolumeEntry>,
    /// Its containers by state.
    pub counts: Counts,
    /// What they have reserved, all together.
    pub reserved: Resources,
    /// When the snapshot was made, seconds since 1970.
    pub updated: i64,
    /// Its rows in `docker info`, ready as JSON; made when first asked for.
    pub info_rows: OnceLock<Box<[u8]>>,
}

/// Containers by state, as `docker info` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Running.
    pub running: usize,
    /// Paused.
    pub paused: usize,
    /// Neither.
    pub stopped: usize,
}

impl Counts {
    /// All of them.
    pub fn total(self) -> usize {
        self.running + self.paused + self.stopped
    }
}

impl EngineView {
    /// An engine that has not been reached.
    pub fn pending(address: String) -> Self {
        Self {
            address: address.into(),
            status: Status::Pending,
            error: None,
            identity: None,
            containers: Objects::default(),
            images: Objects::default(),
            networks: Objects::default(),
            volumes: Objects::default(),
            counts: Counts::default(),
            reserved: Resources::default(),
            updated: clock::now_millis() / 1_000,
            info_rows: OnceLock::new(),
        }
    }

    /// Its name once known, its address before.
    pub fn label(&self) -> &str {
        self.identity.as_ref().map_or(&*self.address, |known| known.name.as_str())
    }
}

/// What an observation changed.
#[derive(Debug, Default)]
pub struct Change {
    /// Containers that are no longer there.
    pub gone: Vec<Arc<str>>,
    /// Containers that are new or changed.
    pub present: Vec<Arc<Container>>,
    /// Something else changed.
    pub other: bool,
}

impl Change {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.present.is_empty() && !self.other
    }
}

/// The worker's own copy.
#[derive(Debug)]
pub struct Cache {
    /// Who the engine is.
    pub identity: Option<Arc<Identity>>,
    address: Arc<str>,
    containers: Objects<Container>,
    /// Those of them in which a swarm's tasks run.
    tasks: HashSet<Arc<str>>,
    images: Objects<ImageEntry>,
    networks: Objects<NetworkEntry>,
    volumes: Objects<VolumeEntry>,
    image_index: Arc<ImageIndex>,
    /// Fingerprint of the last list of all containers.
    list: Option<u64>,
    overcommit: f64,
}

impl Cache {
    /// Nothing known but the address.
    pub fn new(address: String, overcommit: f64) -> Self {
        Self {
            identity: None,
            address: address.into(),
            containers: Objects::default(),
            tasks: HashSet::default(),
            images: Objects::default(),
            networks: Objects::default(),
            volumes: Objects::default(),
            image_index: Arc::default(),
            list: None,
            overcommit,
        }
    }

    /// The containers known now, for a reading that need not ask again what did not change.
    pub fn containers(&self) -> Objects<Container> {
        Arc::clone(&self.containers)
    }

    /// Whether a swarm's task runs in the container with this id, as far as is known now.
    pub fn is_of_task(&self, id: &str) -> bool {
        self.tasks.contains(id)
    }

    /// Fingerprint of the last list of all containers.
    pub fn list(&self) -> Option<u64> {
        self.list
    }

    /// The networks known now.
    pub fn networks(&self) -> Objects<NetworkEntry> {
        Arc::clone(&self.networks)
    }

    /// Takes an observation in.
    pub fn absorb(&mut self, observed: Observed) -> Change {
        let mut change = Change::default();
        if let Some(identity) = observed.identity {
            change.other = true;
            self.identity = Some(Arc::new(identity));
        }
        if let Some(images) = observed.images {
            let mut index = ImageIndex::default();
            for image in &images {
                index.insert(&image.id, image.tags.iter().chain(image.digests.iter()));
            }
            self.image_index = Arc::new(index);
            self.images = share(images);
            change.other = true;
        }
        if let Some(networks) = observed.networks {
            self.networks = share(networks);
            change.other = true;
        }
        if let Some(volumes) = observed.volumes {
            self.volumes = share(volumes);
            change.other = true;
        }
        match observed.containers {
            None => {}
            Some(Seen::All { containers, list }) => {
                self.list = Some(list);
                self.replace_all(containers, &mut change);
            }
            Some(Seen::Some { asked, found }) => self.replace_some(&asked, found, &mut change),
        }
        change
    }

    fn replace_all(&mut self, containers: Vec<Arc<Container>>, change: &mut Change) {
        let known: HashMap<&str, &Arc<Container>> =
            self.containers.iter().map(|container| (container.id(), container)).collect();
        for container in &containers {
            let same = known.get(container.id()).is_some_and(|old| Arc::ptr_eq(old, container));
            if !same {
                change.present.push(Arc::clone(container));
            }
        }
        let there: HashSet<&str> = containers.iter().map(|container| container.id()).collect();
        change.gone.extend(known.keys().filter(|id| !there.contains(*id)).map(|id| (*id).into()));
        if !change.present.is_empty() || !change.gone.is_empty() {
            self.tasks = containers.iter().filter_map(of_task).collect();
            self.containers = containers.into();
        }
    }

    fn replace_some(
        &mut self,
        asked: &HashSet<String>,
        found: Vec<Arc<Container>>,
        change: &mut Change,
    ) {
        // The cache is no longer what the last list of all showed.
        self.list = None;
        let there: HashSet<&str> = found.iter().map(|container| container.id()).collect();
        change.gone.extend(
            asked.iter().filter(|id| !there.contains(id.as_str())).map(|id| id.as_str().into()),
        );
        for id in asked {
            self.tasks.remove(id.as_str());
        }
        self.tasks.extend(found.iter().filter_map(of_task));
        let stays = |container: &&Arc<Container>| !asked.contains(container.id());
        self.containers =
            self.containers.iter().filter(stays).chain(&found).map(Arc::clone).collect();
        change.present = found;
    }

    /// Forgets everything but who the engine is.
    pub fn clear(&mut self) {
        *self = Self {
            identity: self.identity.clone(),
            ..Self::new(self.address.to_string(), self.overcommit)
        };
    }

    /// A snapshot for readers.
    pub fn view(&self, health: &Health) -> EngineView {
        let mut counts = Counts::default();
        let mut reserved = Resources::default();
        for container in &*self.containers {
            match container.entry.state().state {
                State::Running | State::Restarting => counts.running += 1,
                State::Paused => counts.paused += 1,
                _ => counts.stopped += 1,
            }
            reserved = reserved.plus(container.reserved);
        }
        EngineView {
            address: Arc::clone(&self.address),
            status: health.status(),
            error: health.error().map(Into::into),
            identity: self.identity.clone(),
            containers: Arc::clone(&self.containers),
            images: Arc::clone(&self.images),
            networks: Arc::clone(&self.networks),
            volumes: Arc::clone(&self.volumes),
            counts,
            reserved,
            updated: clock::now_millis() / 1_000,
            info_rows: OnceLock::new(),
        }
    }

    /// The engine as placement sees it.
    pub fn summary(&self, health: &Health) -> NodeSummary {
        let (id, name) = match &self.identity {
            Some(known) => (known.id.as_str(), known.name.as_str()),
            None => (&*self.address, &*self.address),
        };
        let mut summary = NodeSummary::new(id, name);
        summary.address = Arc::clone(&self.address);
        summary.health = fitness(health);
        if let Some(known) = &self.identity {
            summary.ip = known.ip.as_str().into();
            summary.labels = Arc::clone(&known.labels);
            summary.cpus = known.cpus;
            summary.total =
                Resources::new(known.cpus, known.memory).with_overcommit(self.overcommit);
        }
        let (mut ports, mut host_ports) = (Vec::new(), Vec::new());
        for container in &*self.containers {
            summary.reserved = summary.reserved.plus(container.reserved);
            ports.extend_from_slice(&container.ports);
            host_ports.extend_from_slice(&container.host_ports);
        }
        summary.containers = u32::try_from(self.containers.len()).unwrap_or(u32::MAX);
        summary.ports = PortSet::default().with(&ports);
        summary.host_ports = PortSet::default().with(&host_ports);
        summary.images = Arc::clone(&self.image_index);
        summary
    }
}

fn fitness(health: &Health) -> Fitness {
    let state = match health.status() {
        Status::Healthy => return Fitness::after_failures(health.failures(), health.limit()),
        Status::Pending => "pending",
        Status::Unhealthy => "unhealthy",
        Status::Disconnected => "disconnected",
        Status::Maintenance => "in maintenance",
    };
    Fitness::Unhealthy { state, error: health.error().unwrap_or_default().into() }
}

fn share<T>(objects: Vec<T>) -> Objects<T> {
    objects.into_iter().map(Arc::new).collect()
}

fn of_task(container: &Arc<Container>) -> Option<Arc<str>> {
    container.is_of_task().then(|| container.shared_id())
}

#[cfg(test)]
mod tests {
    use swarm_docker::container::LABEL_TASK_ID;
    use swarm_engine::EngineAddress;

    use super::*;

    fn container(id: &str, label: &str) -> Arc<Container> {
        let info = serde_json::from_str("{}").unwrap();
        let address: EngineAddress = "tcp://10.0.0.1:2375".parse().unwrap();
        let identity = Identity::new(info, &address, 0);
        let listed =
            format!("{{\"Id\":\"{id}\",\"Names\":[\"/{id}\"],\"Labels\":{{\"{label}\":\"x\"}}}}");
        Arc::new(Container::new(listed.as_bytes(), None, &identity).unwrap())
    }

    #[test]
    fn containers_of_tasks_are_known_from_each_reading_until_they_are_gone() {
        let mut cache = Cache::new("10.0.0.1:2375".to_owned(), 0.0);
        let of_tasks = |cache: &Cache| {
            let ids = ["a", "b", "c", "d"];
            ids.iter().copied().filter(|id| cache.is_of_task(id)).collect::<String>()
        };
        let mut absorb = |seen| {
            cache.absorb(Observed { containers: Some(seen), ..Observed::default() });
            of_tasks(&cache)
        };
        let some = |asked: &[&str], found| Seen::Some {
            asked: asked.iter().map(|&id| id.to_owned()).collect(),
            found,
        };
        let task = |id| container(id, LABEL_TASK_ID);
        let all = vec![task("a"), container("b", "team"), task("c")];
        assert_eq!(absorb(Seen::All { containers: all.clone(), list: 1 }), "ac");
        assert_eq!(absorb(some(&["a", "d", "b"], vec![task("d"), all[1].clone()])), "cd");
        assert_eq!(absorb(some(&["c", "d"], vec![task("d")])), "d");
        assert_eq!(absorb(Seen::All { containers: all, list: 2 }), "ac");
        cache.clear();
        assert_eq!(of_tasks(&cache), "");
    }
}
