//! The table of leases: which keys hang on which, and which are due.
//!
//! Who holds what and how often it was renewed is replicated. *When* that was is each machine's own
//! observation: it starts anew where a machine is loaded or takes over, so that a lease can only
//! live longer than it was promised, never shorter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Due;

/// One lease.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Milliseconds without renewal.
    pub ttl: u64,
    /// How often it was renewed.
    pub renewals: u64,
    /// Its keys.
    pub keys: BTreeSet<Arc<str>>,
    /// From when its time counts.
    from: u64,
    /// When it was last seen to be granted or renewed; `None` where that was not seen.
    renewed: Option<u64>,
}

/// All leases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases(BTreeMap<Arc<str>, Held>);

impl Leases {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Held)> {
        self.0.iter()
    }

    /// The shared form of a lease's name.
    pub fn name(&self, lease: &str) -> Option<Arc<str>> {
        self.0.get_key_value(lease).map(|(name, _)| Arc::clone(name))
    }

    /// `false` when there is one of this name.
    pub fn grant(&mut self, lease: &str, ttl: u64, now: u64) -> bool {
        if self.0.contains_key(lease) {
            return false;
        }
        self.load(lease.into(), ttl, 0, now);
        if let Some(held) = self.0.get_mut(lease) {
            held.renewed = Some(now);
        }
        true
    }

    /// Puts back one from a snapshot.
    pub fn load(&mut self, lease: Arc<str>, ttl: u64, renewals: u64, now: u64) {
        let keys = BTreeSet::new();
        self.0.insert(lease, Held { ttl, renewals, keys, from: now, renewed: None });
    }

    /// `false` when there is none.
    pub fn renew(&mut self, lease: &str, now: u64) -> bool {
        let Some(held) = self.0.get_mut(lease) else { return false };
        held.renewals += 1;
        held.from = now;
        held.renewed = Some(now);
        true
    }

    /// Takes a lease out, with its keys.
    pub fn end(&mut self, lease: &str) -> Option<BTreeSet<Arc<str>>> {
        self.0.remove(lease).map(|held| held.keys)
    }

    /// Whether the lease is as it was when it was seen to be due.
    pub fn is_still(&self, due: &Due) -> bool {
        self.0.get(due.lease.as_str()).is_some_and(|held| held.renewals == due.renewals)
    }

    pub fn attach(&mut self, lease: &str, key: &Arc<str>) {
        if let Some(held) = self.0.get_mut(lease) {
            held.keys.insert(Arc::clone(key));
        }
    }

    pub fn detach(&mut self, lease: &str, key: &str) {
        if let Some(held) = self.0.get_mut(lease) {
            held.keys.remove(key);
        }
    }

    pub fn renewed(&self, lease: &str) -> Option<u64> {
        self.0.get(lease)?.renewed
    }

    /// Every lease has its full time from `now`.
    pub fn restart(&mut self, now: u64) {
        for held in self.0.values_mut() {
            held.from = held.from.max(now);
        }
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<u64> {
        self.0.values().map(|held| held.from.saturating_add(held.ttl)).min()
    }

    /// How long `lease` lives without renewal, in milliseconds.
    pub fn ttl(&self, lease: &str) -> Option<u64> {
        self.0.get(lease).map(|held| held.ttl)
    }

    /// When `lease` is due.
    pub fn due_at(&self, lease: &str) -> Option<u64> {
        self.0.get(lease).map(|held| held.from.saturating_add(held.ttl))
    }

    /// Which are due.
    pub fn due(&self, now: u64) -> Vec<Due> {
        let over = self.0.iter().filter(|(_, held)| held.from.saturating_add(held.ttl) <= now);
        let due = |(lease, held): (&Arc<str>, &Held)| Due {
            lease: lease.to_string(),
            renewals: held.renewals,
        };
        over.map(due).collect()
    }
}
