//! One container as the pool keeps it: its list entry, and what it takes from its engine.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use swarm_core::placement::extract::reserved_by;
use swarm_core::placement::node::Resources;
use swarm_core::placement::ports::PortUse;
use swarm_core::placement::request::LABEL_ID;
use swarm_docker::container::{InspectFacts, LABEL_TASK_ID, ListEntry, PortBinding, State};
use swarm_docker::json::ParseError;
use swarm_model::intent::LABEL_GENERATION;

use super::Identity;

/// A container on an engine.
#[derive(Debug)]
pub struct Container {
    /// What lists show and filters ask.
    pub entry: ListEntry,
    /// What it has reserved.
    pub reserved: Resources,
    /// Host ports it publishes, or would when started.
    pub ports: Box<[PortUse]>,
    /// Ports it exposes in its host's network.
    pub host_ports: Box<[PortUse]>,
    /// Fingerprint of the engine's list element it was read from.
    pub listed: u64,
}

impl Container {
    /// Builds it from the engine's two answers. Without the second, nothing is known of what it has
    /// reserved, and it is shown as the engine's list shows it.
    pub fn new(
        listed: &[u8],
        facts: Option<&InspectFacts>,
        identity: &Identity,
    ) -> Result<Self, ParseError> {
        let entry = ListEntry::parse(listed, &identity.name, &identity.ip, facts)?;
        let Some(facts) = facts else {
            return Ok(Self {
                entry,
                reserved: Resources::default(),
                ports: Box::default(),
                host_ports: Box::default(),
                // Not the list's fingerprint: it is asked again when the list is read again.
                listed: 0,
            });
        };
        let bindings = facts.port_bindings.iter().chain(&facts.bound_ports);
        let mut ports: Vec<PortUse> = bindings.filter_map(port_use).collect();
        ports.sort_unstable();
        ports.dedup();
        let host_ports = if &*facts.network_mode == "host" {
            facts.exposed_ports.iter().filter_map(PortUse::from_exposed).collect()
        } else {
            Box::default()
        };
        Ok(Self {
            entry,
            reserved: reserved_by(facts.cpu_shares, facts.nano_cpus, facts.memory, identity.cpus),
            ports: ports.into(),
            host_ports,
            listed: fingerprint(listed),
        })
    }

    /// Full id.
    pub fn id(&self) -> &str {
        self.entry.id()
    }

    /// Full id, to keep.
    pub fn shared_id(&self) -> Arc<str> {
        self.entry.shared_id()
    }

    /// Its own names, without slashes; aliases that links give it (`/web/db`) are not its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entry.names().iter().filter(|name| !name.contains('/'))
    }

    /// The pool's id for it, where it was made through a pool.
    pub fn swarm_id(&self) -> Option<&str> {
        self.entry.labels().get(LABEL_ID)
    }

    /// For which of its intent's generations it was made.
    pub fn generation(&self) -> u64 {
        self.entry.labels().get(LABEL_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    /// A swarm's task runs in it.
    pub fn is_of_task(&self) -> bool {
        self.entry.labels().get(LABEL_TASK_ID).is_some()
    }

    /// Made and never started.
    pub fn is_fresh(&self) -> bool {
        self.entry.state().state == State::Created
    }
}

fn port_use(binding: &PortBinding) -> Option<PortUse> {
    let container_port = format!("{}/{}", binding.container_port, binding.protocol.as_str());
    PortUse::from_binding(&container_port, &binding.host_ip, &binding.host_port)
}

/// A fingerprint of a list, or of one element of it, that does not change as time passes: the words
/// of each `Status` ("Up 3 minutes") are left out but for what stands in parentheses (exit code,
/// health, paused).
pub fn fingerprint(listed: &[u8]) -> u64 {
    const STATUS: &[u8] = b"\"Status\":\"";
    let mut hasher = DefaultHasher::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(listed, STATUS) {
        let start = at + STATUS.len();
        if start < from {
            continue;
        }
        hasher.write(&listed[from..start]);
        let length = memchr::memchr(b'"', &listed[start..]).unwrap_or(0);
        let words = &listed[start..start + length];
        if let Some(open) = memchr::memchr(b'(', words) {
            let close = memchr::memchr(b')', words).unwrap_or(words.len());
            hasher.write(words.get(open..close).unwrap_or_default());
        }
        from = start + length;
    }
    hasher.write(&listed[from..]);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(status: &str) -> Vec<u8> {
        format!("{{\"Id\":\"a\",\"State\":\"running\",\"Status\":\"{status}\",\"Ports\":[]}}")
            .into_bytes()
    }

    #[test]
    fn a_fingerprint_ignores_the_clock_and_sees_the_state() {
        let up = fingerprint(&element("Up 3 minutes"));
        assert_eq!(up, fingerprint(&element("Up 4 minutes")));
        assert_ne!(up, fingerprint(&element("Up 4 minutes (healthy)")));
        assert_ne!(
            fingerprint(&element("Exited (0) 1 second ago")),
            fingerprint(&element("Exited (1) 1 second ago"))
        );
        assert_ne!(up, fingerprint(b"{\"Id\":\"a\"}"));
        let list = |first, second| fingerprint(&[element(first), element(second)].concat());
        assert_eq!(list("Up 1 second", "Up 2 hours"), list("Up 9 seconds", "Up 3 hours"));
        assert_ne!(list("Up 1 second", "Up 2 hours"), list("Up 1 second", "Up 2 hours (Paused)"));
    }
}
