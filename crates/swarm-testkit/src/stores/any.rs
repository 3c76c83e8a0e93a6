//! Whichever store a test is run with: one body, an instance for each kind.
//!
//! Invariant: what is read here is read by the store's own tools, past the code under test.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::{ConsulServer, EtcdOptions, EtcdServer, Server, ZooKeeperServer, consul, zookeeper};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Consul,
    Etcd,
    ZooKeeper,
}

/// A running server of it, which ends with this value.
#[derive(Debug)]
pub enum AnyStore {
    Consul(ConsulServer),
    Etcd(Box<EtcdServer>),
    ZooKeeper(ZooKeeperServer),
}

impl AnyStore {
    /// Starts one server, and waits until it serves.
    pub fn start(kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Consul => Self::Consul(ConsulServer::start(consul::Config::default())?),
            Kind::Etcd => Self::Etcd(Box::new(EtcdServer::start(&EtcdOptions::default())?)),
            Kind::ZooKeeper => {
                // Sessions last two ticks at least, and tests are not to wait for four seconds.
                let tick = Duration::from_millis(500);
                let config = zookeeper::Config { tick, ..zookeeper::Config::default() };
                Self::ZooKeeper(ZooKeeperServer::start(config)?)
            }
        })
    }

    /// The discovery URL of a pool at `prefix`.
    pub fn url(&self, prefix: &str) -> String {
        match self {
            Self::Consul(server) => server.url(prefix),
            Self::Etcd(server) => format!("etcd://{}/{prefix}", server.hosts().join(",")),
            Self::ZooKeeper(server) => server.url(prefix),
        }
    }

    /// How long a lock lives that is asked for `ttl` and not renewed: what the store keeps it for at
    /// the least. Consul ends no session before 20 seconds.
    pub fn keeps(&self, ttl: Duration) -> Duration {
        match self {
            Self::Consul(_) => ttl.max(Duration::from_secs(20)),
            Self::Etcd(_) | Self::ZooKeeper(_) => ttl,
        }
    }

    /// The names of the keys directly below `directory`, sorted.
    pub fn names(&self, directory: &str) -> Result<Vec<String>> {
        let prefix = format!("{directory}/");
        let mut names: Vec<String> = match self {
            Self::Consul(server) => {
                let keys = server.ask(0, "GET", &format!("/v1/kv/{prefix}?keys"), "");
                // Consul has no empty directories: there is none where nothing is in it.
                let keys: Value = match keys {
                    Err(error) if error.to_string().contains(" 404 ") => Value::Null,
                    keys => serde_json::from_str(&keys?)?,
                };
                let keys = keys.as_array().cloned().unwrap_or_default();
                let keys = keys.iter().filter_map(|key| key.as_str()?.strip_prefix(&prefix));
                keys.map(str::to_owned).collect()
            }
            Self::Etcd(server) => {
                let keys = server.control(&["get", "--prefix", "--keys-only", &prefix])?;
                keys.lines()
                    .filter_map(|key| key.strip_prefix(&prefix))
                    .map(str::to_owned)
                    .collect()
            }
            Self::ZooKeeper(server) => server.children(&format!("/{directory}"))?,
        };
        names.sort();
        Ok(names)
    }

    /// The process, to stop it or let it crash.
    pub fn server(&mut self) -> &mut Server {
        match self {
            Self::Consul(server) => server.server(0),
            Self::Etcd(server) => server.member(0),
            Self::ZooKeeper(server) => server.server(0),
        }
    }

    /// Starts it again with its data, and waits until it serves.
    pub fn restart(&mut self) -> Result<()> {
        match self {
            Self::Consul(server) => server.restart(0),
            Self::Etcd(server) => server.restart(0),
            Self::ZooKeeper(server) => server.restart(0),
        }
    }
}
