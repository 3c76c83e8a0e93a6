//! What a person should know of a member that goes on all the same: `docker info` has it among its
//! warnings, `swarm status` tells it.

use super::moved::away;
use super::{Node, Standing};
use crate::addresses;
use crate::info::Warning;
use crate::kept::Kept;
use crate::manager::STORE;

impl Node {
    /// What is to be told now, each in a sentence.
    pub(crate) fn warning_words(&self) -> Vec<String> {
        let told = match self.standing() {
            Standing::Member(member) => {
                let mut told = self.warnings_of(&member.kept_now());
                told.extend(member.pace_warning());
                told
            }
            Standing::Locked(kept) => self.warnings_of(&kept),
            Standing::Inactive | Standing::Pending | Standing::Failed(_) => Vec::new(),
        };
        told.iter().map(Warning::words).collect()
    }

    /// What is to be told of a node that remembers this.
    pub(super) fn warnings_of(&self, kept: &Kept) -> Vec<Warning> {
        let mut told = self.told.read().clone();
        // Where they cannot be listed, nothing can be said of them.
        if let Ok(locals) = addresses::observe() {
            told.extend(away(kept, &locals));
        }
        told.extend(self.damaged());
        told
    }

    /// Of damaged stores that are kept.
    fn damaged(&self) -> Option<Warning> {
        let kept = swarm_raft::kept_aside(&self.options.folder.join(STORE)).unwrap_or_default();
        if kept.is_empty() {
            return None;
        }
        let kept: Vec<_> = kept.iter().map(|path| path.display().to_string()).collect();
        let what = format!(
            "this manager's store was damaged, and is filled again from the others; kept: {}",
            kept.join(", ")
        );
        Some(Warning::new(what, "look at its disk, then delete what is kept"))
    }
}
