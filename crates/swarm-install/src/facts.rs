//! What the scripts said of a machine, read. Pure.
//!
//! Invariant: a line that is not known is ignored, and an answer without its end is none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifest::Manifest;

/// Who we are over there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// Root, or somebody for whom sudo asks nothing.
    pub rights: Rights,
    /// The machine's own address at which ssh reached it.
    pub address: Option<String>,
}

/// Whether we may do what has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rights {
    /// Root.
    Root,
    /// By `sudo`, which asks nothing.
    Sudo,
    /// `sudo` wants a password, or refuses.
    Refused,
    /// There is no `sudo`.
    #[default]
    None,
}

/// What is on a machine.
#[allow(clippy::struct_excessive_bools)] // Each is a fact by itself; none follows from another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// `Linux`.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub machine: String,
    /// Its own name.
    pub hostname: String,
    /// For people.
    pub os: String,
    /// Seconds since 1970, as it thinks.
    pub clock: Option<i64>,
    /// Whether systemd runs it.
    pub systemd: bool,
    /// The engine.
    pub engine: Engine,
    /// SHA-256 of the binary where `swarm up` puts it.
    pub binary: Option<String>,
    /// What the binary of a package says of its version.
    pub packaged: Option<String>,
    /// The daemon's unit.
    pub unit: Option<Unit>,
    /// The units of a pool's services, by their names, as far as they are there.
    pub services: BTreeMap<String, Unit>,
    /// The files with a pool's tokens that are there.
    pub tokens: BTreeSet<String>,
    /// TCP ports at which somebody listens.
    pub listening: BTreeSet<u16>,
    /// What an earlier `swarm up` put there.
    pub manifest: Option<Manifest>,
    /// A manifest that this version cannot read.
    pub odd_manifest: bool,
    /// Whether the folder of settings is there.
    pub settings: bool,
    /// Whether the folder of a node's data is there.
    pub data: bool,
    /// Whether a manager's store is in it; who leaves, or becomes a worker, has none any more.
    pub store: bool,
    /// Whether a daemon's socket is there.
    pub node_socket: bool,
    /// Whether somebody listens at port 2377.
    pub port_taken: bool,
    /// A firewall that lets nobody to port 2377.
    pub firewall: Option<String>,
}

/// The engine of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Engine {
    /// There is none.
    #[default]
    None,
    /// It is installed, and its socket is not there.
    Stopped,
    /// Its socket is there, and it does not answer.
    Silent,
    /// Its socket is there; there is nothing to ask it with.
    Unasked,
    /// It answers.
    Answers {
        /// Its version.
        version: String,
        /// Its own swarm mode's state: `inactive` is as it should be.
        swarm: String,
    },
}

/// The daemon's unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// Where it is.
    pub file: String,
    /// Its SHA-256.
    pub sum: String,
    /// Whether it runs.
    pub active: bool,
    /// Whether it is started with the machine.
    pub enabled: bool,
}

/// Lines of a word and its value.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(' ')).map(|(key, value)| (key, value.trim()))
}

impl Who {
    /// Reads the answer to `WHO`; `None` where it is none.
    pub fn read(text: &str) -> Option<Self> {
        let mut uid = None;
        let mut who = Self::default();
        for (key, value) in lines(text) {
            match (key, value) {
                ("uid", value) => uid = value.parse::<u32>().ok(),
                ("sudo", "yes") => who.rights = Rights::Sudo,
                ("sudo", "refused") => who.rights = Rights::Refused,
                // Client, its port, server, its port (ssh(1)).
                ("connection", value) => {
                    who.address = value.split(' ').nth(2).and_then(usable);
                }
                _ => {}
            }
        }
        if uid? == 0 {
            who.rights = Rights::Root;
        }
        Some(who)
    }
}

/// An address at which others may reach it too: not one of the machine's own inside.
fn usable(text: &str) -> Option<String> {
    let address: std::net::IpAddr = text.parse().ok()?;
    let link_local = match address {
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    (!address.is_loopback() && !address.is_unspecified() && !link_local)
        .then(|| address.to_string())
}

impl Facts {
    /// Reads the answer to `FACTS`; `None` where it is not whole.
    pub fn read(text: &str) -> Option<Self> {
        let (mut facts, mut whole) = (Self::default(), false);
        let (mut socket, mut unasked, mut installed, mut info) = (false, false, false, None);
        let mut unit = Unit::default();
        for (key, value) in lines(text) {
            let owned = || value.to_owned();
            match key {
                "kernel" => facts.kernel = owned(),
                "machine" => facts.machine = owned(),
                "hostname" => facts.hostname = owned(),
                "os" => facts.os = owned(),
                "clock" => facts.clock = value.parse().ok(),
                "systemd" => facts.systemd = true,
                "socket" => socket = true,
                "unasked" => unasked = true,
                "dockerd" => installed = true,
                "info" => info = serde_json::from_str::<Value>(value).ok(),
                "binary" => facts.binary = Some(owned()),
                "packaged" => facts.packaged = Some(owned()),
                "unit" => unit.file = owned(),
                "unit-sum" => unit.sum = owned(),
                "active" => unit.active = value == "active",
                "enabled" => unit.enabled = value == "enabled",
                "service" => facts.services.extend(service(value)),
                "token" => facts.tokens.extend([owned()]),
                "listening" => {
                    let ports = value.split(' ').map(|port| u16::from_str_radix(port, 16));
                    facts.listening = ports.filter_map(Result::ok).collect();
                }
                "manifest" => {
                    facts.manifest = Manifest::read(value);
                    facts.odd_manifest = facts.manifest.is_none();
                }
                "settings" => facts.settings = true,
                "data" => facts.data = true,
                "store" => facts.store = true,
                "node-socket" => facts.node_socket = true,
                "port-2377" => facts.port_taken = true,
                "firewall" => facts.firewall = Some(owned()),
                "end" => whole = true,
                _ => {}
            }
        }
        facts.unit = Some(unit).filter(|unit| !unit.file.is_empty());
        facts.engine = match info {
            Some(info) => Engine::Answers {
                version: text_of(&info, "ServerVersion"),
                swarm: text_of(&info["Swarm"], "LocalNodeState"),
            },
            None if unasked => Engine::Unasked,
            None if socket => Engine::Silent,
            None if installed => Engine::Stopped,
            None => Engine::None,
        };
        whole.then_some(facts)
    }

    /// Whether the daemon's unit is another's than ours: a package's, or a person's.
    pub fn is_installed_otherwise(&self) -> bool {
        self.manifest.is_none() && !self.odd_manifest && self.unit.is_some()
    }
}

/// A line of a service: name, SHA-256, whether it runs and whether it is enabled, and its file.
fn service(line: &str) -> Option<(String, Unit)> {
    let words: Vec<_> = line.split(' ').collect();
    let [name, sum, active, enabled, file] = words[..] else { return None };
    let (active, enabled) = (active == "active", enabled == "enabled");
    Some((name.to_owned(), Unit { file: file.to_owned(), sum: sum.to_owned(), active, enabled }))
}

/// A field's text; empty where there is none.
pub fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_we_are_is_read() {
        let root = Who::read("uid 0\nconnection 10.0.0.9 5000 10.0.0.1 22\n").unwrap();
        assert_eq!((root.rights, root.address.as_deref()), (Rights::Root, Some("10.0.0.1")));
        for (text, rights) in [
            ("Welcome!\nuid 1000\nsudo yes", Rights::Sudo),
            ("uid 1000\nsudo refused", Rights::Refused),
            ("uid 1000\nsudo missing", Rights::None),
        ] {
            assert_eq!(Who::read(text).unwrap().rights, rights);
        }
        assert_eq!(Who::read("This account is not available."), None);
        let behind = "uid 0\nconnection 127.0.0.1 5000 127.0.0.1 22";
        assert_eq!(Who::read(behind).unwrap().address, None, "reached through a forwarded port");
    }

    #[test]
    fn facts_are_read() {
        let text = "kernel Linux\nmachine x86_64\nhostname h1\nclock 17\nsystemd yes\nsocket yes\n\
            info {\"ServerVersion\":\"28.5\",\"Swarm\":{\"LocalNodeState\":\"inactive\"}}\n\
            unit /etc/systemd/system/swarm-daemon.service\nunit-sum ab\nactive inactive\n\
            enabled enabled\nnew thing\nfirewall ufw\nlistening 0016 0947\n\
            service swarm-join.service cd active disabled /etc/systemd/system/swarm-join.service\n\
            token /etc/swarm/up-token\nend yes\n";
        let facts = Facts::read(text).unwrap();
        let engine = Engine::Answers { version: "28.5".into(), swarm: "inactive".into() };
        assert_eq!(facts.engine, engine);
        let unit = facts.unit.clone().unwrap();
        assert!(unit.enabled && !unit.active && unit.sum == "ab");
        assert!(facts.is_installed_otherwise() && facts.systemd && !facts.data);
        assert_eq!(facts.listening, BTreeSet::from([22, 2375]));
        let join = &facts.services["swarm-join.service"];
        assert!(join.active && !join.enabled && join.sum == "cd" && facts.tokens.len() == 1);
        assert_eq!((facts.clock, facts.firewall.as_deref()), (Some(17), Some("ufw")));
        assert_eq!(Facts::read(text.strip_suffix("end yes\n").unwrap()), None, "not whole");
        for (lines, engine) in [
            ("socket yes\n", Engine::Silent),
            ("socket yes\nunasked yes\n", Engine::Unasked),
            ("dockerd yes\n", Engine::Stopped),
            ("", Engine::None),
        ] {
            assert_eq!(Facts::read(&format!("{lines}end yes")).unwrap().engine, engine);
        }
    }
}
