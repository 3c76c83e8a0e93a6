//! The state, and what each command does to it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swarm_kv::{Change, Item, Revision};

use crate::changes::ChangeLog;
use crate::lease::Leases;
use crate::{
    Command, Done, Due, Followed, LARGEST_VALUE, LONGEST_KEY, MOST_LEASES, Outcome, Pinned, QUOTA,
    Refusal, When, lease_name,
};

/// A key's value.
#[derive(Clone)]
pub(crate) struct Kept {
    pub value: Bytes,
    pub revision: u64,
    pub lease: Option<Arc<str>>,
}

/// The state of the store. `now` is in milliseconds of any clock that only goes forward; it is this
/// machine's alone and no part of the state.
#[derive(Default)]
pub struct Machine {
    pub(crate) items: BTreeMap<Arc<str>, Kept>,
    pub(crate) leases: Leases,
    pub(crate) changes: ChangeLog,
    pub(crate) revision: u64,
    pub(crate) bytes: usize,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys at revision {}", self.items.len(), self.revision)
    }
}

impl Machine {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What keys and values take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Does what `command` says, as a whole or not at all.
    pub fn apply(&mut self, command: Command, now: u64) -> Outcome {
        match command {
            Command::Put { key, value, when, lease, guard } => {
                self.put(&key, value, when, lease.as_deref(), guard)
            }
            Command::Delete { key, when, guard } => {
                self.guarded(guard)?;
                self.expected(&key, when)?;
                if self.items.contains_key(key.as_str()) {
                    self.revision += 1;
                    self.remove(&key);
                }
                Ok(Done::Deleted)
            }
            Command::Grant { lease, ttl } => self.grant(lease, ttl, now),
            Command::Renew { lease } => {
                if self.leases.renew(&lease, now) {
                    Ok(Done::Leased)
                } else {
                    Err(Refusal::LeaseLost(lease))
                }
            }
            Command::Revoke { lease } => Ok(Done::Ended(u64::from(self.end(&lease)))),
            Command::Expire { due } => {
                let mut ended = 0;
                for due in due {
                    ended += u64::from(self.leases.is_still(&due) && self.end(&due.lease));
                }
                Ok(Done::Ended(ended))
            }
            Command::RenewAll { mut leases } => {
                leases.retain(|lease| !self.leases.renew(&lease_name(*lease), now));
                Ok(Done::Renewed { over: leases })
            }
            Command::Transact(transaction) => self.transact(transaction),
        }
    }

    fn put(
        &mut self,
        key: &str,
        value: Bytes,
        when: When,
        lease: Option<&str>,
        guard: Option<Pinned>,
    ) -> Outcome {
        self.guarded(guard)?;
        self.bounded(key, &value)?;
        let lease = match lease {
            None => None,
            Some(lease) => match self.leases.name(lease) {
                None => return Err(Refusal::LeaseLost(lease.to_owned())),
                name => name,
            },
        };
        self.expected(key, when)?;
        self.revision += 1;
        self.write(key, value, lease);
        Ok(Done::Written(self.revision))
    }

    /// Gives a key its value at the present revision.
    pub(crate) fn write(&mut self, key: &str, value: Bytes, lease: Option<Arc<str>>) {
        let old = self.items.remove_entry(key);
        let key: Arc<str> = match &old {
            Some((key, _)) => Arc::clone(key),
            None => key.into(),
        };
        self.bytes += key.len() + value.len();
        if let Some((key, old)) = old {
            self.forget(&key, &old);
        }
        if let Some(lease) = &lease {
            self.leases.attach(lease, &key);
        }
        self.changes.record(self.revision, Arc::clone(&key));
        self.items.insert(key, Kept { value, revision: self.revision, lease });
    }

    fn grant(&mut self, lease: String, ttl: u64, now: u64) -> Outcome {
        if self.leases.len() >= MOST_LEASES {
            let words = format!("there are {MOST_LEASES} leases, and there may be no more");
            return Err(Refusal::Bound(words));
        }
        if lease.is_empty() || lease.len() > LONGEST_KEY || !self.leases.grant(&lease, ttl, now) {
            return Err(Refusal::Conflict(lease));
        }
        Ok(Done::Leased)
    }

    /// Ends a lease; `false` when it was over.
    fn end(&mut self, lease: &str) -> bool {
        let Some(keys) = self.leases.end(lease) else { return false };
        for key in keys {
            self.revision += 1;
            self.remove(&key);
        }
        true
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some((key, old)) = self.items.remove_entry(key) {
            self.forget(&key, &old);
            self.changes.record(self.revision, key);
        }
    }

    /// Takes an old value out of the accounts.
    fn forget(&mut self, key: &str, old: &Kept) {
        self.bytes -= key.len() + old.value.len();
        if let Some(lease) = &old.lease {
            self.leases.detach(lease, key);
        }
    }

    pub(crate) fn expected(&self, key: &str, when: When) -> Result<(), Refusal> {
        let present = self.items.get(key).map(|kept| kept.revision);
        let holds = match when {
            When::Always => true,
            When::Absent => present.is_none(),
            When::At(revision) => present == Some(revision),
        };
        if holds { Ok(()) } else { Err(Refusal::Conflict(key.to_owned())) }
    }

    fn guarded(&self, guard: Option<Pinned>) -> Result<(), Refusal> {
        let Some(Pinned { key, revision }) = guard else { return Ok(()) };
        let present = self.items.get(key.as_str()).map(|kept| kept.revision);
        if present == Some(revision) { Ok(()) } else { Err(Refusal::Fenced(key)) }
    }

    fn bounded(&self, key: &str, value: &Bytes) -> Result<(), Refusal> {
        sized(key, value)?;
        fits(self.bytes - self.taken(key) + key.len() + value.len())
    }

    /// What a key and its value take now, in bytes.
    pub(crate) fn taken(&self, key: &str) -> usize {
        self.items.get(key).map_or(0, |kept| key.len() + kept.value.len())
    }

    /// One key.
    pub fn get(&self, key: &str) -> Option<Item> {
        self.items.get_key_value(key).map(|(key, kept)| item(key, kept))
    }

    /// The direct children of `directory`, in order.
    pub fn list(&self, directory: &str) -> Vec<Item> {
        let prefix = prefix(directory);
        let mut found = Vec::new();
        let mut from = Bound::Included(prefix.clone());
        'deeper: loop {
            let range =
                self.items.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded));
            for (key, kept) in range {
                let Some(name) = key.strip_prefix(prefix.as_str()) else { break 'deeper };
                if let Some((below, _)) = name.split_once('/') {
                    // Everything below that name is passed over in one step: `0` follows `/`.
                    from = Bound::Included(format!("{prefix}{below}0"));
                    continue 'deeper;
                }
                found.push(item(key, kept));
            }
            break;
        }
        found
    }

    /// What happened to all keys that begin with `prefix`, however deep, after revision `since`;
    /// everything that is there for `None`.
    pub fn follow_all(&self, prefix: &str, since: Option<u64>) -> Followed {
        let revision = self.revision;
        let Some(changed) = since.and_then(|since| self.changes.after(since)) else {
            let range = self.items.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
            let below = range.take_while(|(key, _)| key.starts_with(prefix));
            let items = below.map(|(key, kept)| item(key, kept)).collect();
            return Followed { changes: vec![Change::Whole(items)], revision };
        };
        let inside = changed.filter(|key| key.starts_with(prefix));
        Followed { changes: inside.map(|key| self.state_of(key)).collect(), revision }
    }

    fn state_of(&self, key: &Arc<str>) -> Change {
        match self.items.get(key) {
            Some(kept) => Change::Put(item(key, kept)),
            None => Change::Deleted(key.to_string()),
        }
    }

    /// What happened in `directory` after revision `since`; everything that is there for `None`.
    pub fn follow(&self, directory: &str, since: Option<u64>) -> Followed {
        let revision = self.revision;
        let changed = since.and_then(|since| self.changes.after(since));
        let Some(changed) = changed else {
            return Followed { changes: vec![Change::Whole(self.list(directory))], revision };
        };
        let prefix = prefix(directory);
        let inside = |key: &str| {
            key.strip_prefix(prefix.as_str())
                .is_some_and(|name| !name.is_empty() && !name.contains('/'))
        };
        let inside = changed.filter(|key| inside(key));
        Followed { changes: inside.map(|key| self.state_of(key)).collect(), revision }
    }

    /// How long ago the lease of `key` was renewed, where that was seen.
    pub fn renewed_ago(&self, key: &str, now: u64) -> Option<Duration> {
        let lease = self.items.get(key)?.lease.as_ref()?;
        Some(Duration::from_millis(now.saturating_sub(self.leases.renewed(lease)?)))
    }

    /// Gives every lease its full time again: whoever takes over does not know which renewals were
    /// on their way.
    pub fn restart_leases(&mut self, now: u64) {
        self.leases.restart(now);
    }

    /// When the next lease is due.
    pub fn next_due(&self) -> Option<u64> {
        self.leases.next_due()
    }

    /// How long `lease` lives without renewal, in milliseconds; `None` when it is over.
    pub fn ttl(&self, lease: &str) -> Option<u64> {
        self.leases.ttl(lease)
    }

    /// When `lease` is due; `None` when it is over.
    pub fn due_at(&self, lease: &str) -> Option<u64> {
        self.leases.due_at(lease)
    }

    /// The leases that are due, for [`Command::Expire`].
    pub fn due(&self, now: u64) -> Vec<Due> {
        self.leases.due(now)
    }
}

/// Refuses a key or a value that is too long.
pub(crate) fn sized(key: &str, value: &Bytes) -> Result<(), Refusal> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        let words = format!("a key has 1 to {LONGEST_KEY} bytes, this one {}", key.len());
        return Err(Refusal::Bound(words));
    }
    if value.len() > LARGEST_VALUE {
        return Err(Refusal::TooLarge { key: key.to_owned(), size: value.len() as u64 });
    }
    Ok(())
}

/// Refuses a state of so many bytes where that is too much.
pub(crate) fn fits(bytes: usize) -> Result<(), Refusal> {
    if bytes <= QUOTA {
        return Ok(());
    }
    let limit = QUOTA >> 20;
    Err(Refusal::Bound(format!(
        "it is full: it keeps at most {limit} MiB; delete what is not needed"
    )))
}

fn item(key: &Arc<str>, kept: &Kept) -> Item {
    Item { key: key.to_string(), value: kept.value.clone(), revision: Revision(kept.revision) }
}

/// With what the children's keys begin.
fn prefix(directory: &str) -> String {
    match directory.trim_end_matches('/') {
        "" => String::new(),
        directory => format!("{directory}/"),
    }
}
