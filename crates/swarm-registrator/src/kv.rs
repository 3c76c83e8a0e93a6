//! A registry in a key-value store: `<prefix>/<name>/<id>` with the value `ip:port`, as
//! gliderlabs/registrator writes it (`consulkv/consulkv.go`, `etcd/etcd.go`).
//!
//! Other than there, each host keeps a list of its keys at `<prefix>-registrators/<host>`: it is the
//! mark by which a registrator knows its own entries after a crash, in stores that have no other. A
//! key is on the list before it is written. With a TTL, entries and list hang on one lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use swarm_kv::{Expect, KeyValue, Lease, Result, StoreError, Write};

use crate::registry::{Entry, Held, Observed, Registry, Term};
use crate::service::Service;

/// Where services are in a store whose URL names no place.
pub const DEFAULT_PREFIX: &str = "services";

/// The list's line of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    container: String,
    /// What was written, or is about to be: another value is another's.
    values: BTreeSet<String>,
}

type List = BTreeMap<String, Line>;

/// A registry in a key-value store.
#[derive(Debug)]
pub struct Keys {
    store: Arc<dyn KeyValue>,
    prefix: String,
    list_key: String,
    term: Option<Term>,
    lease: Option<Lease>,
    /// Written under the lease.
    bound: BTreeSet<String>,
    list: List,
    /// The list is in the store as it is here.
    list_is_written: bool,
}

impl Keys {
    /// Entries below `prefix`, with or without a slash before it, for `host`.
    pub fn new(store: Arc<dyn KeyValue>, prefix: &str, host: &str, term: Option<Term>) -> Self {
        Self {
            store,
            prefix: prefix.to_owned(),
            list_key: format!("{prefix}-registrators/{host}"),
            term,
            lease: None,
            bound: BTreeSet::new(),
            list: List::new(),
            list_is_written: false,
        }
    }

    fn write(&self, key: &str, value: impl Into<bytes::Bytes>) -> Write {
        let write = Write::new(key, value);
        match &self.lease {
            Some(lease) => write.leased(lease),
            None => write,
        }
    }

    /// What is done under a lease that is over is begun anew with another.
    fn noting<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if matches!(outcome, Err(StoreError::LeaseLost { .. })) {
            self.lease = None;
            self.bound.clear();
            self.list_is_written = false;
        }
        outcome
    }

    async fn write_list(&mut self, list: List) -> Result<()> {
        if self.list_is_written && list == self.list {
            return Ok(());
        }
        self.list_is_written = false;
        if list.is_empty() {
            self.store.delete(&self.list_key, Expect::Anything, None).await?;
        } else {
            let text = serde_json::to_vec(&list).map_err(|error| StoreError::Option {
                option: self.list_key.clone(),
                reason: format!("it cannot be written: {error}"),
            })?;
            let write = self.write(&self.list_key, text);
            let outcome = self.store.put(write).await;
            self.noting(outcome)?;
        }
        self.list = list;
        self.list_is_written = true;
        Ok(())
    }
}

#[async_trait]
impl Registry for Keys {
    fn describe(&self) -> String {
        self.store.describe()
    }

    fn entry(&self, service: &Service) -> std::result::Result<Entry, String> {
        let bad = |part: &str| part.is_empty() || part == "." || part == "..";
        for (what, text) in [("name", &service.name), ("id", &service.id)] {
            if text.split('/').any(bad) {
                return Err(format!("its {what} {text:?} cannot be part of a key"));
            }
        }
        let key = format!("{}/{}/{}", self.prefix, service.name, service.id);
        let host =
            if service.ip.contains(':') { format!("[{}]", service.ip) } else { service.ip.clone() };
        let form = format!("{host}:{}", service.port);
        Ok(Entry { key, form, container: service.container.clone(), body: None })
    }

    async fn observe(&mut self) -> Result<Observed> {
        if let (Some(term), None) = (self.term, &self.lease) {
            self.lease = Some(self.store.grant(term.ttl).await?);
            self.bound.clear();
            self.list_is_written = false;
        }
        let found = self.store.get(&self.list_key).await?;
        self.list_is_written &= found.is_some();
        let mut list: List = match found {
            Some(item) => {
                serde_json::from_slice(&item.value).map_err(|error| StoreError::Option {
                    option: self.list_key.clone(),
                    reason: format!("it is no registrator's list ({error}); delete it"),
                })?
            }
            None => self.list.clone(),
        };
        let mut observed = Observed::default();
        for (key, line) in &mut list {
            let Some(item) = self.store.get(key).await? else { continue };
            let value = String::from_utf8_lossy(&item.value).into_owned();
            if !line.values.contains(&value) {
                observed.taken.insert(key.clone(), format!("another ({value})"));
                continue;
            }
            // Values of before are no longer of use, and a list does not grow for ever.
            if line.values.len() > 1 {
                line.values = BTreeSet::from([value.clone()]);
                self.list_is_written = false;
            }
            let current = self.term.is_none() || self.bound.contains(key);
            let form = if current { value } else { String::new() };
            let container = line.container.clone();
            observed.held.insert(key.clone(), Held { key: key.clone(), form, container });
        }
        self.list = list;
        Ok(observed)
    }

    async fn announce(&mut self, entries: &[Entry]) -> Result<()> {
        let mut list = self.list.clone();
        for entry in entries {
            let line = list.entry(entry.key.clone()).or_default();
            line.container.clone_from(&entry.container);
            line.values.insert(entry.form.clone());
        }
        self.write_list(list).await
    }

    async fn put(&mut self, entry: &Entry) -> Result<()> {
        let outcome = self.store.put(self.write(&entry.key, entry.form.clone())).await;
        self.noting(outcome)?;
        self.bound.insert(entry.key.clone());
        Ok(())
    }

    async fn remove(&mut self, held: &Held) -> Result<()> {
        if let Some(item) = self.store.get(&held.key).await? {
            let value = String::from_utf8_lossy(&item.value).into_owned();
            if self.list.get(&held.key).is_some_and(|line| line.values.contains(&value)) {
                match self.store.delete(&held.key, Expect::Revision(item.revision), None).await {
                    // Another has written it meanwhile: it is theirs.
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.bound.remove(&held.key);
        let mut list = self.list.clone();
        list.remove(&held.key);
        self.write_list(list).await
    }

    async fn refresh(&mut self) -> Result<bool> {
        let Some(lease) = self.lease.clone() else { return Ok(self.term.is_none()) };
        let outcome = self.store.renew(&lease).await;
        match self.noting(outcome) {
            Ok(()) => Ok(true),
            Err(StoreError::LeaseLost { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
