//! A small pool for tests, and a runtime without faults that carries plans out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use swarm_model::{Desired, EngineRef, FORMAT, Intent, Place, Policy, StalePolicy};

use super::*;

/// The moment of all tests; everything watched since 0.
pub(super) const NOW: Millis = Millis(100_000);

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub id: String,
    pub name: String,
    pub intent: String,
    pub generation: u64,
    pub running: bool,
    pub started: bool,
}

impl Copy {
    fn view(&self) -> ContainerView<'_> {
        ContainerView {
            id: &self.id,
            name: &self.name,
            intent: &self.intent,
            generation: self.generation,
            running: self.running,
            ever_started: self.started,
        }
    }
}

/// An engine.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub who: EngineRef,
    pub state: State<'static>,
    pub registration: Registration,
    pub copies: Vec<Copy>,
}

/// A pool.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub now: Millis,
    pub watching_since: Millis,
    pub settings: Settings,
    pub intents: BTreeMap<String, Intent>,
    pub engines: Vec<Engine>,
    pub removed: BTreeSet<String>,
    pub busy: BTreeSet<String>,
    pub failed: BTreeMap<String, Millis>,
    /// Intents that no node suits.
    pub unsuitable: BTreeSet<String>,
    made: usize,
}

pub(super) fn engine(name: &str) -> EngineRef {
    EngineRef { id: format!("id-{name}"), name: name.to_owned() }
}

pub(super) fn at(engine_name: &str, container: &str) -> Place {
    Place::At { engine: engine(engine_name), container: container.to_owned() }
}

pub(super) fn going(engine_name: &str) -> Place {
    Place::Going { to: engine(engine_name) }
}

#[allow(clippy::needless_pass_by_value)] // Tests read better so.
pub(super) fn intent(id: &str, generation: u64, place: Place) -> Intent {
    let json = json!({
        "format": FORMAT, "id": id, "name": id, "config": {}, "policy": "on-node-failure",
        "desired": "running", "generation": generation, "place": place,
    });
    serde_json::from_value(json).unwrap()
}

/// With this configuration.
pub(super) fn with(mut intent: Intent, host: &Value) -> Intent {
    intent.config.edit(|config| drop(config.insert("HostConfig".to_owned(), host.clone())));
    intent
}

impl Pool {
    /// Working engines of these names, with nothing on them.
    pub(super) fn new(names: &[&str]) -> Self {
        let engine = |name: &&str| Engine {
            who: engine(name),
            state: State::Healthy { settled: true },
            registration: Registration::NotApplicable,
            copies: Vec::new(),
        };
        Self {
            now: NOW,
            watching_since: Millis(0),
            settings: Settings::default(),
            intents: BTreeMap::new(),
            engines: names.iter().map(engine).collect(),
            removed: BTreeSet::new(),
            busy: BTreeSet::new(),
            failed: BTreeMap::new(),
            unsuitable: BTreeSet::new(),
            made: 0,
        }
    }

    pub(super) fn engine(&mut self, name: &str) -> &mut Engine {
        self.engines.iter_mut().find(|engine| engine.who.name == name).unwrap()
    }

    pub(super) fn wants(mut self, intent: Intent) -> Self {
        self.intents.insert(intent.id.clone(), intent);
        self
    }

    /// A running copy `intent.generation` on an engine.
    pub(super) fn has(mut self, name: &str, intent: &str, generation: u64, id: &str) -> Self {
        self.engine(name).copies.push(Copy {
            id: id.to_owned(),
            name: intent.to_owned(),
            intent: intent.to_owned(),
            generation,
            running: true,
            started: true,
        });
        self
    }

    pub(super) fn state(mut self, name: &str, state: State<'static>) -> Self {
        self.engine(name).state = state;
        self
    }

    pub(super) fn silent(self, name: &str, seconds: u64) -> Self {
        let since = Millis(NOW.0 - seconds * 1_000);
        self.state(name, State::Silent { since, error: "timeout" })
    }

    pub(super) fn plan(&self) -> Plan {
        let containers: Vec<Vec<ContainerView<'_>>> = self
            .engines
            .iter()
            .map(|engine| engine.copies.iter().map(Copy::view).collect())
            .collect();
        let engines: Vec<EngineView<'_>> = self
            .engines
            .iter()
            .zip(&containers)
            .map(|(engine, containers)| EngineView {
                engine: &engine.who,
                state: engine.state,
                registration: engine.registration,
                containers,
            })
            .collect();
        let intents: Vec<&Intent> = self.intents.values().collect();
        plan(&View {
            now: self.now,
            watching_since: self.watching_since,
            settings: self.settings,
            intents: &intents,
            engines: &engines,
            attempt: &|id| match self.failed.get(id) {
                Some(at) => Attempt::Failed { at: *at, error: "no space left on device" },
                None if self.busy.contains(id) => Attempt::Busy,
                None => Attempt::None,
            },
            removed: &|id| self.removed.contains(id),
            shared_volume: &|name| name == "nfs",
            suitable: &|intent| self.suits(intent).map(|_| ()),
        })
    }

    fn works(&self, place: &EngineRef) -> bool {
        let is = |engine: &&Engine| engine.who == *place;
        self.engines
            .iter()
            .find(is)
            .is_some_and(|engine| matches!(engine.state, State::Healthy { .. }))
    }

    fn suits(&self, intent: &Intent) -> Result<EngineRef, String> {
        let refused = || format!("no suitable node for {}", intent.name);
        if self.unsuitable.contains(&intent.id) {
            return Err(refused());
        }
        let works = |engine: &&Engine| matches!(engine.state, State::Healthy { .. });
        let best = self.engines.iter().filter(works).min_by_key(|engine| engine.copies.len());
        best.map(|engine| engine.who.clone()).ok_or_else(refused)
    }

    /// What a plan says, a line each.
    pub(super) fn says(&self) -> String {
        let plan = self.plan();
        let steps = plan.steps.iter().map(ToString::to_string);
        let held = plan.held.iter().map(|held| format!("held {}: {}", held.name, held.reason));
        let wake = plan.wake.iter().map(|wake| format!("wake {wake}"));
        steps.chain(held).chain(wake).collect::<Vec<_>>().join("\n")
    }

    fn set(&mut self, id: &str, next: Option<Intent>) {
        match next {
            Some(next) => {
                let before = self.intents.insert(id.to_owned(), next.clone()).unwrap();
                assert!(before.generation <= next.generation);
            }
            None => {
                self.intents.remove(id);
            }
        }
    }

    fn copies(&mut self, engine: &EngineRef) -> &mut Vec<Copy> {
        assert!(self.works(engine), "{} is asked something and does not work", engine.name);
        &mut self.engines.iter_mut().find(|e| e.who == *engine).unwrap().copies
    }

    /// Carries one step out, without faults.
    pub(super) fn apply(&mut self, step: &Step) {
        let id = step.intent.as_str();
        let intent = self.intents.get(id).cloned();
        let intent = || intent.clone().unwrap();
        match &step.action {
            Action::Lose { .. } => {
                assert_ne!(intent().policy, Policy::Off);
                self.set(id, Some(transition::lost(&intent(), &step.reason, 0)));
            }
            Action::Place { avoid } => {
                let to = self.suits(&intent()).unwrap();
                if avoid.contains(&to) {
                    return;
                }
                let going = transition::going(&intent(), &to);
                self.made += 1;
                let container = format!("made-{}", self.made);
                let running = going.desired == Desired::Running;
                let generation = going.generation;
                self.copies(&to).push(Copy {
                    id: container.clone(),
                    name: going.name.clone(),
                    intent: id.to_owned(),
                    generation,
                    running,
                    started: running,
                });
                self.set(id, Some(transition::arrived(&going, &to, &container)));
            }
            Action::Finish { engine, container } => {
                assert!(self.copies(engine).iter().any(|copy| copy.id == *container));
                self.set(id, Some(transition::arrived(&intent(), engine, container)));
            }
            Action::Start { engine, container } => {
                let copies = self.copies(engine);
                let copy = copies.iter_mut().find(|copy| copy.id == *container).unwrap();
                (copy.running, copy.started) = (true, true);
            }
            Action::Rename { engine, container, to } => {
                let copies = self.copies(engine);
                let copy = copies.iter_mut().find(|copy| copy.id == *container).unwrap();
                copy.name = to.clone();
            }
            Action::Abandon { .. } => {
                let next = transition::abandoned(&intent(), &step.reason);
                if next.is_none() {
                    self.removed.insert(id.to_owned());
                }
                self.set(id, next);
            }
            Action::Drop { remember, .. } => {
                if *remember {
                    self.removed.insert(id.to_owned());
                }
                self.set(id, None);
            }
            Action::RemoveStale { engine, container, policy, .. } => {
                let copies = self.copies(engine);
                if *policy == StalePolicy::Remove {
                    copies.retain(|copy| copy.id != *container);
                    return;
                }
                let copy = copies.iter_mut().find(|copy| copy.id == *container).unwrap();
                copy.running = false;
                copy.name = transition::aside(&copy.name, copy.generation, container);
            }
        }
    }
}
