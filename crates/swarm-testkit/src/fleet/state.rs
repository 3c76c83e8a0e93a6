//! The books of one engine: what it holds, under one lock, with every change's event.
//!
//! The routes decide what a request means; this file keeps names unique, looks things
//! up as dockerd does, and publishes what changed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use super::container::{Container, State};
use super::events::{EventLog, Subject};
use super::exec::Exec;
use super::id::Id;
use super::images::Image;
use super::networks::Network;
use super::reply::{Refusal, quoted};
use super::spec::{Port, Spec};
use super::volumes::Volume;

#[derive(Debug)]
pub(super) struct Books {
    pub containers: BTreeMap<u32, Container>,
    by_id: HashMap<Id, u32>,
    by_name: HashMap<Arc<str>, u32>,
    next: u32,
    next_port: u16,
    /// Where synthetic events are in their round over the containers.
    pub cursor: u32,
    pub images: Vec<Arc<Image>>,
    pub networks: Vec<Arc<Network>>,
    pub volumes: BTreeMap<Box<str>, Volume>,
    pub execs: HashMap<Id, Exec>,
    pub events: EventLog,
    /// Exit codes of the last removed containers, for those who wait for one.
    removed: VecDeque<(Id, i32)>,
}

impl Books {
    pub fn new(history: usize, images: Vec<Arc<Image>>, networks: Vec<Arc<Network>>) -> Self {
        Self {
            containers: BTreeMap::new(),
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            next: 0,
            next_port: 32_768,
            cursor: 0,
            images,
            networks,
            volumes: BTreeMap::new(),
            execs: HashMap::new(),
            events: EventLog::new(history),
            removed: VecDeque::new(),
        }
    }

    /// Adds a container in state "created"; silent, so that seeding costs no events.
    /// Fails with Docker's words when the name is taken.
    pub fn insert(
        &mut self,
        id: Id,
        name: &str,
        spec: Arc<Spec>,
        now: i64,
    ) -> Result<u32, Refusal> {
        if let Some(other) = self.by_name.get(name).and_then(|at| self.containers.get(at)) {
            return Err(Refusal::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                other.id
            )));
        }
        let ordinal = self.next;
        self.next += 1;
        let name: Arc<str> = name.into();
        let networks = self.networks_of(&spec);
        self.by_id.insert(id, ordinal);
        self.by_name.insert(Arc::clone(&name), ordinal);
        let container = Container {
            id,
            name,
            spec,
            created: now,
            started: 0,
            finished: 0,
            state: State::Created,
            manager_label: false,
            exit_code: 0,
            restarts: 0,
            ordinal,
            ports: Box::default(),
            networks,
        };
        self.containers.insert(ordinal, container);
        Ok(ordinal)
    }

    fn networks_of(&self, spec: &Spec) -> Vec<Arc<Network>> {
        let mode = match &*spec.network_mode {
            "default" => "bridge",
            other => other,
        };
        let mut names = vec![mode];
        names.extend(spec.networks.iter().map(|n| &**n).filter(|n| *n != mode && *n != "default"));
        names.into_iter().filter_map(|name| self.network(name).ok()).map(Arc::clone).collect()
    }

    /// The container of a full id, a name, or an id prefix, in dockerd's order.
    pub fn find(&self, key: &str) -> Result<u32, Refusal> {
        let name = key.strip_prefix('/').unwrap_or(key);
        let exact = Id::parse(key).and_then(|id| self.by_id.get(&id));
        if let Some(at) = exact.or_else(|| self.by_name.get(name)) {
            return Ok(*at);
        }
        let mut hits = self.containers.iter().filter(|(_, c)| c.id.has_prefix(key));
        match (hits.next(), hits.next()) {
            _ if key.is_empty() => Err(Refusal::bad("No container name or ID supplied")),
            (Some((at, _)), None) => Ok(*at),
            (Some(_), Some(_)) => {
                Err(Refusal::bad(format!("Multiple IDs found with provided prefix: {key}")))
            }
            _ => Err(Refusal::not_found(format!("No such container: {key}"))),
        }
    }

    pub fn get(&self, key: &str) -> Result<&Container, Refusal> {
        let at = self.find(key)?;
        let gone = || Refusal::not_found(format!("No such container: {key}"));
        self.containers.get(&at).ok_or_else(gone)
    }

    pub fn get_mut(&mut self, key: &str) -> Result<&mut Container, Refusal> {
        let at = self.find(key)?;
        let gone = || Refusal::not_found(format!("No such container: {key}"));
        self.containers.get_mut(&at).ok_or_else(gone)
    }

    pub fn rename(&mut self, key: &str, name: &str, now: i64) -> Result<(), Refusal> {
        let at = self.find(key)?;
        if let Some(other) = self.by_name.get(name).and_then(|o| self.containers.get(o)) {
            return Err(Refusal::conflict(format!(
                "Error when allocating new name: Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                other.id
            )));
        }
        let name: Arc<str> = name.into();
        if let Some(container) = self.containers.get_mut(&at) {
            let old = std::mem::replace(&mut container.name, Arc::clone(&name));
            self.by_name.remove(&old);
            self.by_name.insert(name, at);
            self.publish(at, now, "rename", &format!("\"oldName\":{}", quoted(&format!("/{old}"))));
        }
        Ok(())
    }

    /// Starts it; publishes `start`. Fails as dockerd does on a taken port.
    pub fn start(&mut self, at: u32, now: i64) -> Result<(), Refusal> {
        let Some(spec) = self.containers.get(&at).map(|c| Arc::clone(&c.spec)) else {
            return Ok(());
        };
        let ports = self.allocate(at, &spec.ports)?;
        let mut joined = Vec::new();
        if let Some(container) = self.containers.get_mut(&at) {
            container.ports = ports;
            container.state = State::Running;
            container.started = now;
            container.exit_code = 0;
            joined.clone_from(&container.networks);
        }
        for network in joined {
            self.publish_network(&network, "connect", at, now);
        }
        self.publish(at, now, "start", "");
        Ok(())
    }

    fn allocate(&mut self, at: u32, wanted: &[Port]) -> Result<Box<[Port]>, Refusal> {
        let mut ports = wanted.to_vec();
        for port in &mut ports {
            if port.public == 0 {
                port.public = self.next_port;
                self.next_port = self.next_port.checked_add(1).unwrap_or(32_768);
                continue;
            }
            let clash = |other: &Port| {
                other.public == port.public
                    && other.protocol == port.protocol
                    && (other.host_ip == port.host_ip
                        || *other.host_ip == *"0.0.0.0"
                        || *port.host_ip == *"0.0.0.0")
            };
            if self.containers.values().any(|c| c.state.is_up() && c.ports.iter().any(clash)) {
                let name = self.containers.get(&at).map_or("", |c| &*c.name);
                return Err(Refusal::server(format!(
                    "driver failed programming external connectivity on endpoint {name}: Bind for {}:{} failed: port is already allocated",
                    port.host_ip, port.public
                )));
            }
        }
        Ok(ports.into())
    }

    /// It ends with `code`; publishes `die`, and `destroy` where it removes itself.
    pub fn die(&mut self, at: u32, code: i32, now: i64) {
        let Some(container) = self.containers.get_mut(&at) else { return };
        if !container.state.is_up() {
            return;
        }
        container.state = State::Exited;
        container.exit_code = code;
        container.finished = now;
        container.ports = Box::default();
        let joined = container.networks.clone();
        self.publish(at, now, "die", &format!("\"exitCode\":\"{code}\""));
        for network in joined {
            self.publish_network(&network, "disconnect", at, now);
        }
    }

    /// Removes itself if it was created with `--rm`.
    pub fn reap(&mut self, at: u32, now: i64) {
        if self.containers.get(&at).is_some_and(|c| c.spec.auto_remove && !c.state.is_up()) {
            self.remove(at, now);
        }
    }

    pub fn remove(&mut self, at: u32, now: i64) {
        let Some(container) = self.containers.remove(&at) else { return };
        self.by_id.remove(&container.id);
        self.by_name.remove(&container.name);
        self.execs.retain(|_, exec| exec.container != container.id);
        if self.removed.len() == 64 {
            self.removed.pop_front();
        }
        self.removed.push_back((container.id, container.exit_code));
        self.publish_of(&container, now, "destroy", "");
    }

    /// The exit code of a container that was removed lately.
    pub fn removed_code(&self, id: Id) -> Option<i32> {
        self.removed.iter().rev().find(|(other, _)| *other == id).map(|(_, code)| *code)
    }

    /// Publishes a container event; `extra` is more attributes, without braces.
    pub fn publish(&mut self, at: u32, now: i64, action: &str, extra: &str) {
        if let Some(container) = self.containers.remove(&at) {
            self.publish_of(&container, now, action, extra);
            self.containers.insert(at, container);
        }
    }

    fn publish_of(&mut self, container: &Container, now: i64, action: &str, extra: &str) {
        let mut attributes = String::with_capacity(256);
        container.write_labels(&mut attributes);
        if !attributes.is_empty() {
            attributes.push(',');
        }
        if !extra.is_empty() {
            attributes.push_str(extra);
            attributes.push(',');
        }
        let _ = write!(
            attributes,
            "\"image\":{},\"name\":{}",
            quoted(&container.spec.image),
            quoted(&container.name)
        );
        let subject = Subject {
            kind: "container",
            id: &container.id.to_string(),
            attributes: &attributes,
            from: Some(&container.spec.image),
        };
        self.events.publish(now, action, subject);
    }

    pub fn publish_network(&mut self, network: &Network, action: &str, at: u32, now: i64) {
        let Some(container) = self.containers.get(&at) else { return };
        let attributes = format!(
            "\"container\":\"{}\",\"name\":{},\"type\":{}",
            container.id,
            quoted(&network.name),
            quoted(&network.driver)
        );
        let id = network.id.to_string();
        let subject = Subject { kind: "network", id: &id, attributes: &attributes, from: None };
        self.events.publish(now, action, subject);
    }
}
