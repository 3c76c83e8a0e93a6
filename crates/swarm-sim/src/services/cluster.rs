//! Everything there is, and the passing of time.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use swarm_core::task::{Owner, observe};
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Time};

use super::agent::Agent;
use super::bug::Bug;
use super::check::{self, Breach, Checks};
use super::manager::Manager;
use super::store::Store;

/// Virtual time, from the round's beginning.
pub type Millis = i64;

/// The step of time.
pub const TICK: Millis = 100;

/// The round's beginning on a right clock; no time of the model is near 1970.
const BEGIN: i64 = 1_700_000_000_000;

/// A clock that is wrong by `skew` shows this.
pub fn clock(now: Millis, skew: Millis) -> Time {
    Time((BEGIN + now + skew) * 1_000_000)
}

/// The whole model.
#[derive(Debug)]
pub struct Cluster {
    /// Now.
    pub now: Millis,
    /// All chance.
    pub rng: StdRng,
    /// The store.
    pub store: Store,
    /// The nodes.
    pub agents: Vec<Agent>,
    /// The leader.
    pub manager: Manager,
    /// What the checkers remember.
    pub checks: Checks,
    /// The mistake that managers make.
    pub bug: Option<Bug>,
    /// What happened, where it is asked for.
    pub trace: Option<Vec<String>>,
}

impl Cluster {
    /// An empty one.
    pub fn new(seed: u64, bug: Option<Bug>, trace: bool) -> Self {
        Self {
            now: 0,
            rng: StdRng::seed_from_u64(seed),
            store: Store::default(),
            agents: Vec::new(),
            manager: Manager::default(),
            checks: Checks::default(),
            bug,
            trace: trace.then(Vec::new),
        }
    }

    /// Adds to the trace.
    pub fn note(&mut self, words: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!(
                "{:>9.1} s  {}",
                f64::from(i32::try_from(now).unwrap_or(0)) / 1000.0,
                words()
            ));
        }
    }

    /// Whether something happens that does once in `n` times.
    pub fn once_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n.max(1))
    }

    /// One step of time.
    pub fn tick(&mut self) -> Result<(), Breach> {
        self.now += TICK;
        let leads = self.manager.leads(self.now);
        for at in 0..self.agents.len() {
            let agent = &mut self.agents[at];
            if !agent.on {
                continue;
            }
            if agent.linked && leads {
                agent.listen(self.store.tasks.values(), self.now);
            }
            let started = agent.work(self.now, &mut self.rng);
            for id in started {
                check::started(self, at, &id)?;
            }
            if self.agents[at].linked && leads {
                self.report(at)?;
            }
        }
        if leads {
            super::manager::act(self)?;
        }
        check::always(self)
    }

    /// Tells the manager what an agent's containers came to.
    fn report(&mut self, at: usize) -> Result<(), Breach> {
        let (now, timestamp) =
            (self.manager.clock(self.now, &self.store), clock(self.now, self.agents[at].skew));
        let states: Vec<_> =
            self.agents[at].containers.values().map(|c| (c.task.id.clone(), c.state)).collect();
        for (id, state) in states {
            let Some(mut task) = self.store.tasks.get(&id).cloned() else { continue };
            if task.status.state == state {
                continue;
            }
            let err = if state.is_end() { "it ended" } else { "" }.to_owned();
            let status = TaskStatus { timestamp, state, err, ..TaskStatus::default() };
            if observe(&mut task, Owner::Agent, status, now) != Ok(true) {
                continue;
            }
            self.note(|| format!("{id} of {} is {}", task.service_id, state.as_str()));
            self.store.write(Owner::Agent, task)?;
        }
        Ok(())
    }

    /// The node's place in the list.
    pub fn agent(&self, id: &Id) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == *id)
    }
}
