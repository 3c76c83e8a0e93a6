//! The port of a service registry: what this host has in it, and changing it.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use swarm_consul::Registration;
use swarm_kv::Result;

use crate::service::Service;

/// How long an entry lives that nobody refreshes.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// Gone at about this time after the last refresh.
    pub ttl: Duration,
    /// Between two refreshes.
    pub refresh: Duration,
}

/// A service as a registry writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the registry.
    pub key: String,
    /// Tells whether what is there is as it should be.
    pub form: String,
    /// The container's id.
    pub container: String,
    /// What Consul's catalogue is told.
    pub body: Option<Registration>,
}

/// An entry that bears this host's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its place in the registry.
    pub key: String,
    /// See [`Entry::form`]; empty where it must be written again.
    pub form: String,
    /// The container's id; empty where it is not known.
    pub container: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// This host's, by key.
    pub held: BTreeMap<String, Held>,
    /// Another's, by key, with its name.
    pub taken: BTreeMap<String, String>,
}

/// A service registry. Every call ends within a deadline times the entries it is about.
#[async_trait]
pub trait Registry: Send {
    /// Its URL, for messages.
    fn describe(&self) -> String;

    /// How a service is written, or why it cannot be.
    fn entry(&self, service: &Service) -> std::result::Result<Entry, String>;

    /// What this host has in it.
    async fn observe(&mut self) -> Result<Observed>;

    /// Told before entries are written, so that a crash in between leaves none that is not known.
    async fn announce(&mut self, entries: &[Entry]) -> Result<()>;

    /// Writes an entry.
    async fn put(&mut self, entry: &Entry) -> Result<()>;

    /// Takes an entry out; one that is not there any more is none.
    async fn remove(&mut self, held: &Held) -> Result<()>;

    /// Keeps the entries alive. `false` when some have been lost, and must be looked for.
    async fn refresh(&mut self) -> Result<bool>;
}
