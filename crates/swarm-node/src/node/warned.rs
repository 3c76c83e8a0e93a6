//! What a person should know of a member that goes on all the same: `docker info` has it among its
//! warnings, `swarm status` tells it.

use super::moved::away;
use super::{Node, Standing};
use crate::addresses;
use crate::info::Warning;
use crate::kept::Kept;
use crate::manager::STORE;

/// How many nodes are named.
const NAMED: usize = 5;

/// Of silent nodes that the rotation of the swarm's root waits for.
pub(super) fn rotation_waits(nodes: &[String]) -> Option<Warning> {
    let first = nodes.first()?;
    let mut names = nodes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = nodes.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names = format!("{names} and {more} more");
    }
    let (which, them) = if nodes.len() == 1 { ("node", "it") } else { ("nodes", "them") };
    let silent = if nodes.len() == 1 { "is" } else { "are" };
    let what = format!(
        "the rotation of the swarm's root waits for {which} {names}, which {silent} not heard of"
    );
    let todo = format!("bring {them} back, or give {them} up: docker node rm --force {first}");
    Some(Warning::new(what, todo))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_rotation_waits_for_is_named_with_what_to_do() {
        let names = |count: usize| (1..=count).map(|at| format!("n{at}")).collect::<Vec<_>>();
        let words = |count| rotation_waits(&names(count)).map(|warning| warning.words());
        assert_eq!(words(0), None);
        let one = "the rotation of the swarm's root waits for node n1, which is not heard of: bring it back, \
                   or give it up: docker node rm --force n1";
        assert_eq!(words(1).as_deref(), Some(one));
        let many = words(7).unwrap_or_default();
        assert!(
            many.contains("nodes n1, n2, n3, n4, n5 and 2 more, which are not heard of"),
            "{many}"
        );
    }
}
