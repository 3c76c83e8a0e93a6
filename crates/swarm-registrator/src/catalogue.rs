//! A registry in Consul's service catalogue, through the agent beside the engine.
//!
//! The mark is the service's metadata: `registrator-host`, `registrator-container`, and
//! `registrator-form`, a digest of what was registered. With a TTL each service has a second check,
//! which this passes by and by; Consul takes the service out when nobody does, a minute later at the
//! soonest (`DeregisterCriticalServiceAfter` has that minimum).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use swarm_consul::{Catalogue, Check, Registration};
use swarm_kv::{Result, StoreError};

use crate::check::{check, meta};
use crate::registry::{Entry, Held, Observed, Registry, Term};
use crate::service::Service;

const HOST: &str = "registrator-host";
const CONTAINER: &str = "registrator-container";
const FORM: &str = "registrator-form";
/// Consul's own minimum.
const SOONEST: Duration = Duration::from_mins(1);

/// A registry in Consul's service catalogue.
#[derive(Debug)]
pub struct ConsulServices {
    catalogue: Catalogue,
    host: String,
    term: Option<Term>,
    /// Entries that look like this host's and have no mark are its own too.
    cleanup: bool,
    /// What is refreshed.
    alive: BTreeSet<String>,
    /// Consul has lost their TTL checks.
    lost: BTreeSet<String>,
}

impl ConsulServices {
    /// Services of `host`.
    pub fn new(catalogue: Catalogue, host: &str, term: Option<Term>, cleanup: bool) -> Self {
        let (alive, lost) = (BTreeSet::new(), BTreeSet::new());
        Self { catalogue, host: host.to_owned(), term, cleanup, alive, lost }
    }

    fn ttl_check(&self, id: &str, term: Term) -> Check {
        Check {
            id: ttl_check_id(id),
            name: Some(format!("registrator on {}", self.host)),
            ttl: Some(format!("{}ms", term.ttl.as_millis())),
            status: Some("passing".to_owned()),
            deregister_after: Some(format!("{}ms", term.ttl.max(SOONEST).as_millis())),
            ..Check::default()
        }
    }
}

fn ttl_check_id(id: &str) -> String {
    format!("registrator:{id}")
}

/// `<host>:<container>:<port>[:udp]` of this host.
fn looks_like_ours(id: &str, host: &str) -> bool {
    let Some(rest) = id.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    let rest = rest.strip_suffix(":udp").unwrap_or(rest);
    rest.split_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

#[async_trait]
impl Registry for ConsulServices {
    fn describe(&self) -> String {
        self.catalogue.describe()
    }

    fn entry(&self, service: &Service) -> std::result::Result<Entry, String> {
        let mut checks: Vec<Check> = check(service)?.into_iter().collect();
        checks.extend(self.term.map(|term| self.ttl_check(&service.id, term)));
        let mut body = Registration {
            id: service.id.clone(),
            name: service.name.clone(),
            tags: service.tags.clone(),
            address: service.ip.clone(),
            port: service.port,
            meta: meta(&service.attributes),
            checks,
        };
        body.meta.insert(HOST.to_owned(), self.host.clone());
        body.meta.insert(CONTAINER.to_owned(), service.container.clone());
        let form = digest(&body)?;
        body.meta.insert(FORM.to_owned(), form.clone());
        let (key, container) = (service.id.clone(), service.container.clone());
        Ok(Entry { key, form, container, body: Some(body) })
    }

    async fn observe(&mut self) -> Result<Observed> {
        let mut observed = Observed::default();
        for (key, found) in self.catalogue.services().await? {
            let of = |name: &str| found.meta.get(name).cloned().unwrap_or_default();
            match found.meta.get(HOST) {
                Some(host) if *host == self.host => {
                    let form = if self.lost.contains(&key) { String::new() } else { of(FORM) };
                    let container = of(CONTAINER);
                    observed.held.insert(key.clone(), Held { key, form, container });
                }
                Some(host) => {
                    observed.taken.insert(key, format!("host {host}"));
                }
                None if self.cleanup && looks_like_ours(&key, &self.host) => {
                    let (form, container) = (String::new(), String::new());
                    observed.held.insert(key.clone(), Held { key, form, container });
                }
                None => {}
            }
        }
        self.alive = observed.held.keys().cloned().collect();
        self.lost.retain(|id| observed.held.contains_key(id));
        Ok(observed)
    }

    async fn announce(&mut self, _: &[Entry]) -> Result<()> {
        // Each entry bears its mark.
        Ok(())
    }

    async fn put(&mut self, entry: &Entry) -> Result<()> {
        let body = entry.body.as_ref().ok_or_else(|| StoreError::Option {
            option: entry.key.clone(),
            reason: "it was not made for a catalogue".to_owned(),
        })?;
        self.catalogue.register(body).await?;
        self.alive.insert(entry.key.clone());
        self.lost.remove(&entry.key);
        Ok(())
    }

    async fn remove(&mut self, held: &Held) -> Result<()> {
        self.catalogue.deregister(&held.key).await?;
        self.alive.remove(&held.key);
        self.lost.remove(&held.key);
        Ok(())
    }

    async fn refresh(&mut self) -> Result<bool> {
        if self.term.is_none() {
            return Ok(true);
        }
        for id in &self.alive {
            if !self.catalogue.pass(&ttl_check_id(id)).await? {
                self.lost.insert(id.clone());
            }
        }
        Ok(self.lost.is_empty())
    }
}

fn digest(body: &Registration) -> std::result::Result<String, String> {
    let text = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let mut hex = String::with_capacity(16);
    for byte in Sha256::digest(text).iter().take(8) {
        // Writing to a text cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_this_host_are_known() {
        for id in ["h:web:80", "h:web.0:53:udp"] {
            assert!(looks_like_ours(id, "h"), "{id}");
        }
        for id in ["h2:web:80", "h:web", "h:web:x", "h::80", "h", "redis", "h:web:80:tcp"] {
            assert!(!looks_like_ours(id, "h"), "{id}");
        }
    }
}
