//! The plan: one pass over the intents, each looked at by itself, then those whose engine failed in
//! the order in which they need each other.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use swarm_model::{EngineRef, Intent, Place, Policy};

use super::copies::Copies;
use super::decide::{self, Decision};
use super::depend::{self, Names};
use super::step::{Action, Held, Plan, Step};
use super::verdict::{Verdict, Why};
use super::view::{Attempt, Millis, View};

/// Plans what to do now. Costs one pass over intents and containers; more only for those that have
/// no working engine.
pub fn plan<'v>(view: &'v View<'v>) -> Plan {
    let verdicts = view
        .engines
        .iter()
        .map(|engine| (engine.engine.id.as_str(), Verdict::of(engine, view)))
        .collect();
    let mut pass = Pass {
        view,
        verdicts,
        copies: Copies::new(view.intents, view.engines),
        plan: Plan::default(),
        failed: Vec::new(),
        nowhere: Vec::new(),
        between: 0,
    };
    pass.orphans();
    for index in 0..view.intents.len() {
        pass.look_at(index);
    }
    if !(pass.failed.is_empty() && pass.nowhere.is_empty()) {
        let names = Names::new(view.intents);
        pass.place(&names);
        pass.lose(&names);
    }
    let mut plan = pass.plan;
    // Old copies go first; the last two keep the order in which intents need each other.
    plan.steps.sort_by(|a, b| {
        let ordered = matches!(a.action, Action::Place { .. } | Action::Lose { .. });
        let ids = || if ordered { Ordering::Equal } else { a.intent.cmp(&b.intent) };
        phase(&a.action).cmp(&phase(&b.action)).then_with(ids)
    });
    plan.held.sort_by(|a, b| a.intent.cmp(&b.intent));
    plan
}

fn phase(action: &Action) -> u8 {
    match action {
        Action::RemoveStale { .. } => 0,
        Action::Finish { .. } => 1,
        Action::Start { .. } => 2,
        Action::Rename { .. } => 3,
        Action::Abandon { .. } => 4,
        Action::Drop { .. } => 5,
        Action::Place { .. } => 6,
        Action::Lose { .. } => 7,
    }
}

/// One run of the planner.
struct Pass<'v> {
    view: &'v View<'v>,
    verdicts: HashMap<&'v str, Verdict>,
    copies: Copies<'v>,
    plan: Plan,
    /// Those whose engine failed and whose policy lets them move, and why.
    failed: Vec<(usize, EngineRef, Why)>,
    /// Those that are nowhere, with engines to avoid.
    nowhere: Vec<(usize, Vec<EngineRef>)>,
    /// How many are on their way.
    between: usize,
}

impl<'v> Pass<'v> {
    fn hold(&mut self, intent: &Intent, reason: impl Into<String>, again: Option<Millis>) {
        let (id, name) = (intent.id.clone(), intent.name.clone());
        self.plan.held.push(Held { intent: id, name, reason: reason.into() });
        if let Some(again) = again {
            self.plan.wake_at(again);
        }
    }

    fn step(&mut self, intent: &Intent, action: Action, reason: impl Into<String>) {
        self.plan.steps.push(Step {
            intent: intent.id.clone(),
            name: intent.name.clone(),
            generation: intent.generation,
            action,
            reason: reason.into(),
        });
    }

    /// Copies of what a person removed while their engine was away.
    fn orphans(&mut self) {
        for found in self.copies.orphans() {
            let (id, name) = (found.container.intent, &found.engine.engine.name);
            if !(self.view.removed)(id) {
                continue;
            }
            match (self.view.attempt)(id) {
                Attempt::Busy => {}
                Attempt::Failed { at, .. } if at > self.view.now => self.plan.wake_at(at),
                _ => self.plan.steps.push(Step {
                    intent: id.to_owned(),
                    name: found.container.name.to_owned(),
                    generation: 0,
                    action: decide::remove(found, swarm_model::StalePolicy::Remove),
                    reason: format!("it was removed by a person while {name} was away"),
                }),
            }
        }
    }

    /// What one intent needs, as far as it can be told from itself and its copies.
    fn look_at(&mut self, index: usize) {
        let intent: &'v Intent = self.view.intents[index];
        match (self.view.attempt)(&intent.id) {
            Attempt::Busy => {
                self.between += usize::from(!matches!(intent.place, Place::At { .. }));
                return;
            }
            Attempt::Failed { at, error } if at > self.view.now => {
                self.between += usize::from(matches!(intent.place, Place::Going { .. }));
                return self.hold(intent, format!("the last attempt failed: {error}"), Some(at));
            }
            _ => {}
        }
        let removed = (self.view.removed)(&intent.id);
        let copies = self.copies.of(index);
        // Almost all are where they are wanted: nothing is allocated for them.
        for decision in decide::decide(intent, removed, copies, &self.verdicts) {
            match decision {
                Decision::Step(action, reason) => self.step(intent, action, reason),
                Decision::Hold(reason, again) => self.hold(intent, reason, again),
                Decision::Failed(from, why) => self.engine_failed(index, from, why),
                Decision::Nowhere(avoid) => self.nowhere.push((index, avoid)),
                Decision::Between => self.between += 1,
            }
        }
    }

    /// Its engine failed: by its policy it moves, or it stays and somebody is told why.
    fn engine_failed(&mut self, index: usize, from: EngineRef, why: Why) {
        let intent = self.view.intents[index];
        if intent.policy == Policy::Off {
            return;
        }
        let data = intent.local_data(self.view.shared_volume);
        if intent.policy == Policy::OnNodeFailure && !data.is_empty() {
            let data = data.join(", ");
            let held = format!(
                "{}; it stays, because it has data there ({data}) and its policy is {}",
                why.now,
                intent.policy.as_str()
            );
            return self.hold(intent, held, None);
        }
        self.failed.push((index, from, why));
    }

    /// Places for those that have none. What one needs must have its own place before.
    fn place(&mut self, names: &Names<'_>) {
        let indices: Vec<usize> = self.nowhere.iter().map(|(index, _)| *index).collect();
        let mut avoid: HashMap<usize, Vec<EngineRef>> = self.nowhere.drain(..).collect();
        for index in depend::order(self.view.intents, names, &indices) {
            let Some(avoid) = avoid.remove(&index) else { continue };
            let intent = self.view.intents[index];
            if let Some((_, words)) = self.needs(names, index).into_iter().next() {
                self.hold(intent, words, None);
                continue;
            }
            if let Err(refusal) = (self.view.suitable)(intent) {
                self.hold(intent, refusal, None);
                continue;
            }
            if let Place::Nowhere { reason } = &intent.place {
                self.between += 1;
                self.step(intent, Action::Place { avoid }, format!("it needs a node: {reason}"));
            }
        }
    }

    /// Those whose engine failed: lost together with what needs them, and only when there is
    /// somewhere to go, for what is lost is made anew even when the engine returns at once.
    fn lose(&mut self, names: &Names<'_>) {
        let indices: Vec<usize> = self.failed.iter().map(|(index, ..)| *index).collect();
        let mut failed: HashMap<usize, (EngineRef, Why)> =
            self.failed.drain(..).map(|(index, from, why)| (index, (from, why))).collect();
        let mut lost = HashSet::new();
        for index in depend::order(self.view.intents, names, &indices) {
            let Some((from, why)) = failed.remove(&index) else { continue };
            let intent = self.view.intents[index];
            let needs = self.needs(names, index);
            let moving = |needed: &usize| {
                lost.contains(needed)
                    || !matches!(self.view.intents[*needed].place, Place::At { .. })
            };
            if let Some((_, words)) = needs.iter().find(|(needed, _)| !moving(needed)) {
                let held = format!("{}; it stays: {words}", why.now);
                self.hold(intent, held, None);
                continue;
            }
            // What goes with others goes where they go; the others had their room asked for.
            if needs.is_empty() {
                if let Err(refusal) = (self.view.suitable)(intent) {
                    self.hold(intent, format!("{}; it stays: {refusal}", why.now), None);
                    continue;
                }
                if self.between >= self.view.settings.at_once {
                    let held = format!("{}; it waits for others that are being moved", why.now);
                    self.hold(intent, held, None);
                    continue;
                }
            }
            self.between += 1;
            lost.insert(index);
            self.step(intent, Action::Lose { from }, why.reason);
        }
    }

    /// What an intent needs that is on no working engine.
    fn needs(&self, names: &Names<'_>, index: usize) -> Vec<(usize, String)> {
        let needs = depend::dependencies(self.view.intents[index]);
        let needs = needs.iter().filter_map(|needed| {
            let other = names.find(&needed.container).filter(|other| *other != index)?;
            let place = &self.view.intents[other].place;
            let ready = matches!(place, Place::At { engine, .. }
                if self.verdicts.get(engine.id.as_str()).is_some_and(Verdict::works));
            let name = &self.view.intents[other].name;
            (!ready).then(|| {
                (other, format!("it needs {name} ({needed}), which is on no working engine"))
            })
        });
        needs.collect()
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan_properties.rs"]
mod properties;
