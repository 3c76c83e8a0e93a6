//! What a node is in a swarm at the moment, and why it may not go on as what it was.

use std::sync::Arc;

use swarm_backend::Part;
use swarm_ca::Role;

use crate::kept::Kept;
use crate::member::Member;

/// What it is now.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// In no swarm.
    Inactive,
    /// It begins one, or joins.
    Pending,
    /// A member.
    Member(Arc<Member>),
    /// A manager whose keys on disk are locked; what it remembers.
    Locked(Arc<Kept>),
    /// A member that cannot start.
    Failed(String),
}

/// Why a node does not go on as a member.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResumeError {
    /// The unlock key is not the right one.
    #[error("the unlock key is not the one that locks this node")]
    WrongKey,
    /// In words.
    #[error("{0}")]
    Other(String),
}

impl ResumeError {
    /// Of another error, in its words.
    pub(super) fn of(error: &dyn std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

impl Standing {
    /// In Docker's terms.
    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Inactive => Part::Inactive,
            Self::Pending => Part::Pending,
            Self::Locked(_) => Part::Locked,
            Self::Failed(_) => Part::Error,
            Self::Member(member) if member.role() == Role::Manager => Part::Manager,
            Self::Member(_) => Part::Worker,
        }
    }
}
