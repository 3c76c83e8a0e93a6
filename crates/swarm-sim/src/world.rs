//! Everything outside of the managers: the network, the store, the engines, and who watches them.
//!
//! A call takes time both ways. Its packet may be lost on the way there, be carried out much later
//! than its caller waits, or be carried out while the answer is lost: all of which look the same to
//! the caller.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use swarm_model::{EngineRef, Intent};

use crate::bug::Bug;
use crate::check::Checks;
use crate::engine::Engine;
use crate::exec::{Millis, Sim, Slot};
use crate::store::{Expect, Guard, Refused, Store, Value};

/// A place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A manager.
    Manager(usize),
    /// An engine.
    Engine(usize),
    /// The store.
    Store,
}

/// How the agents' registrations look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents {
    /// Engines come from a fixed list.
    None,
    /// The store tells when a registration was renewed.
    Renewing,
    /// The store tells only that there is one.
    Present,
}

/// What one round is about.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// Managers.
    pub managers: usize,
    /// Engines.
    pub engines: usize,
    /// Names that clients care for.
    pub names: usize,
    /// How engines are registered.
    pub agents: Agents,
    /// One packet in so many is late, and one answer in so many is lost.
    pub lossy: u64,
    /// How long a client thinks at most.
    pub thinks: Millis,
    /// A mistake made on purpose.
    pub bug: Option<Bug>,
}

/// The lock's time to live, and what its holder may count on.
pub const TTL: Millis = 6_000;
/// The pool's grace.
pub const GRACE: Millis = 5_000;
/// How long a manager waits for an answer.
pub const DEADLINE: Millis = 2_000;
/// How late a request can be carried out.
pub const LATEST: Millis = 20_000;
/// Between two renewals of an agent.
const BEAT: Millis = 2_000;
/// How long a renewal of an agent lasts.
pub const BEAT_TTL: Millis = 6_000;

/// The world.
#[derive(Debug)]
pub struct World {
    /// Time.
    pub sim: Rc<Sim>,
    /// What the round is about.
    pub setup: Setup,
    /// The engines.
    pub engines: Vec<RefCell<Engine>>,
    /// The store.
    pub store: RefCell<Store>,
    /// Whether the store answers.
    pub store_up: Cell<bool>,
    /// Pairs that cannot talk.
    pub cut: RefCell<BTreeSet<(Node, Node)>>,
    /// Whether packets get lost and late.
    pub stormy: Cell<bool>,
    /// When each engine's agent was last able to renew.
    beats: RefCell<Vec<Millis>>,
    /// Who watches.
    pub checks: RefCell<Checks>,
    trace: Option<RefCell<Vec<String>>>,
}

impl World {
    /// A new one; with `trace` it remembers what happened.
    pub fn new(sim: Rc<Sim>, setup: Setup, trace: bool) -> Rc<Self> {
        Rc::new(Self {
            sim,
            setup,
            engines: (0..setup.engines).map(|_| RefCell::new(Engine::new())).collect(),
            store: RefCell::default(),
            store_up: Cell::new(true),
            cut: RefCell::default(),
            stormy: Cell::new(true),
            beats: RefCell::new(vec![0; setup.engines]),
            checks: RefCell::default(),
            trace: trace.then(RefCell::default),
        })
    }

    /// Whether this mistake is made.
    pub fn has(&self, bug: Bug) -> bool {
        self.setup.bug == Some(bug)
    }

    /// Remembers what happened, where somebody asked for it.
    pub fn note(&self, words: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace.borrow_mut().push(format!("{:>7} {}", self.sim.now(), words()));
        }
    }

    /// What happened.
    pub fn trace(&self) -> Vec<String> {
        self.trace.as_ref().map(|trace| trace.borrow().clone()).unwrap_or_default()
    }

    /// An engine's name in the pool.
    pub fn engine_ref(index: usize) -> EngineRef {
        EngineRef { id: format!("id-{index}"), name: format!("n{index}") }
    }

    /// The engine of this name.
    pub fn engine_index(engine: &EngineRef) -> usize {
        engine.id.trim_start_matches("id-").parse().unwrap_or_default()
    }

    /// Whether two places can talk, as far as the wires and the power are concerned.
    pub fn connected(&self, a: Node, b: Node) -> bool {
        let on = |node| match node {
            Node::Engine(index) => self.engines[index].borrow().on,
            Node::Store => self.store_up.get(),
            Node::Manager(_) => true,
        };
        let cut = self.cut.borrow();
        on(a) && on(b) && !cut.contains(&(a, b)) && !cut.contains(&(b, a))
    }

    /// Asks `to` something; `None` when no answer came in time.
    pub async fn call<T: 'static>(
        self: &Rc<Self>,
        from: Node,
        to: Node,
        op: impl FnOnce(&World) -> T + 'static,
    ) -> Option<T> {
        let slot = Slot::default();
        let (late, world) = (slot.clone(), Rc::clone(self));
        self.sim.after(DEADLINE, move || late.fill(None));
        let stormy = self.stormy.get();
        let delay = if stormy && self.sim.once_in(self.setup.lossy) {
            self.sim.between(100..LATEST)
        } else {
            self.sim.between(1..8)
        };
        let answer = slot.clone();
        // A packet that leaves for nowhere is lost for good.
        if self.connected(from, to) {
            self.sim.after(delay, move || {
                if !world.connected(from, to) {
                    return;
                }
                let value = op(&world);
                if world.stormy.get() && world.sim.once_in(world.setup.lossy) {
                    return;
                }
                let (back, sim) = (Rc::clone(&world), Rc::clone(&world.sim));
                sim.after(sim.between(1..8), move || {
                    if back.connected(from, to) {
                        answer.fill(Some(value));
                    }
                });
            });
        }
        slot.await
    }

    /// Writes to the store, and has it looked at.
    pub fn store_put(
        &self,
        key: &str,
        value: Value,
        expect: Expect,
        lease: Option<u64>,
        guard: Option<&Guard>,
    ) -> Result<u64, Refused> {
        let now = self.sim.now();
        let mut store = self.store.borrow_mut();
        store.expire(now);
        let intent = match &value {
            Value::Intent(intent) => Some(intent.clone()),
            _ => None,
        };
        let revision = store.put(key, value, expect, lease, guard)?;
        drop(store);
        if let Some(intent) = intent {
            self.note(|| format!("store: {} is {}", intent.id, describe(&intent)));
            self.checks.borrow_mut().intent_written(now, &intent);
        }
        Ok(revision)
    }

    /// Deletes from the store, and has it looked at.
    pub fn store_delete(
        &self,
        key: &str,
        expect: Expect,
        guard: Option<&Guard>,
    ) -> Result<(), Refused> {
        let mut store = self.store.borrow_mut();
        store.expire(self.sim.now());
        store.delete(key, expect, guard)?;
        drop(store);
        self.note(|| format!("store: {key} is deleted"));
        self.checks.borrow_mut().deleted(self.sim.now(), key);
        Ok(())
    }

    /// Agents renew, where they can.
    pub fn beat(&self) {
        let now = self.sim.now();
        for (index, beat) in self.beats.borrow_mut().iter_mut().enumerate() {
            let node = Node::Engine(index);
            if now.is_multiple_of(BEAT) && self.connected(node, Node::Store) {
                *beat = now;
            }
        }
    }

    /// How long ago an engine's agent renewed.
    pub fn renewed_ago(&self, engine: usize) -> Millis {
        self.sim.now() - self.beats.borrow()[engine]
    }
}

/// An intent, for the trace.
pub fn describe(intent: &Intent) -> String {
    format!(
        "{} generation {} {:?} at {:?}",
        intent.name, intent.generation, intent.desired, intent.place
    )
}
