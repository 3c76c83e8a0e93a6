//! A linearizable store with leases, conditions and a guard, as `swarm-kv` describes one.
//!
//! Invariants: an operation happens at one moment, whole or not at all; a key bound to a lease is
//! gone from the moment the lease is over.

use std::collections::BTreeMap;

use swarm_model::{Intent, Removed};

use crate::exec::Millis;

/// What a pool keeps.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The primary's lock: the lease it is bound to.
    Lock(u64),
    /// How many primaries there were, and the lease of the last one.
    Epoch(u64, u64),
    /// A wanted container.
    Intent(Box<Intent>),
    /// One that was removed.
    Removed(Removed),
}

/// On what a write depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// On nothing.
    Anything,
    /// The key is not there.
    Absent,
    /// The key has this revision.
    Revision(u64),
}

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The key is not as expected.
    Conflict,
    /// The guard is not as expected.
    Fenced,
    /// The lease is over.
    LeaseLost,
}

/// A key and its revision.
pub type Guard = (String, u64);

#[derive(Debug, Clone)]
struct Row {
    value: Value,
    revision: u64,
    lease: Option<u64>,
}

/// The store.
#[derive(Debug, Default)]
pub struct Store {
    rows: BTreeMap<String, Row>,
    leases: BTreeMap<u64, (Millis, Millis)>,
    count: u64,
}

impl Store {
    /// Drops what is bound to leases that are over.
    pub fn expire(&mut self, now: Millis) {
        self.leases.retain(|_, (renewed, ttl)| *renewed + *ttl > now);
        let leases = &self.leases;
        self.rows.retain(|_, row| row.lease.is_none_or(|lease| leases.contains_key(&lease)));
    }

    /// One key.
    pub fn get(&self, key: &str) -> Option<(Value, u64)> {
        self.rows.get(key).map(|row| (row.value.clone(), row.revision))
    }

    /// All keys that begin with `directory`.
    pub fn list(&self, directory: &str) -> Vec<(String, Value, u64)> {
        let rows = self.rows.range(directory.to_owned()..);
        rows.take_while(|(key, _)| key.starts_with(directory))
            .map(|(key, row)| (key.clone(), row.value.clone(), row.revision))
            .collect()
    }

    fn allowed(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<(), Refused> {
        if let Some((key, revision)) = guard
            && self.rows.get(key).map(|row| row.revision) != Some(*revision)
        {
            return Err(Refused::Fenced);
        }
        let met = match (expect, self.rows.get(key)) {
            (Expect::Anything, _) | (Expect::Absent, None) => true,
            (Expect::Absent, Some(_)) | (Expect::Revision(_), None) => false,
            (Expect::Revision(revision), Some(row)) => row.revision == revision,
        };
        if met { Ok(()) } else { Err(Refused::Conflict) }
    }

    /// Writes a key.
    pub fn put(
        &mut self,
        key: &str,
        value: Value,
        expect: Expect,
        lease: Option<u64>,
        guard: Option<&Guard>,
    ) -> Result<u64, Refused> {
        self.allowed(key, expect, guard)?;
        if lease.is_some_and(|lease| !self.leases.contains_key(&lease)) {
            return Err(Refused::LeaseLost);
        }
        self.count += 1;
        let revision = self.count;
        self.rows.insert(key.to_owned(), Row { value, revision, lease });
        Ok(revision)
    }

    /// Deletes a key; one that is not there is deleted already.
    pub fn delete(
        &mut self,
        key: &str,
        expect: Expect,
        guard: Option<&Guard>,
    ) -> Result<(), Refused> {
        let there = self.rows.contains_key(key);
        self.allowed(key, if there { expect } else { Expect::Anything }, guard)?;
        self.rows.remove(key);
        Ok(())
    }

    /// A new lease.
    pub fn grant(&mut self, now: Millis, ttl: Millis) -> u64 {
        self.count += 1;
        self.leases.insert(self.count, (now, ttl));
        self.count
    }

    /// Renews a lease.
    pub fn renew(&mut self, lease: u64, now: Millis) -> Result<(), Refused> {
        let (renewed, _) = self.leases.get_mut(&lease).ok_or(Refused::LeaseLost)?;
        *renewed = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_conditions_and_guards_hold() {
        let mut store = Store::default();
        let lease = store.grant(0, 100);
        let lock = |store: &mut Store, lease| {
            store.put("leader", Value::Lock(lease), Expect::Absent, Some(lease), None)
        };
        assert!(lock(&mut store, lease).is_ok());
        assert_eq!(lock(&mut store, lease), Err(Refused::Conflict));
        assert_eq!(store.renew(lease, 90), Ok(()));
        store.expire(189);
        assert!(store.get("leader").is_some());
        store.expire(190);
        assert!(store.get("leader").is_none());
        assert_eq!(store.renew(lease, 191), Err(Refused::LeaseLost));
        assert_eq!(lock(&mut store, lease), Err(Refused::LeaseLost));

        let epoch = |store: &mut Store, number, expect| {
            store.put("epoch", Value::Epoch(number, 0), expect, None, None)
        };
        let first = epoch(&mut store, 1, Expect::Absent).unwrap();
        let guard = ("epoch".to_owned(), first);
        let write = |store: &mut Store, expect| {
            store.put("intents/a", Value::Lock(0), expect, None, Some(&guard))
        };
        let revision = write(&mut store, Expect::Absent).unwrap();
        assert_eq!(write(&mut store, Expect::Revision(revision + 1)), Err(Refused::Conflict));
        assert_eq!(store.list("intents/").len(), 1);
        epoch(&mut store, 2, Expect::Revision(first)).unwrap();
        assert_eq!(write(&mut store, Expect::Anything), Err(Refused::Fenced));
        assert_eq!(store.delete("intents/a", Expect::Anything, Some(&guard)), Err(Refused::Fenced));
        assert_eq!(store.delete("intents/b", Expect::Revision(1), None), Ok(()));
    }
}
