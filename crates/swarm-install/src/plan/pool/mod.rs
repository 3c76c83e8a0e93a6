//! A pool's machines: each has an agent that serves its engine by TLS and keeps it registered, and managers have
//! the pool's store and its API. From what was seen to the steps of `swarm up --pool` and of its end. Pure.
//!
//! Invariants: an engine is left as it is; a machine is in a swarm or in a pool; a unit's text depends on the
//! machine's part alone, so that what is as it should be is recognised by its sum.

mod down;
mod up;

use std::fmt;

pub use down::plan_pool_down;
pub use up::plan_pool_up;

use crate::look::{Look, Seen};
use crate::manifest::Part;
use crate::script::{
    BINARY, ENDPOINT_FILES, JOIN_UNIT, MANAGE_UNIT, MANAGER_TOKEN, NODE_TOKEN, POOL_DATA,
    POOL_SOCKET, UNITS,
};

/// Where agents serve their engines: Docker's own port for that.
pub const ENGINE_PORT: u16 = 2376;
/// Where managers have the store.
pub const STORE_PORT: u16 = 2378;
/// Where managers serve the pool unless another port is asked for: docker-machine's for Swarm.
pub const USUAL_PORT: u16 = 3376;

const PACKAGED_JOIN: &str = include_str!("../../../../../contrib/systemd/swarm-join.service");
const PACKAGED_MANAGE: &str = include_str!("../../../../../contrib/systemd/swarm-manage.service");

/// A service of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The agent, on every machine.
    Join,
    /// The manager.
    Manage,
}

impl Service {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Join => JOIN_UNIT,
            Self::Manage => MANAGE_UNIT,
        }
    }

    /// Where its unit is put.
    pub fn file(self) -> String {
        format!("{UNITS}/{}", self.unit())
    }

    /// The token that it needs; the first manager needs none.
    pub fn token(self) -> &'static str {
        match self {
            Self::Join => NODE_TOKEN,
            Self::Manage => MANAGER_TOKEN,
        }
    }

    /// The unit's text on a machine of that part.
    pub fn text(self, part: &Part) -> String {
        let (packaged, line) = match self {
            Self::Join => (PACKAGED_JOIN, join_line(part)),
            Self::Manage => (PACKAGED_MANAGE, manage_line(part)),
        };
        let mut text = String::new();
        for given in packaged.lines() {
            let kept = match given {
                // Its settings are on its command line.
                _ if given.starts_with('#') || given.starts_with("EnvironmentFile=") => continue,
                // It has to reach the engine's socket and read its own key.
                _ if given.starts_with("DynamicUser=") => "LimitNOFILE=1048576".to_owned(),
                _ if given.starts_with("ExecStart=") => format!("ExecStart={}", line.join(" ")),
                _ => given.to_owned(),
            };
            text += &kept;
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join => "agent",
            Self::Manage => "manager",
        })
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
pub fn place(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// All addresses of the kind that the machine is reached by.
fn everywhere(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[::]:{port}") } else { format!("0.0.0.0:{port}") }
}

fn places(addresses: &[String], port: u16) -> String {
    let places: Vec<_> = addresses.iter().map(|address| place(address, port)).collect();
    places.join(",")
}

fn tls() -> [String; 4] {
    let [ca, cert, key] = ENDPOINT_FILES;
    [
        "--tlsverify".to_owned(),
        format!("--tlscacert={ca}"),
        format!("--tlscert={cert}"),
        format!("--tlskey={key}"),
    ]
}

/// The agent's command line.
fn join_line(part: &Part) -> Vec<String> {
    let mut line = vec![
        BINARY.to_owned(),
        "join".to_owned(),
        format!("--advertise={}", place(&part.address, ENGINE_PORT)),
        format!("--listen=tcp://{}", everywhere(&part.address, ENGINE_PORT)),
    ];
    line.extend(tls());
    line.push(format!("--discovery-opt=kv.tokenfile={NODE_TOKEN}"));
    line.push(format!("swarm://{}", places(&part.managers, STORE_PORT)));
    line
}

/// The manager's command line.
pub fn manage_line(part: &Part) -> Vec<String> {
    let mut line = vec![
        BINARY.to_owned(),
        "manage".to_owned(),
        format!("--host=unix://{POOL_SOCKET}"),
        format!("--host=tcp://{}", everywhere(&part.address, part.port)),
    ];
    line.extend(tls());
    line.extend([
        format!("--data-dir={POOL_DATA}"),
        format!("--store-listen={}", everywhere(&part.address, STORE_PORT)),
        format!("--store-advertise={}", place(&part.address, STORE_PORT)),
    ]);
    if part.managers.len() > 1 {
        line.push("--replication".to_owned());
        line.push(format!("--advertise={}", place(&part.address, part.port)));
    }
    // Those before it are there when it comes; the first one began the store.
    let before: Vec<_> =
        part.managers.iter().take_while(|other| **other != part.address).cloned().collect();
    if !before.is_empty() {
        line.push(format!("--store-join={}", places(&before, STORE_PORT)));
        line.push(format!("--store-token-file={MANAGER_TOKEN}"));
    }
    line.push("swarm://".to_owned());
    line
}

/// A machine's part, where it has one.
pub fn part(seen: &Seen) -> Option<&Part> {
    seen.facts.manifest.as_ref()?.pool.as_ref()
}

/// The managers of the pool that the machines are in, as the newest list has them, and its generation.
pub fn managers_of(look: &Look) -> (Vec<String>, u64) {
    let newest = look.hosts.iter().filter_map(part).max_by_key(|part| part.generation);
    newest.map(|part| (part.managers.clone(), part.generation)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
