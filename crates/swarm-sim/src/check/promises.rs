//! No acknowledged create, start, stop, rename or remove is lost.
//!
//! For each name that a client cares for, the states that are possible: one after an answer, more
//! after a request whose outcome is unknown, which may also be carried out a while later.

use std::collections::{BTreeMap, BTreeSet};

use swarm_model::Desired;

use crate::exec::Millis;
use crate::manager::{Answer, Op};
use crate::store::Value;
use crate::world::{LATEST, World};

/// What is wanted: a name and a state, or nothing. Made and stopped look the same.
pub type Wanted = Option<(String, bool)>;

/// How long a request without an answer may take effect: it may be under way, its manager may try
/// for a while, and the next one may finish it.
const LINGERS: Millis = LATEST + 60_000;

#[derive(Debug, Default)]
struct Promise {
    possible: BTreeSet<Wanted>,
    lingering: Vec<(Millis, Op)>,
    blurred: bool,
}

/// What clients were told.
#[derive(Debug, Default)]
pub struct Promises {
    slots: BTreeMap<String, Promise>,
    /// How many wishes were fulfilled.
    pub done: usize,
}

/// The part of a name that stays when it is renamed.
pub(crate) fn slot(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

impl Promises {
    /// A client heard this.
    pub(super) fn heard(
        &mut self,
        now: Millis,
        op: &Op,
        name: &str,
        answer: Answer,
    ) -> Option<String> {
        let promise = self
            .slots
            .entry(slot(name).to_owned())
            .or_insert_with(|| Promise { possible: BTreeSet::from([None]), ..Promise::default() });
        promise.lingering.retain(|(at, _)| at + LINGERS > now);
        match answer {
            Answer::Refused => {}
            Answer::Done => {
                self.done += 1;
                let before = promise.possible.clone();
                promise.possible = before.iter().filter_map(|w| done(w, op)).collect();
                if promise.possible.is_empty() {
                    return Some(format!("{op:?} succeeded, and before was possible {before:?}"));
                }
                for _ in 0..promise.lingering.len() {
                    let lingering: Vec<Op> =
                        promise.lingering.iter().map(|(_, op)| op.clone()).collect();
                    for op in lingering {
                        blur(promise, &op);
                    }
                }
            }
            Answer::Unknown => {
                promise.blurred |= matches!(op, Op::Start(_) | Op::Stop(_));
                blur(promise, op);
                promise.lingering.push((now, op.clone()));
            }
        }
        None
    }

    /// Something else than a client's wish may have removed it.
    pub fn maybe_gone(&mut self, now: Millis, name: &str) {
        let _ = self.heard(now, &Op::Remove(name.to_owned()), name, Answer::Unknown);
    }

    /// Whether a start or a stop of it may be carried out late.
    pub(super) fn is_blurred(&self, name: &str) -> bool {
        self.slots.get(slot(name)).is_some_and(|promise| promise.blurred)
    }

    /// Whether a client knows what there is.
    pub fn is_certain(&self, slot: &str) -> bool {
        self.slots.get(slot).is_none_or(|promise| promise.possible.len() == 1)
    }

    /// The name that a client uses for its container.
    pub fn name(&self, slot: &str) -> Option<String> {
        let promise = self.slots.get(slot)?;
        promise.possible.iter().flatten().next().map(|(name, _)| name.clone())
    }
}

fn blur(promise: &mut Promise, op: &Op) {
    let more: Vec<Wanted> = promise.possible.iter().filter_map(|w| done(w, op)).collect();
    promise.possible.extend(more);
}

/// What is wanted after `op` was done to what was wanted; `None` when that cannot be.
#[allow(clippy::option_option)] // Nothing wanted is a state like others.
fn done(before: &Wanted, op: &Op) -> Option<Wanted> {
    let Some((name, running)) = before else {
        return match op {
            Op::Create { name, .. } => Some(Some((name.clone(), false))),
            _ => None,
        };
    };
    match op {
        Op::Create { .. } => None,
        Op::Start(_) => Some(Some((name.clone(), true))),
        Op::Stop(_) => Some(Some((name.clone(), false))),
        Op::Rename(_, to) => Some(Some((to.clone(), *running))),
        Op::Remove(_) => Some(None),
    }
}

/// Compares the store with what was promised.
pub(super) fn look(world: &World) -> Option<String> {
    let rows = world.store.borrow().list("intents/");
    let intents: Vec<_> = rows
        .into_iter()
        .filter_map(|(_, value, _)| match value {
            Value::Intent(intent) => Some(*intent),
            _ => None,
        })
        .collect();
    let checks = world.checks.borrow();
    checks.promises.slots.iter().find_map(|(name, promise)| {
        let of = intents.iter().filter(|intent| slot(&intent.name) == name);
        let found: Vec<Wanted> = of
            .map(|intent| Some((intent.name.clone(), intent.desired == Desired::Running)))
            .collect();
        let is = match &found[..] {
            [] => None,
            [one] => one.clone(),
            _ => return Some(format!("{name} is wanted more than once: {found:?}")),
        };
        let possible = &promise.possible;
        (!possible.contains(&is)).then(|| format!("{name} is {is:?}, and may be {possible:?}"))
    })
}
