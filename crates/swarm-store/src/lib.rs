//! The state machine of our own store: keys with values and revisions, conditions, guards, leases,
//! and a bounded record of changes for watchers. It does exactly what `swarm_kv::KeyValue` asks of
//! a store.
//!
//! Pure and synchronous: `now` is an argument, nothing waits. Keeping it (in this process, or on
//! several managers' disks) is left to `swarm-memory` and `swarm-raft`.
//!
//! Invariants:
//! - the same commands in the same order give the same state and the same answers, whatever `now`
//!   was: time only tells which leases are *due*, and ending them is a command of its own;
//! - every change of a key has a revision greater than all before it;
//! - a refused command changes nothing.

mod changes;
mod command;
mod leadership;
mod lease;
mod machine;
mod snapshot;
mod transact;

pub use changes::Followed;
pub use command::{
    Command, Done, Due, Outcome, Pinned, Refusal, Transaction, When, lease_name, lease_number,
};
pub use leadership::Leadership;
pub use machine::Machine;
pub use snapshot::{Loader, Snapshot, SnapshotError};
pub use transact::{LARGEST_TRANSACTION, MOST_CHANGES};

/// The largest value, in bytes: 1.5 MiB. An intent is some 2 KB, with a large environment some 100 KB; a
/// config of Docker's largest size (1000 KiB) is a third longer in base 64, and has labels.
pub const LARGEST_VALUE: usize = 3 << 19;

/// The longest key, in bytes.
pub const LONGEST_KEY: usize = 1024;

/// What all keys and values together may take, in bytes; they are all in memory.
pub const QUOTA: usize = 1 << 30;

/// How many leases there may be; each engine of a pool holds one.
pub const MOST_LEASES: usize = 100_000;
