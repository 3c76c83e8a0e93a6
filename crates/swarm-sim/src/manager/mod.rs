//! A manager: it watches the engines, campaigns for the lock, and as primary carries out the plans
//! of `swarm_core::reschedule` and what clients ask. Every await is a place where it can be paused,
//! cut off or ended.

mod act;
mod elect;
mod ledger;
mod relocate;
mod serve;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use swarm_model::{Intent, Removed};

use crate::bug::Bug;
use crate::engine::{Container, Refusal};
use crate::exec::{Millis, Term};
use crate::store::Guard;
use crate::world::{Node, World};
pub use serve::{Answer, Op};

/// What a manager knows of one engine.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// The last whole reading, and when it began.
    containers: Vec<Container>,
    began: Millis,
    /// Whether the last attempt succeeded.
    healthy: bool,
    /// Whether any did.
    ever: bool,
    /// When the first attempt without an answer began.
    silent_since: Millis,
    /// When the last answer came.
    answered: Millis,
}

/// What makes it primary.
#[derive(Debug, Clone)]
struct Lead {
    term: Term,
    lease: u64,
    guard: Guard,
    /// Until when it may change engines.
    fence: Millis,
    loaded: bool,
}

/// One run of a manager's process.
#[derive(Debug)]
pub struct Manager {
    world: Rc<World>,
    index: usize,
    term: Term,
    running: Cell<bool>,
    readings: RefCell<Vec<Reading>>,
    /// When it last noticed that it runs.
    alive: Cell<Millis>,
    /// Since when its watching counts.
    watching_since: Cell<Millis>,
    lead: RefCell<Option<Lead>>,
    intents: RefCell<BTreeMap<String, (Intent, u64)>>,
    removed: RefCell<BTreeMap<String, Removed>>,
    /// Counts the intents it deleted.
    deleted: Cell<u64>,
    busy: RefCell<BTreeSet<String>>,
    retry: RefCell<BTreeMap<String, Millis>>,
    /// When something was last changed on an engine, or written about it.
    touched: RefCell<Vec<Millis>>,
}

/// The leadership is over; whatever was under way is not to go on.
#[derive(Debug)]
struct Over;

/// How a request to an engine ended.
type Asked<T> = Result<Option<Result<T, Refusal>>, Over>;

impl Manager {
    /// Starts a manager's process.
    pub fn start(world: &Rc<World>, index: usize) -> Rc<Self> {
        let (now, term) = (world.sim.now(), world.sim.term(index));
        let reading = Reading { silent_since: now, ..Reading::default() };
        let manager = Rc::new(Self {
            world: Rc::clone(world),
            index,
            term,
            running: Cell::new(true),
            readings: RefCell::new(vec![reading; world.setup.engines]),
            alive: Cell::new(now),
            watching_since: Cell::new(now),
            lead: RefCell::default(),
            intents: RefCell::default(),
            removed: RefCell::default(),
            deleted: Cell::new(0),
            busy: RefCell::default(),
            retry: RefCell::default(),
            touched: RefCell::new(vec![0; world.setup.engines]),
        });
        for engine in 0..world.setup.engines {
            world.sim.spawn(term, Rc::clone(&manager).watch(engine));
        }
        world.sim.spawn(term, Rc::clone(&manager).tick());
        world.sim.spawn(term, Rc::clone(&manager).campaign());
        manager
    }

    /// The process is gone.
    pub fn kill(&self) {
        self.step_down("it was killed");
        self.world.sim.end(self.term);
        self.running.set(false);
    }

    /// Whether its process is there.
    pub fn is_running(&self) -> bool {
        self.running.get()
    }

    fn me(&self) -> Node {
        Node::Manager(self.index)
    }

    fn now(&self) -> Millis {
        self.world.sim.now()
    }

    /// The leadership ends, and with it everything that is under way.
    fn step_down(&self, why: &str) {
        let Some(lead) = self.lead.borrow_mut().take() else { return };
        self.world.note(|| format!("m{} steps down: {why}", self.index));
        self.world.sim.end(lead.term);
        self.intents.borrow_mut().clear();
        self.removed.borrow_mut().clear();
        self.busy.borrow_mut().clear();
        self.retry.borrow_mut().clear();
    }

    /// Whether it is primary and has read the store.
    pub fn is_primary(&self) -> bool {
        self.lead.borrow().as_ref().is_some_and(|lead| lead.loaded)
    }

    /// Whether it may change an engine now.
    pub fn may_act(&self) -> bool {
        let lead = self.lead.borrow();
        lead.as_ref().is_some_and(|lead| lead.loaded && self.now() < lead.fence)
    }

    /// Changes something on an engine, unless the fence forbids it. `None` when no answer came.
    async fn change<T: 'static>(
        &self,
        engine: usize,
        words: String,
        op: impl FnOnce(&mut crate::engine::Engine) -> Result<T, Refusal> + 'static,
    ) -> Asked<T> {
        if !self.may_act() && !self.world.has(Bug::ActAfterFence) {
            return Err(Over);
        }
        let Some(lease) = self.lead.borrow().as_ref().map(|lead| lead.lease) else {
            return Err(Over);
        };
        self.world.note(|| format!("m{} asks n{engine} to {words}", self.index));
        self.check_fence(lease, &words);
        self.touched.borrow_mut()[engine] = self.now();
        let index = self.index;
        let answer = self
            .world
            .call(self.me(), Node::Engine(engine), move |world| {
                let done = op(&mut world.engines[engine].borrow_mut());
                world.note(|| {
                    let how = if done.is_ok() { "done" } else { "refused" };
                    format!("n{engine} was asked by m{index} to {words}: {how}")
                });
                let now = world.sim.now();
                world.checks.borrow_mut().activity(now, || format!("n{engine}: {words}"));
                done
            })
            .await;
        self.touched.borrow_mut()[engine] = self.now();
        Ok(answer)
    }

    fn check_fence(&self, lease: u64, words: &str) {
        let mut store = self.world.store.borrow_mut();
        store.expire(self.now());
        let lock = store.get("leader");
        drop(store);
        self.world.checks.borrow_mut().engine_change(self.now(), self.index, lease, lock, words);
    }
}
