//! What must hold, a file each. The first breach ends the round.

mod converged;
mod doubles;
mod fence;
mod generations;
mod patience;
mod promises;
mod silence;

use std::fmt;

use swarm_model::{EngineRef, Intent};

use crate::engine::Container;
use crate::exec::Millis;
use crate::manager::{Answer, Op};
use crate::store::Value;
use crate::world::World;
pub(crate) use promises::slot;
pub use promises::{Promises, Wanted};

/// A breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// When it was noticed.
    pub at: Millis,
    /// Which rule.
    pub rule: &'static str,
    /// What happened.
    pub words: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} ms, {}: {}", self.at, self.rule, self.words)
    }
}

/// All checkers, and the first breach.
#[derive(Debug, Default)]
pub struct Checks {
    /// The first breach.
    pub breach: Option<Breach>,
    /// What clients were told.
    pub promises: Promises,
    /// How many moves there were.
    pub moves: usize,
    doubles: doubles::Doubles,
    generations: generations::Generations,
    silence: silence::Silence,
}

impl Checks {
    fn report(&mut self, at: Millis, rule: &'static str, words: Option<String>) {
        if let (None, Some(words)) = (&self.breach, words) {
            self.breach = Some(Breach { at, rule, words });
        }
    }

    /// An intent was written.
    pub fn intent_written(&mut self, now: Millis, intent: &Intent) {
        self.activity(now, || format!("intent {} was written", intent.id));
        let words = self.generations.written(intent);
        self.report(now, "generations only rise", words);
    }

    /// A key was deleted.
    pub fn deleted(&mut self, now: Millis, key: &str) {
        self.activity(now, || format!("{key} was deleted"));
        self.generations.deleted(key.rsplit('/').next().unwrap_or(key));
    }

    /// A create request is sent.
    pub fn create(&mut self, now: Millis, intent: &str, generation: u64) {
        let words = self.generations.create(intent, generation);
        self.report(now, "one create a generation", words);
    }

    /// A start request is sent; `other` is another copy that this manager sees running.
    pub fn start(&mut self, now: Millis, one: &Intent, container: &str, other: Option<&Container>) {
        let words = other.map(|other| {
            format!("{} is started as {container} while {} is known to run", one.name, other.id)
        });
        self.report(now, "no start beside a copy that runs", words);
    }

    /// A manager is about to change an engine.
    pub fn engine_change(
        &mut self,
        now: Millis,
        manager: usize,
        lease: u64,
        lock: Option<(Value, u64)>,
        words: &str,
    ) {
        self.report(
            now,
            "no change outside of the fence",
            fence::look(manager, lease, lock, words),
        );
    }

    /// A manager gives an engine's container up.
    pub fn lost(&mut self, now: Millis, intent: &Intent, from: &EngineRef, answered: Millis) {
        self.moves += 1;
        self.report(now, "patience", patience::look(now, intent, from, answered));
    }

    /// Something was planned, written or changed.
    pub fn activity(&mut self, now: Millis, what: impl FnOnce() -> String) {
        let words = self.silence.activity(what);
        self.report(now, "converged means silent", words);
    }

    /// A client heard an answer.
    pub fn heard(&mut self, now: Millis, op: &Op, name: &str, answer: Answer) {
        let words = self.promises.heard(now, op, name, answer);
        self.report(now, "promises are kept", words);
    }

    /// From now on nothing may happen any more.
    pub fn expect_silence(&mut self) {
        self.silence.begin();
    }
}

/// Looks at the engines as the primary `leader` reaches them.
pub fn sample(world: &World, leader: Option<usize>) {
    let words = world.checks.borrow_mut().doubles.sample(world, leader);
    world.checks.borrow_mut().report(world.sim.now(), "no two copies run", words);
}

/// Looks at the pool when all is healed and quiet.
pub fn at_the_end(world: &World, leader: bool) {
    let words = converged::look(world, leader);
    world.checks.borrow_mut().report(world.sim.now(), "the store equals the world", words);
    let words = promises::look(world);
    world.checks.borrow_mut().report(world.sim.now(), "promises are kept", words);
}
