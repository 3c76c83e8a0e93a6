//! One round: a seed decides the pool and everything that happens to it; then all is mended, and
//! after a while of quiet the checkers look at what is left.

use std::cell::RefCell;
use std::rc::Rc;

use crate::bug::Bug;
use crate::check::{self, Breach};
use crate::client::{self, Managers};
use crate::exec::{Millis, Sim};
use crate::faults;
use crate::manager::Manager;
use crate::world::{Agents, LATEST, Setup, World};

/// How long things go wrong.
const STORM: Millis = 120_000;
/// How long the pool has to come to rest: late requests, a grace, moves one after the other.
const REST: Millis = LATEST + 60_000;
/// How long it must be silent then.
const SILENCE: Millis = 15_000;
/// Between two looks at what runs.
const SAMPLE: Millis = 500;

/// How a round ended.
#[derive(Debug)]
pub struct Outcome {
    /// What broke a rule.
    pub breach: Option<Breach>,
    /// Containers given up by failed engines.
    pub moves: usize,
    /// Wishes of clients that were fulfilled.
    pub done: usize,
    /// What happened, where it was asked for.
    pub trace: Vec<String>,
}

/// Plays a round.
pub fn play(seed: u64, bug: Option<Bug>, trace: bool) -> Outcome {
    let sim = Sim::new(seed);
    let agents = match sim.between(0..3) {
        0 => Agents::None,
        1 => Agents::Renewing,
        _ => Agents::Present,
    };
    let of = |from: u64, to: u64| usize::try_from(sim.between(from..to)).unwrap_or(1);
    let (engines, names) = (of(2, 6), of(1, 6));
    let lossy = if sim.once_in(3) { 20 } else { 80 };
    let thinks = if sim.once_in(3) { 2_500 } else { 9_000 };
    let setup = Setup { seed, managers: 3, engines, names, agents, lossy, thinks, bug };
    let world = World::new(Rc::clone(&sim), setup, trace);
    world.note(|| format!("{setup:?}"));
    let started: Vec<_> = (0..setup.managers).map(|index| Manager::start(&world, index)).collect();
    let managers: Managers = Rc::new(RefCell::new(started));
    // People and bad luck are nobody's process: they are never paused.
    let outside = sim.term(usize::MAX);
    for name in 0..setup.names {
        let work = client::work(Rc::clone(&world), Rc::clone(&managers), format!("s{name}"), STORM);
        sim.spawn(outside, work);
    }
    let things = faults::break_things(Rc::clone(&world), Rc::clone(&managers), STORM);
    sim.spawn(outside, things);
    sim.spawn(outside, watch(Rc::clone(&world), Rc::clone(&managers)));

    let broken = || world.checks.borrow().breach.is_some();
    sim.run(STORM, broken);
    let dead = sim.once_in(3).then(|| of(0, setup.engines as u64));
    mend(&world, &managers, dead);
    sim.run(STORM + REST, broken);
    world.checks.borrow_mut().expect_silence();
    sim.run(STORM + REST + SILENCE, broken);
    let primary = managers.borrow().iter().any(|manager| manager.is_primary());
    check::at_the_end(&world, primary);

    for manager in managers.borrow().iter() {
        manager.kill();
    }
    sim.end(outside);
    let checks = world.checks.borrow();
    Outcome {
        breach: checks.breach.clone(),
        moves: checks.moves,
        done: checks.promises.done,
        trace: world.trace(),
    }
}

/// Agents renew, and the checkers look at what runs.
async fn watch(world: Rc<World>, managers: Managers) {
    loop {
        world.beat();
        let primary = managers.borrow().iter().position(|manager| manager.may_act());
        check::sample(&world, primary);
        world.sim.sleep(SAMPLE).await;
    }
}

/// Everything works again, but for an engine that is dead for good.
fn mend(world: &Rc<World>, managers: &Managers, dead: Option<usize>) {
    world.note(|| format!("all is mended, but for {dead:?}"));
    world.stormy.set(false);
    world.store_up.set(true);
    world.cut.borrow_mut().clear();
    for engine in 0..world.setup.engines {
        if Some(engine) == dead && world.setup.engines > 2 {
            world.engines[engine].borrow_mut().off();
        } else {
            faults::boot(world, engine);
        }
    }
    for index in 0..world.setup.managers {
        world.sim.resume(index);
        let old = Rc::clone(&managers.borrow()[index]);
        if !old.is_running() {
            managers.borrow_mut()[index] = Manager::start(world, index);
        }
    }
}
