//! Which values of drivers a node has, which are on their way, and which are to be asked for. Pure.
//!
//! As in swarmkit's assignments: a value goes to all tasks of a node that need its secret, and is asked
//! for again when none needed it any more; where the driver says that it is for one task alone, each task
//! gets one of its own. Until the first answer nobody knows which it is, and so the other tasks wait; when
//! it is a failure, each of them asks at once, so that none waits for more than two answers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use swarm_model::Id;
use swarm_model::data::own_id;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A value for all tasks of the node.
    Shared,
    /// A value for this task alone.
    Own,
    /// None, and the task is told why.
    Failed,
}

/// What is known of a secret's value.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reuse {
    /// Nothing, and nobody is asked.
    #[default]
    Unknown,
    /// A first answer is awaited.
    Asked,
    /// The node has one for all.
    Shared,
    /// Each task asks for its own.
    Never,
}

#[derive(Debug, Default)]
struct Known {
    reuse: Reuse,
    /// Tasks that were looked after.
    tasks: HashSet<Id>,
    /// Those of them that wait for the first answer.
    waiting: BTreeSet<Id>,
    /// Those that were given something of their own.
    own: HashSet<Id>,
}

/// The values of one node, as long as its session is.
#[derive(Debug, Default)]
pub struct Driven(HashMap<Id, Known>);

impl Driven {
    /// The node's tasks that need each secret: the pairs of secret and task to ask for now, and what the
    /// node is to forget.
    pub fn look(&mut self, needs: &BTreeMap<Id, BTreeSet<Id>>) -> (Vec<(Id, Id)>, Vec<String>) {
        let (mut asks, mut gone) = (Vec::new(), Vec::new());
        self.0.retain(|secret, known| {
            let needed = needs.get(secret);
            let is_needed = |task: &Id| needed.is_some_and(|tasks| tasks.contains(task));
            known.tasks.retain(is_needed);
            known.waiting.retain(is_needed);
            known.own.retain(|task| {
                let stays = is_needed(task);
                if !stays {
                    gone.push(own_id(secret, task).to_string());
                }
                stays
            });
            if needed.is_none() && known.reuse == Reuse::Shared {
                gone.push(secret.to_string());
            }
            needed.is_some()
        });
        for (secret, tasks) in needs {
            let known = self.0.entry(secret.clone()).or_default();
            for task in tasks {
                if !known.tasks.insert(task.clone()) {
                    continue;
                }
                match known.reuse {
                    Reuse::Shared => {}
                    Reuse::Asked => drop(known.waiting.insert(task.clone())),
                    Reuse::Never => asks.push((secret.clone(), task.clone())),
                    Reuse::Unknown => {
                        known.reuse = Reuse::Asked;
                        asks.push((secret.clone(), task.clone()));
                    }
                }
            }
        }
        gone.sort_unstable();
        (asks, gone)
    }

    /// An answer came: whether it is still wanted, and the pairs to ask for now.
    pub fn answered(&mut self, secret: &Id, task: &Id, outcome: Outcome) -> (bool, Vec<(Id, Id)>) {
        let Some(known) = self.0.get_mut(secret) else { return (false, Vec::new()) };
        let is_first = known.reuse == Reuse::Asked;
        let is_wanted = known.tasks.contains(task);
        if is_wanted && outcome != Outcome::Shared {
            known.own.insert(task.clone());
        }
        let asks: Vec<Id> = match outcome {
            Outcome::Shared => {
                known.reuse = Reuse::Shared;
                known.waiting.clear();
                return (true, Vec::new());
            }
            Outcome::Failed if is_first && known.waiting.is_empty() => {
                known.reuse = Reuse::Unknown;
                Vec::new()
            }
            Outcome::Own | Outcome::Failed if is_first => {
                known.reuse = Reuse::Never;
                std::mem::take(&mut known.waiting).into_iter().collect()
            }
            Outcome::Own | Outcome::Failed => Vec::new(),
        };
        (is_wanted, asks.into_iter().map(|task| (secret.clone(), task)).collect())
    }

    /// Whether a task of the node needs this secret.
    pub fn has(&self, secret: &Id) -> bool {
        self.0.contains_key(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs<const N: usize>(tasks: [&str; N]) -> BTreeMap<Id, BTreeSet<Id>> {
        let tasks: BTreeSet<Id> = tasks.map(Id::from).into_iter().collect();
        if tasks.is_empty() { BTreeMap::new() } else { BTreeMap::from([("s".into(), tasks)]) }
    }

    fn pairs<const N: usize>(tasks: [&str; N]) -> Vec<(Id, Id)> {
        tasks.map(|task| ("s".into(), task.into())).into_iter().collect()
    }

    fn answer(driven: &mut Driven, task: &str, outcome: Outcome) -> (bool, Vec<(Id, Id)>) {
        driven.answered(&"s".into(), &task.into(), outcome)
    }

    #[test]
    fn a_value_for_all_is_asked_for_once_and_again_when_nobody_had_it() {
        let mut driven = Driven::default();
        assert_eq!(driven.look(&needs(["a", "b"])), (pairs(["a"]), vec![]));
        assert_eq!(driven.look(&needs(["a", "b", "c"])), (vec![], vec![]));
        assert_eq!(answer(&mut driven, "a", Outcome::Shared), (true, vec![]));
        assert_eq!(driven.look(&needs(["b", "c", "d"])), (vec![], vec![]));
        assert_eq!(driven.look(&needs([])), (vec![], vec!["s".to_owned()]));
        assert_eq!(driven.look(&needs(["e"])), (pairs(["e"]), vec![]));
        // The task that it was asked for is gone, and the answer is for all.
        assert_eq!(driven.look(&needs(["f"])), (vec![], vec![]));
        assert_eq!(answer(&mut driven, "e", Outcome::Shared), (true, vec![]));
    }

    #[test]
    fn a_value_for_one_is_asked_for_by_each() {
        let mut driven = Driven::default();
        assert_eq!(driven.look(&needs(["a", "b", "c"])).0, pairs(["a"]));
        assert_eq!(answer(&mut driven, "a", Outcome::Own), (true, pairs(["b", "c"])));
        assert_eq!(driven.look(&needs(["a", "b", "c", "d"])).0, pairs(["d"]));
        assert_eq!(answer(&mut driven, "d", Outcome::Own), (true, vec![]));
        assert_eq!(driven.look(&needs(["a", "b"])), (vec![], vec!["s.d".to_owned()]));
        // It came too late.
        assert_eq!(answer(&mut driven, "c", Outcome::Own), (false, vec![]));
        assert_eq!(driven.look(&needs([])), (vec![], vec!["s.a".to_owned()]));
        assert_eq!(answer(&mut driven, "b", Outcome::Own), (false, vec![]));
    }

    #[test]
    fn after_a_failure_all_others_ask_at_once() {
        let mut driven = Driven::default();
        assert_eq!(driven.look(&needs(["a", "b", "c"])).0, pairs(["a"]));
        assert_eq!(answer(&mut driven, "a", Outcome::Failed), (true, pairs(["b", "c"])));
        assert_eq!(driven.look(&needs(["a", "b", "c", "d"])).0, pairs(["d"]));
        // The driver is back, and has one value for all.
        assert_eq!(answer(&mut driven, "b", Outcome::Failed), (true, vec![]));
        assert_eq!(answer(&mut driven, "c", Outcome::Shared), (true, vec![]));
        assert_eq!(answer(&mut driven, "d", Outcome::Shared), (true, vec![]));
        assert_eq!(driven.look(&needs(["d", "e"])), (vec![], vec!["s.a".into(), "s.b".into()]));
        assert_eq!(driven.look(&needs([])), (vec![], vec!["s".to_owned()]));
    }

    #[test]
    fn after_a_failure_the_next_task_asks() {
        let mut driven = Driven::default();
        assert_eq!(driven.look(&needs(["a", "b"])).0, pairs(["a"]));
        assert_eq!(answer(&mut driven, "a", Outcome::Failed), (true, pairs(["b"])));
        assert_eq!(answer(&mut driven, "b", Outcome::Failed), (true, vec![]));
        assert_eq!(driven.look(&needs(["b", "c"])), (pairs(["c"]), vec!["s.a".to_owned()]));
        assert_eq!(answer(&mut driven, "c", Outcome::Shared), (true, vec![]));
        assert!(driven.has(&"s".into()));
    }
}
