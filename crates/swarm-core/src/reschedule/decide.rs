//! One intent and its copies: what it needs. The rules are in the order of their weight: a copy from
//! the future stops everything, old copies go, and only then is looked at where it should be.

use std::collections::HashMap;

use swarm_model::{Desired, EngineRef, Intent, Place, StalePolicy};

use super::copies::Found;
use super::step::Action;
use super::transition;
use super::verdict::{Verdict, Why};
use super::view::Millis;

/// What one intent needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// This.
    Step(Action, String),
    /// Something is amiss, and waits.
    Hold(String, Option<Millis>),
    /// Its engine failed.
    Failed(EngineRef, Why),
    /// A node; not one of these.
    Nowhere(Vec<EngineRef>),
    /// Nothing: it is on its way.
    Between,
}

use Decision::{Between, Failed, Hold, Nowhere, Step};

/// Removes a copy.
pub(super) fn remove(found: &Found<'_>, policy: StalePolicy) -> Action {
    Action::RemoveStale {
        engine: found.engine.engine.clone(),
        container: found.container.id.to_owned(),
        name: found.container.name.to_owned(),
        running: found.container.running,
        policy,
    }
}

/// Decides. `removed` tells that a person removed it; `copies` are those on working engines.
pub(super) fn decide(
    intent: &Intent,
    removed: bool,
    copies: &[Found<'_>],
    verdicts: &HashMap<&str, Verdict>,
) -> Vec<Decision> {
    let of = |engine: &EngineRef| verdicts.get(engine.id.as_str());
    if removed {
        return remove_all(copies);
    }
    if let Some(newer) = copies.iter().find(|copy| copy.container.generation > intent.generation) {
        return vec![Hold(
            format!(
                "{} has generation {} of it, and the store knows {} only: was the store restored \
                 from a backup? Remove one or the other",
                newer.engine.engine.name, newer.container.generation, intent.generation
            ),
            None,
        )];
    }
    let mut decisions = Vec::new();
    let mut avoid = Vec::new();
    let mut clash = false;
    for old in copies.iter().filter(|copy| copy.container.generation < intent.generation) {
        let (has, is) = (old.container.generation, intent.generation);
        let reason = format!("it is out of date: generation {has}, and {is} is wanted");
        decisions.push(Step(remove(old, intent.stale), reason));
        avoid.push(old.engine.engine.clone());
        clash |= old.container.running;
    }
    let current: Vec<&Found<'_>> =
        copies.iter().filter(|copy| copy.container.generation == intent.generation).collect();
    if clash {
        // A copy that runs is stopped before another is made or started.
        if !matches!(intent.place, Place::At { .. }) {
            decisions.push(Between);
        }
        return decisions;
    }
    match &intent.place {
        Place::At { engine, container } => {
            at(intent, (engine, container), &current, of(engine), &mut decisions);
        }
        Place::Going { to } => decisions.extend(going(intent, to, &current, of(to))),
        Place::Nowhere { .. } => match current.first() {
            Some(found) => decisions.push(adopt(found)),
            None => decisions.push(Nowhere(avoid)),
        },
    }
    decisions
}

/// What a person removed: its copies go, then the intent.
fn remove_all(copies: &[Found<'_>]) -> Vec<Decision> {
    if copies.is_empty() {
        let action = Action::Drop { engine: None, remember: false };
        return vec![Step(action, "it was removed by a person".to_owned())];
    }
    let copies = copies.iter();
    copies
        .map(|copy| {
            Step(remove(copy, StalePolicy::Remove), "it was removed by a person".to_owned())
        })
        .collect()
}

/// It should be on `engine` as `container`.
fn at(
    intent: &Intent,
    (engine, container): (&EngineRef, &str),
    current: &[&Found<'_>],
    verdict: Option<&Verdict>,
    decisions: &mut Vec<Decision>,
) {
    let here = |found: &&&Found<'_>| found.engine.engine.id == engine.id;
    match verdict {
        Some(Verdict::Works { settled }) => {
            let there = current.iter().find(|found| here(found) && found.container.id == container);
            let Some(there) = there else {
                if *settled {
                    decisions.push(missing(intent, engine, current));
                }
                return;
            };
            for other in current.iter().filter(|other| !here(other)) {
                let (a, b) = (&other.engine.engine.name, &engine.name);
                let reason = format!("{a} has a second copy of it, and the one on {b} stays");
                decisions.push(Step(remove(other, intent.stale), reason));
            }
            if *settled {
                decisions.extend(finishing(intent, engine, there));
            }
        }
        Some(Verdict::Failed(why)) => decisions.push(match current.first() {
            Some(found) => adopt(found),
            None => Failed(engine.clone(), why.clone()),
        }),
        Some(Verdict::Doubtful { reason, again }) if intent.policy != swarm_model::Policy::Off => {
            decisions.push(Hold(reason.clone(), *again));
        }
        Some(Verdict::Doubtful { .. }) | None => {}
    }
}

/// It is where it should be: what a move or a rename may have left undone.
fn finishing(intent: &Intent, engine: &EngineRef, there: &Found<'_>) -> Option<Decision> {
    let never_ran = !there.container.running && !there.container.ever_started;
    let moved = transition::may_have_copies(intent);
    if moved && never_ran && intent.desired == Desired::Running {
        let reason = "it was moved and is to run, and has not been started yet".to_owned();
        let (engine, container) = (engine.clone(), there.container.id.to_owned());
        return Some(Step(Action::Start { engine, container }, reason));
    }
    let has = there.container.name;
    if has == intent.name {
        return None;
    }
    let (engine, container) = (engine.clone(), there.container.id.to_owned());
    let to = intent.name.clone();
    let reason = format!("its name on {} is {has}", engine.name);
    Some(Step(Action::Rename { engine, container, to }, reason))
}

/// Its engine does not have it.
fn missing(intent: &Intent, engine: &EngineRef, current: &[&Found<'_>]) -> Decision {
    let best = current.iter().max_by_key(|found| {
        (
            found.engine.engine.id == engine.id,
            found.container.running,
            std::cmp::Reverse(found.container.id),
        )
    });
    if let Some(found) = best {
        return adopt(found);
    }
    let remember = transition::may_have_copies(intent);
    let reason = format!("it was removed from {} beside the manager", engine.name);
    Step(Action::Drop { engine: Some(engine.clone()), remember }, reason)
}

/// Takes a copy of the present generation for the one that is wanted.
fn adopt(found: &Found<'_>) -> Decision {
    let engine = found.engine.engine.clone();
    let reason = format!("{} has it", engine.name);
    Step(Action::Finish { engine, container: found.container.id.to_owned() }, reason)
}

/// It was to be made on `to`.
fn going(
    intent: &Intent,
    to: &EngineRef,
    current: &[&Found<'_>],
    verdict: Option<&Verdict>,
) -> Vec<Decision> {
    let there = current.iter().find(|found| found.engine.engine.id == to.id);
    if let Some(found) = there {
        return vec![adopt(found)];
    }
    let abandon = |reason: String| vec![Step(Action::Abandon { engine: to.clone() }, reason)];
    match (verdict, current.first()) {
        (Some(Verdict::Works { settled: false }) | None, _) => vec![Between],
        (Some(Verdict::Works { settled: true } | Verdict::Failed(_)), Some(found)) => {
            vec![adopt(found)]
        }
        (Some(Verdict::Works { .. }), None) => abandon(format!(
            "{} does not have it: generation {} was never made there",
            to.name, intent.generation
        )),
        (Some(Verdict::Failed(why)), None) => abandon(why.reason.clone()),
        (Some(Verdict::Doubtful { reason, again }), _) => {
            vec![Between, Hold(reason.clone(), *again)]
        }
    }
}
