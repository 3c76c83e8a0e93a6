//! The state as a whole: a cheap copy to write from (values are shared, not copied), cut into
//! chunks of bounded size for a disk or a wire, and put together again.
//!
//! A chunk is one byte of format and a list of records. The last chunk ends with the counts, so
//! that a snapshot that is not whole is noticed. Damage within a chunk is for whoever keeps it to
//! detect; here it is refused, never half loaded.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Machine;
use crate::changes::ChangeLog;
use crate::lease::Leases;
use crate::machine::Kept;

/// The format this version writes, and the only one so far.
const FORMAT: u8 = 1;

/// A chunk is closed once it has this many bytes.
const CHUNK: usize = 256 << 10;

/// Why a snapshot cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not in a form that this version reads.
    #[error("it has format {0}, and this version reads {FORMAT}; use the newer version")]
    Newer(u8),
    /// It does not hold together.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// One thing kept; variants are only ever added at the end.
#[derive(Serialize, Deserialize)]
enum Record {
    Lease { lease: Arc<str>, ttl: u64, renewals: u64 },
    Item { key: Arc<str>, value: Bytes, revision: u64, lease: Option<Arc<str>> },
    End { revision: u64, leases: u64, items: u64 },
}

/// The state at one moment.
#[derive(Clone)]
pub struct Snapshot {
    leases: Leases,
    items: Vec<(Arc<str>, Kept)>,
    revision: u64,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys at revision {}", self.items.len(), self.revision)
    }
}

impl Machine {
    /// The state now; takes a moment for each key, and no copy of its value.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            leases: self.leases.clone(),
            items: self.items.iter().map(|(key, kept)| (Arc::clone(key), kept.clone())).collect(),
            revision: self.revision,
        }
    }
}

impl Snapshot {
    /// The chunks, in order; each is made when it is asked for.
    pub fn chunks(&self) -> impl Iterator<Item = Vec<u8>> {
        let items = self.items.iter().map(|(key, kept)| record(Arc::clone(key), kept));
        cut(self.leases().into_iter().chain(items).chain([self.end()]))
    }

    /// As [`Snapshot::chunks`], for one who takes them over a while.
    pub fn into_chunks(self) -> impl Iterator<Item = Vec<u8>> + Send {
        let (leases, end) = (self.leases(), self.end());
        let items = self.items.into_iter().map(|(key, kept)| record(key, &kept));
        cut(leases.into_iter().chain(items).chain([end]))
    }

    fn leases(&self) -> Vec<Record> {
        let leases = self.leases.iter().map(|(lease, held)| Record::Lease {
            lease: Arc::clone(lease),
            ttl: held.ttl,
            renewals: held.renewals,
        });
        leases.collect()
    }

    fn end(&self) -> Record {
        Record::End {
            revision: self.revision,
            leases: self.leases.len() as u64,
            items: self.items.len() as u64,
        }
    }
}

fn record(key: Arc<str>, kept: &Kept) -> Record {
    let (value, revision, lease) = (kept.value.clone(), kept.revision, kept.lease.clone());
    Record::Item { key, value, revision, lease }
}

fn cut(records: impl Iterator<Item = Record>) -> impl Iterator<Item = Vec<u8>> {
    let mut records = records.peekable();
    std::iter::from_fn(move || {
        records.peek()?;
        let mut chunk = vec![FORMAT];
        while chunk.len() < CHUNK {
            let Some(record) = records.next() else { break };
            // Writing into memory does not fail; were it to, the counts would not be right.
            chunk = postcard::to_extend(&record, chunk).unwrap_or_default();
        }
        Some(chunk)
    })
}

/// Puts a machine together from chunks.
#[derive(Debug, Default)]
pub struct Loader {
    machine: Machine,
    leases: u64,
    whole: bool,
    now: u64,
}

impl Loader {
    /// All leases will have their full time from `now`.
    pub fn new(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// Takes the next chunk.
    pub fn take(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let Some((format, mut rest)) = chunk.split_first() else {
            return Err(SnapshotError::Damaged("an empty chunk".to_owned()));
        };
        if *format != FORMAT {
            return Err(SnapshotError::Newer(*format));
        }
        while !rest.is_empty() {
            let (record, after) = postcard::take_from_bytes(rest)
                .map_err(|error| SnapshotError::Damaged(error.to_string()))?;
            self.record(record)?;
            rest = after;
        }
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), SnapshotError> {
        let damaged = |what: &str| Err(SnapshotError::Damaged(what.to_owned()));
        if self.whole {
            return damaged("something follows its end");
        }
        let machine = &mut self.machine;
        match record {
            Record::Lease { lease, ttl, renewals } => {
                machine.leases.load(lease, ttl, renewals, self.now);
                self.leases += 1;
            }
            Record::Item { key, value, revision, lease } => {
                let lease = match lease {
                    None => None,
                    Some(lease) => match machine.leases.name(&lease) {
                        None => return damaged("a key hangs on a lease that is not there"),
                        name => name,
                    },
                };
                if let Some(lease) = &lease {
                    machine.leases.attach(lease, &key);
                }
                machine.bytes += key.len() + value.len();
                machine.items.insert(key, Kept { value, revision, lease });
            }
            Record::End { revision, leases, items } => {
                let counted = (machine.leases.len() as u64, machine.items.len() as u64);
                if counted != (leases, items) || self.leases != leases {
                    return damaged("something is missing in its midst");
                }
                machine.revision = revision;
                machine.changes = ChangeLog::starting(revision);
                self.whole = true;
            }
        }
        Ok(())
    }

    /// The machine, when every chunk has been taken.
    pub fn finish(self) -> Result<Machine, SnapshotError> {
        if self.whole {
            return Ok(self.machine);
        }
        Err(SnapshotError::Damaged("its end is missing".to_owned()))
    }
}
