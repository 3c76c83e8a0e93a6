//! The types the consensus library is told to work with, and short names for what it makes of them.

use serde::{Deserialize, Serialize};
use swarm_store::{Command, Outcome};

/// A manager's number. Drawn by chance when it joins and never used again: one that lost its data
/// comes back as another, so that no forgotten vote counts twice.
pub(crate) type Id = u64;

/// What all managers know of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// `HOST:PORT` where the others reach it; empty while it is alone and does not listen.
    pub address: String,
}

openraft::declare_raft_types!(
    pub(crate) Kinds:
        D = Command,
        R = Option<Outcome>,
        NodeId = Id,
        Node = Peer,
);

use openraft::type_config::alias;

pub(crate) type Entry = alias::EntryOf<Kinds>;
pub(crate) type LogId = alias::LogIdOf<Kinds>;
pub(crate) type Vote = alias::VoteOf<Kinds>;
pub(crate) type Meta = alias::SnapshotMetaOf<Kinds>;
pub(crate) type Membership = alias::StoredMembershipOf<Kinds>;
