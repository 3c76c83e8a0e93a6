//! No acknowledged create, start, stop, rename or remove is lost.
//!
//! For the name that a client cares for, the states that are possible: one after an answer, more
//! after a request whose outcome is unknown, which may also be carried out a while later.

use std::collections::BTreeSet;

use crate::torture::history::{Answer, Millis, Op};
use crate::torture::plan::Wish;

/// What is wanted: a name, and whether it runs; or nothing.
pub type Wanted = Option<(String, bool)>;

/// How long a request without an answer may take effect: its manager may be stopped in its tracks
/// for most of a round, and the next one may finish what it began.
const LINGERS: Millis = 60_000;

/// What a client was told.
#[derive(Debug, Clone)]
pub struct Promises {
    /// The part of the name that stays.
    pub slot: String,
    /// The restart policy.
    pub restart: &'static str,
    /// How many wishes were fulfilled.
    pub done: usize,
    possible: BTreeSet<Wanted>,
    lingering: Vec<(Millis, Op)>,
    blurred: bool,
    broken: Option<(Millis, String)>,
}

impl Promises {
    /// Before anything was asked for.
    pub fn new(wish: &Wish) -> Self {
        Self {
            slot: wish.slot.clone(),
            restart: wish.restart,
            done: 0,
            possible: BTreeSet::from([None]),
            lingering: Vec::new(),
            blurred: false,
            broken: None,
        }
    }

    /// The client heard this.
    pub fn heard(&mut self, now: Millis, op: &Op, answer: Answer) {
        self.lingering.retain(|(at, _)| at + LINGERS > now);
        match answer {
            Answer::Refused => {}
            Answer::Done => {
                self.done += 1;
                let before = self.possible.clone();
                self.possible = before.iter().filter_map(|wanted| done(wanted, op)).collect();
                if self.possible.is_empty() {
                    let words = format!(
                        "{}: {op:?} succeeded, and before was possible {before:?}",
                        self.slot
                    );
                    self.broken.get_or_insert((now, words));
                }
                for _ in 0..self.lingering.len() {
                    for (_, op) in self.lingering.clone() {
                        self.blur(&op);
                    }
                }
            }
            Answer::Unknown => {
                self.blurred |= matches!(op, Op::Start(_) | Op::Stop(_));
                self.blur(op);
                self.lingering.push((now, op.clone()));
            }
        }
    }

    fn blur(&mut self, op: &Op) {
        let more: Vec<Wanted> = self.possible.iter().filter_map(|w| done(w, op)).collect();
        self.possible.extend(more);
    }

    /// What there is, where the client is sure of it.
    #[allow(clippy::option_option)] // Nothing is something to be sure of.
    pub fn certain(&self) -> Option<Wanted> {
        if self.possible.len() == 1 { self.possible.first().cloned() } else { None }
    }

    /// The names that it may have.
    pub fn names(&self) -> Vec<String> {
        let names = self.possible.iter().flatten().map(|(name, _)| name.clone());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What cannot have been promised, and was.
    pub fn broken(&self) -> Option<(Millis, String)> {
        self.broken.clone()
    }

    /// Whether it must be so after all; an engine that lost power leaves what runs to its restart
    /// policy.
    pub fn allow(&self, is: &Wanted, reboots: bool) -> bool {
        self.possible.iter().any(|wanted| match (wanted, is) {
            (None, None) => true,
            (Some((name, running)), Some((is_name, is_running))) => {
                let by_itself = match self.restart {
                    "always" => *is_running,
                    "no" => !*is_running,
                    _ => false,
                };
                let same = running == is_running || self.blurred || reboots && by_itself;
                name == is_name && same
            }
            _ => false,
        })
    }

    /// The states that are possible, for a person to read.
    pub fn possible(&self) -> String {
        format!("{:?}", self.possible)
    }
}

/// What is wanted after `op` was done to what was wanted; `None` when that cannot be.
#[allow(clippy::option_option)] // Nothing wanted is a state like others.
fn done(before: &Wanted, op: &Op) -> Option<Wanted> {
    let Some((is, running)) = before else {
        return match op {
            Op::Create(name) => Some(Some((name.clone(), false))),
            _ => None,
        };
    };
    match op {
        Op::Create(_) => None,
        Op::Start(name) => (is == name).then(|| Some((name.clone(), true))),
        Op::Stop(name) => (is == name).then(|| Some((name.clone(), false))),
        Op::Rename(name, to) => (is == name).then(|| Some((to.clone(), *running))),
        Op::Remove(name) => (is == name).then_some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promises(restart: &'static str) -> Promises {
        let wish = Wish { slot: "s0".to_owned(), moves: true, volume: false, restart };
        Promises::new(&wish)
    }

    fn name() -> String {
        "s0".to_owned()
    }

    #[allow(clippy::unnecessary_wraps)] // Nothing wanted is a state like others.
    fn wanted(running: bool) -> Wanted {
        Some((name(), running))
    }

    #[test]
    fn what_was_acknowledged_is_the_only_thing_allowed() {
        let mut told = promises("always");
        told.heard(1, &Op::Create(name()), Answer::Done);
        told.heard(2, &Op::Start(name()), Answer::Done);
        assert!(told.allow(&wanted(true), true));
        assert!(!told.allow(&None, true), "lost");
        assert!(!told.allow(&wanted(false), true), "stopped");
        assert!(!told.allow(&Some(("s0-1".to_owned(), true)), true), "another name");
        told.heard(3, &Op::Remove(name()), Answer::Refused);
        assert!(!told.allow(&None, true));
        told.heard(4, &Op::Remove(name()), Answer::Done);
        assert!(told.allow(&None, false) && !told.allow(&wanted(true), false), "came back");
        told.heard(5, &Op::Start(name()), Answer::Done);
        assert!(told.broken().is_some(), "nothing was there to start");
    }

    #[test]
    fn an_unknown_outcome_allows_both_also_later() {
        let mut told = promises("unless-stopped");
        told.heard(1, &Op::Create(name()), Answer::Done);
        told.heard(2, &Op::Rename(name(), "s0-1".to_owned()), Answer::Unknown);
        told.heard(3, &Op::Start(name()), Answer::Done);
        assert!(told.allow(&wanted(true), false));
        assert!(told.allow(&Some(("s0-1".to_owned(), true)), false));
        assert!(!told.allow(&wanted(false), true) && told.certain().is_none());
    }

    #[test]
    fn a_reboot_leaves_what_runs_to_the_restart_policy() {
        let mut told = promises("no");
        told.heard(1, &Op::Create(name()), Answer::Done);
        told.heard(2, &Op::Start(name()), Answer::Done);
        assert!(told.allow(&wanted(false), true) && !told.allow(&wanted(false), false));
    }
}
