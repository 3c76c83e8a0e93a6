//! What can be asked of the machine, and what it answers; the form in which logs keep it.
//!
//! The types are the machine's own and not the port's, because they are written to disk: fields and
//! variants are only ever added at the end.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_kv::{Expect, Guard, Lease, Revision, StoreError, Write};

/// On what a write or a deletion depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// On nothing.
    Always,
    /// The key is not there.
    Absent,
    /// The key has this revision.
    At(u64),
}

/// Another key that must have a certain revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Which.
    pub key: String,
    /// What it must have.
    pub revision: u64,
}

/// A lease that is due, as its observer saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Which.
    pub lease: String,
    /// How often it had been renewed; one that was renewed since is not ended.
    pub renewals: u64,
}

/// One change of the state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Writes a key.
    Put {
        /// Which.
        key: String,
        /// The new value.
        value: Bytes,
        /// On what it depends.
        when: When,
        /// The lease it hangs on.
        lease: Option<String>,
        /// On what else it depends.
        guard: Option<Pinned>,
    },
    /// Deletes a key.
    Delete {
        /// Which.
        key: String,
        /// On what it depends.
        when: When,
        /// On what else it depends.
        guard: Option<Pinned>,
    },
    /// Makes a lease. Whoever asks chooses its name, by chance: knowing it is the right to use it.
    Grant {
        /// Its name, new.
        lease: String,
        /// How long it lives without renewal, in milliseconds.
        ttl: u64,
    },
    /// Renews a lease.
    Renew {
        /// Which.
        lease: String,
    },
    /// Ends a lease and deletes its keys; one that is over is no error.
    Revoke {
        /// Which.
        lease: String,
    },
    /// Ends those leases that nobody has renewed since they were seen to be due.
    Expire {
        /// Which.
        due: Vec<Due>,
    },
    /// Renews those leases that are there. Half as long as by their names: most of what an idle
    /// pool writes.
    RenewAll {
        /// Which, by the numbers of their names.
        leases: Vec<u128>,
    },
    /// Several writes and deletions, all or none; what it writes has one revision.
    Transact(Transaction),
}

/// Several changes that are made together. A key is written or deleted once at most.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// On what it depends: keys that it changes, and others.
    pub expects: Vec<(String, When)>,
    /// What it writes. A key's lease, if it had one, is no longer its.
    pub puts: Vec<(String, Bytes)>,
    /// What it deletes; a key that is not there is deleted already.
    pub deletes: Vec<String>,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { expects, puts, deletes } = self;
        let (puts, deletes) = (puts.len(), deletes.len());
        write!(f, "{puts} writes and {deletes} deletions under {} conditions", expects.len())
    }
}

impl Transaction {
    /// Roughly how many bytes it takes in a log.
    pub(crate) fn weight(&self) -> usize {
        let expects: usize = self.expects.iter().map(|(key, _)| 32 + key.len()).sum();
        let puts: usize = self.puts.iter().map(|(key, value)| 32 + key.len() + value.len()).sum();
        let deletes: usize = self.deletes.iter().map(|key| 32 + key.len()).sum();
        64 + expects + puts + deletes
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values can hold a container's environment, names of leases are rights: neither is shown.
        match self {
            Self::Put { key, value, .. } => write!(f, "put {key} ({} bytes)", value.len()),
            Self::Delete { key, .. } => write!(f, "delete {key}"),
            Self::Grant { ttl, .. } => write!(f, "grant a lease of {ttl} ms"),
            Self::Renew { .. } => f.write_str("renew a lease"),
            Self::Revoke { .. } => f.write_str("revoke a lease"),
            Self::Expire { due } => write!(f, "expire {} leases", due.len()),
            Self::RenewAll { leases } => write!(f, "renew {} leases", leases.len()),
            Self::Transact(transaction) => write!(f, "{transaction:?}"),
        }
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Command {
    /// The deletion of `key`.
    pub fn delete(key: &str, expect: Expect, guard: Option<&Guard>) -> Self {
        Self::Delete { key: key.to_owned(), when: expect.into(), guard: guard.map(Pinned::from) }
    }

    /// Roughly how many bytes it takes in a log.
    pub fn weight(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => 64 + key.len() + value.len(),
            Self::Delete { key, .. } => 64 + key.len(),
            Self::Expire { due } => 64 + 48 * due.len(),
            Self::RenewAll { leases } => 64 + 20 * leases.len(),
            Self::Grant { .. } | Self::Renew { .. } | Self::Revoke { .. } => 64,
            Self::Transact(transaction) => transaction.weight(),
        }
    }
}

impl From<Write> for Command {
    fn from(write: Write) -> Self {
        Self::Put {
            key: write.key,
            value: write.value,
            when: write.expect.into(),
            lease: write.lease.map(|Lease { id, .. }| id),
            guard: write.guard.as_ref().map(Pinned::from),
        }
    }
}

impl From<Expect> for When {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Anything => Self::Always,
            Expect::Absent => Self::Absent,
            Expect::Revision(Revision(revision)) => Self::At(revision),
        }
    }
}

impl From<&Guard> for Pinned {
    fn from(guard: &Guard) -> Self {
        Self { key: guard.key.clone(), revision: guard.revision.0 }
    }
}

/// The name of the lease with this number.
pub fn lease_name(number: u128) -> String {
    format!("{number:032x}")
}

/// The number that a lease's name is; `None` where it is none.
pub fn lease_number(name: &str) -> Option<u128> {
    let number = u128::from_str_radix(name, 16).ok()?;
    (lease_name(number) == name).then_some(number)
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// The key has this revision now.
    Written(u64),
    /// The key is not there (any more).
    Deleted,
    /// The lease is there.
    Leased,
    /// So many leases ended.
    Ended(u64),
    /// Leases were renewed, but for these.
    Renewed {
        /// Those that are over.
        over: Vec<u128>,
    },
}

/// Why a command did nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The key is not as expected.
    Conflict(String),
    /// The guard's key is not as expected.
    Fenced(String),
    /// There is no such lease.
    LeaseLost(String),
    /// A bound of the store is reached, in words.
    Bound(String),
    /// The value is too large.
    TooLarge {
        /// The key.
        key: String,
        /// The value's size in bytes.
        size: u64,
    },
}

/// The machine's answer.
pub type Outcome = Result<Done, Refusal>;

impl Refusal {
    /// In the port's words, as the refusal of `store`.
    pub fn into_error(self, store: &str) -> StoreError {
        match self {
            Self::Conflict(key) => StoreError::Conflict { key },
            Self::Fenced(key) => StoreError::Fenced { key },
            Self::LeaseLost(id) => StoreError::LeaseLost { id },
            Self::Bound(reason) => StoreError::Refused { store: store.to_owned(), reason },
            Self::TooLarge { key, size } => StoreError::TooLarge {
                key,
                size: usize::try_from(size).unwrap_or(usize::MAX),
                limit: crate::LARGEST_VALUE,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_lead_back_to_themselves_are_numbers() {
        for number in [0, 7, u128::MAX] {
            assert_eq!(lease_number(&lease_name(number)), Some(number));
        }
        for name in
            ["", "7", "0000000000000000000000000000000A", "+000000000000000000000000000000a"]
        {
            assert_eq!(lease_number(name), None, "{name}");
        }
    }
}
