//! The primary's loop: plan, and carry each step out as the plan says, write before deed.

use std::rc::Rc;
use std::time::Duration;

use swarm_core::reschedule::{
    self, Action, Attempt, ContainerView, EngineView, Millis as Moment, Plan, Registration,
    Settings, State, Step, View, transition,
};
use swarm_model::{Desired, EngineRef, Intent, Place, StalePolicy};

use super::{Manager, Over, Reading};
use crate::bug::Bug;
use crate::engine::Container;
use crate::exec::Millis;
use crate::world::{Agents, BEAT_TTL, GRACE, Node, World};

/// Between two plans.
const PERIOD: Millis = 300;
/// After a step that failed.
const RETRY: Millis = 1_000;

impl Manager {
    pub(super) async fn act(self: &Rc<Self>) {
        loop {
            self.awake();
            let term = self.lead.borrow().as_ref().map(|lead| lead.term);
            let Some(term) = term else { return };
            if self.may_act() || self.world.has(Bug::ActAfterFence) {
                for step in self.plan().steps {
                    let stale = matches!(step.action, Action::RemoveStale { .. });
                    if stale && self.world.has(Bug::ForgetStale) {
                        continue;
                    }
                    if self.busy.borrow_mut().insert(step.intent.clone()) {
                        let now = self.now();
                        self.world.checks.borrow_mut().activity(now, || format!("plan: {step}"));
                        self.world.note(|| format!("m{} plans: {step}", self.index));
                        self.world.sim.spawn(term, Rc::clone(self).carry_out(step));
                    }
                }
            }
            self.world.sim.sleep(PERIOD).await;
        }
    }

    /// Whether a reading is newer than everything known of the engine.
    fn settled(&self, engine: usize, reading: &Reading) -> bool {
        self.world.has(Bug::TrustOldReading) || reading.began >= self.touched.borrow()[engine]
    }

    fn registration(&self, engine: usize) -> Registration {
        let ago = self.world.renewed_ago(engine);
        let reachable = self.world.connected(self.me(), Node::Store);
        match self.world.setup.agents {
            Agents::None => Registration::NotApplicable,
            _ if !reachable => Registration::StoreUnavailable,
            _ if ago > BEAT_TTL => Registration::Absent,
            Agents::Present => Registration::Present,
            Agents::Renewing => Registration::Renewed {
                ago: Duration::from_millis(ago),
                ttl: Some(Duration::from_millis(BEAT_TTL)),
            },
        }
    }

    fn plan(&self) -> Plan {
        let readings = self.readings.borrow();
        let intents = self.intents.borrow();
        let removed = self.removed.borrow();
        let ignore = self.world.has(Bug::IgnoreGeneration);
        let generation = |one: &Container| match intents.get(&one.intent) {
            Some((intent, _)) if ignore => intent.generation,
            _ => one.generation,
        };
        let containers: Vec<Vec<ContainerView<'_>>> = readings
            .iter()
            .map(|reading| {
                let views = reading.containers.iter().map(|one| ContainerView {
                    id: &one.id,
                    name: &one.name,
                    intent: &one.intent,
                    generation: generation(one),
                    running: one.running,
                    ever_started: one.ever_started,
                });
                views.collect()
            })
            .collect();
        let refs: Vec<EngineRef> = (0..readings.len()).map(World::engine_ref).collect();
        let state = |index: usize, reading: &Reading| {
            let since = Moment(reading.silent_since);
            match (reading.healthy, reading.ever) {
                (true, _) => State::Healthy { settled: self.settled(index, reading) },
                (false, true) => State::Silent { since, error: "timeout" },
                (false, false) => State::Unknown { since },
            }
        };
        let engines: Vec<EngineView<'_>> = readings
            .iter()
            .enumerate()
            .map(|(index, reading)| EngineView {
                engine: &refs[index],
                state: state(index, reading),
                registration: self.registration(index),
                containers: &containers[index],
            })
            .collect();
        let grace = if self.world.has(Bug::SkipGrace) { 0 } else { GRACE };
        let listed: Vec<&Intent> = intents.values().map(|(intent, _)| intent).collect();
        reschedule::plan(&View {
            now: Moment(self.now()),
            watching_since: Moment(self.watching_since.get()),
            settings: Settings { grace: Duration::from_millis(grace), ..Settings::default() },
            intents: &listed,
            engines: &engines,
            attempt: &|id| match self.retry.borrow().get(id) {
                _ if self.busy.borrow().contains(id) => Attempt::Busy,
                Some(at) => Attempt::Failed { at: Moment(*at), error: "no answer" },
                None => Attempt::None,
            },
            removed: &|id| removed.contains_key(id),
            shared_volume: &|_| false,
            suitable: &|intent| {
                let found = self.choose(intent, &[]).map(|_| ());
                found.ok_or_else(|| format!("no suitable node for {}", intent.name))
            },
        })
    }

    /// Where a container is to go: where it is pinned to, or to the emptiest engine without one of
    /// its name.
    pub(super) fn choose(&self, intent: &Intent, avoid: &[EngineRef]) -> Option<usize> {
        let pin = intent.config.fields().get("pin").and_then(serde_json::Value::as_u64);
        let readings = self.readings.borrow();
        let fits = |(index, reading): &(usize, &Reading)| {
            reading.healthy
                && pin.is_none_or(|pin| pin == *index as u64)
                && !avoid.contains(&World::engine_ref(*index))
        };
        let fitting = readings.iter().enumerate().filter(fits);
        fitting.min_by_key(|(_, reading)| reading.containers.len()).map(|(index, _)| index)
    }

    async fn carry_out(self: Rc<Self>, step: Step) {
        let done = self.step(&step).await;
        self.busy.borrow_mut().remove(&step.intent);
        match done {
            Ok(true) => self.retry.borrow_mut().remove(&step.intent),
            Ok(false) => self.retry.borrow_mut().insert(step.intent, self.now() + RETRY),
            Err(Over) => None,
        };
    }

    /// Carries a step out; false when it failed and is to be tried again later.
    async fn step(&self, step: &Step) -> Result<bool, Over> {
        if let Action::RemoveStale { engine, container, name, policy, .. } = &step.action {
            return self.remove_stale(engine, container, (name, *policy)).await;
        }
        let Some(intent) = self.intent(&step.intent) else { return Ok(true) };
        if intent.generation != step.generation {
            return Ok(true);
        }
        match &step.action {
            Action::Lose { from } => {
                let index = World::engine_index(from);
                let answered = self.readings.borrow()[index].answered;
                let now = self.now();
                self.world.checks.borrow_mut().lost(now, &intent, from, answered);
                self.write(transition::lost(&intent, &step.reason, 0)).await?;
            }
            Action::Place { avoid } => return self.place(&intent, avoid).await,
            Action::Finish { engine, container } => {
                self.write(transition::arrived(&intent, engine, container)).await?;
            }
            Action::Start { engine, container } => {
                return self.start_container(&intent, engine, container).await;
            }
            Action::Rename { engine, container, to } => {
                let (id, name) = (container.clone(), to.clone());
                let words = format!("rename {container} to {to}");
                let index = World::engine_index(engine);
                let done = self.change(index, words, move |e| e.rename(&id, &name)).await?;
                return Ok(matches!(done, Some(Ok(()))));
            }
            Action::Abandon { .. } => match transition::abandoned(&intent, &step.reason) {
                Some(mut next) => {
                    if self.world.has(Bug::ReuseGeneration) {
                        next.generation = intent.generation;
                    }
                    self.write(next).await?;
                }
                None => self.delete(&intent, true).await?,
            },
            Action::Drop { engine, remember } => {
                if let (Some(engine), Place::At { container, .. }) = (engine, &intent.place)
                    && !self.world.has(Bug::TrustOldReading)
                {
                    match self.look(engine, container).await {
                        None => return Ok(false),
                        Some(true) => return Ok(true),
                        Some(false) => {}
                    }
                }
                self.delete(&intent, *remember).await?;
            }
            Action::RemoveStale { .. } => {}
        }
        Ok(true)
    }

    /// Whether an engine has a container; `None` when it does not answer.
    async fn look(&self, engine: &EngineRef, container: &str) -> Option<bool> {
        let (index, id) = (World::engine_index(engine), container.to_owned());
        let inspect = move |world: &World| world.engines[index].borrow().inspect(&id).is_some();
        self.world.call(self.me(), Node::Engine(index), inspect).await
    }

    async fn place(&self, intent: &Intent, avoid: &[EngineRef]) -> Result<bool, Over> {
        let Some(index) = self.choose(intent, avoid) else { return Ok(false) };
        let engine = World::engine_ref(index);
        let going = transition::going(intent, &engine);
        self.write(going.clone()).await?;
        match self.create(index, &going).await? {
            Some(Ok(container)) => {
                let there = transition::arrived(&going, &engine, &container);
                self.write(there.clone()).await?;
                if there.desired == Desired::Running {
                    return self.start_container(&there, &engine, &container).await;
                }
                Ok(true)
            }
            // Refused: it never was. Without an answer, a reading will tell.
            Some(Err(_)) => {
                if let Some(next) = transition::abandoned(&going, "the engine refused it") {
                    self.write(next).await?;
                }
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Sends the one create request of a generation.
    pub(super) async fn create(&self, engine: usize, intent: &Intent) -> super::Asked<String> {
        let (name, id, generation) = (intent.name.clone(), intent.id.clone(), intent.generation);
        let now = self.now();
        self.world.checks.borrow_mut().create(now, &id, generation);
        let words = format!("create {name}, generation {generation} of {id}");
        self.change(engine, words, move |e| e.create(engine, &name, &id, generation)).await
    }

    /// Another copy of it that is known to run: to be stopped before this one starts.
    pub(super) fn other_runs(&self, intent: &Intent, container: &str) -> Option<Container> {
        let readings = self.readings.borrow();
        let healthy = readings.iter().filter(|reading| reading.healthy);
        let mut copies = healthy.flat_map(|reading| &reading.containers);
        let other =
            |one: &&Container| one.intent == intent.id && one.running && one.id != container;
        copies.find(other).cloned()
    }

    pub(super) async fn start_container(
        &self,
        intent: &Intent,
        engine: &EngineRef,
        container: &str,
    ) -> Result<bool, Over> {
        let other = self.other_runs(intent, container);
        if other.is_some() && !self.world.has(Bug::StartBesideOld) {
            // The next plan removes it, and the one after that starts this one.
            return Ok(false);
        }
        let now = self.now();
        self.world.checks.borrow_mut().start(now, intent, container, other.as_ref());
        let (index, id) = (World::engine_index(engine), container.to_owned());
        let done = self.change(index, format!("start {container}"), move |e| e.start(&id)).await?;
        Ok(matches!(done, Some(Ok(()))))
    }

    async fn remove_stale(
        &self,
        engine: &EngineRef,
        container: &str,
        (name, policy): (&str, StalePolicy),
    ) -> Result<bool, Over> {
        let index = World::engine_index(engine);
        let Some(Some(seen)) = self
            .world
            .call(self.me(), Node::Engine(index), {
                let id = container.to_owned();
                move |world: &World| world.engines[index].borrow().inspect(&id)
            })
            .await
        else {
            return Ok(false);
        };
        if seen.running {
            let id = container.to_owned();
            let words = format!("stop the old {container}");
            let done = self.change(index, words, move |e| e.stop(&id)).await?;
            if !matches!(done, Some(Ok(()))) {
                return Ok(false);
            }
        }
        let id = container.to_owned();
        let done = if policy == StalePolicy::Keep {
            let aside = transition::aside(name, seen.generation, container);
            let words = format!("set the old {container} aside");
            self.change(index, words, move |e| e.rename(&id, &aside)).await?
        } else {
            let words = format!("remove the old {container}");
            self.change(index, words, move |e| e.remove(&id)).await?
        };
        Ok(matches!(done, Some(Ok(()))))
    }
}
