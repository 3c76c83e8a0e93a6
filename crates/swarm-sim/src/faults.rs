//! What goes wrong: power, wires, the store, managers that pause, end and start again; and people
//! who have containers moved in the middle of it, or remove them beside the pool.

use std::rc::Rc;

use crate::client::Managers;
use crate::exec::Millis;
use crate::manager::Manager;
use crate::world::{Node, World};

/// Breaks and mends things until `end`.
pub async fn break_things(world: Rc<World>, managers: Managers, end: Millis) {
    let sim = Rc::clone(&world.sim);
    loop {
        let pause = sim.between(200..6_000);
        sim.sleep(pause).await;
        if sim.now() > end {
            return;
        }
        let pick = |of: usize| usize::try_from(sim.between(0..of as u64)).unwrap_or(0);
        let (engine, manager) = (pick(world.setup.engines), pick(world.setup.managers));
        let long = if sim.once_in(3) { 60_000 } else { 12_000 };
        let last = sim.between(200..long);
        match sim.between(0..19) {
            0..4 => power(&world, engine, last),
            4..6 => cut(&world, Node::Manager(manager), Node::Engine(engine), last),
            6..8 => {
                for manager in 0..world.setup.managers {
                    cut(&world, Node::Manager(manager), Node::Engine(engine), last);
                }
                if sim.once_in(2) {
                    cut(&world, Node::Engine(engine), Node::Store, last);
                }
            }
            8 => cut(&world, Node::Manager(manager), Node::Store, last),
            9 => store(&world, last / 2),
            10..13 => pause_manager(&world, &managers, manager, last),
            13..15 => restart(&world, &managers, manager, last / 3),
            15..18 => {
                let primary = managers.borrow().iter().find(|one| one.is_primary()).cloned();
                if let Some(primary) = primary {
                    primary.relocate(sim.once_in(2));
                }
            }
            _ => remove_beside(&world, engine),
        }
    }
}

fn power(world: &Rc<World>, engine: usize, last: Millis) {
    if !world.engines[engine].borrow().on {
        return;
    }
    world.note(|| format!("n{engine} loses power for {last} ms"));
    world.engines[engine].borrow_mut().off();
    let later = Rc::clone(world);
    world.sim.after(last, move || boot(&later, engine));
}

/// The power is back.
pub fn boot(world: &World, engine: usize) {
    if !world.engines[engine].borrow().on {
        world.note(|| format!("n{engine} boots"));
        world.engines[engine].borrow_mut().boot();
    }
}

fn cut(world: &Rc<World>, a: Node, b: Node, last: Millis) {
    if !world.cut.borrow_mut().insert((a, b)) {
        return;
    }
    world.note(|| format!("{a:?} and {b:?} are cut for {last} ms"));
    let later = Rc::clone(world);
    world.sim.after(last, move || {
        later.note(|| format!("{a:?} and {b:?} can talk"));
        later.cut.borrow_mut().remove(&(a, b));
    });
}

fn store(world: &Rc<World>, last: Millis) {
    world.note(|| format!("the store is away for {last} ms"));
    world.store_up.set(false);
    let later = Rc::clone(world);
    world.sim.after(last, move || later.store_up.set(true));
}

fn pause_manager(world: &Rc<World>, managers: &Managers, index: usize, last: Millis) {
    // The primary is the interesting one.
    let primary = managers.borrow().iter().position(|manager| manager.is_primary());
    let index = primary.filter(|_| world.sim.once_in(2)).unwrap_or(index);
    world.note(|| format!("m{index} is paused for {last} ms"));
    world.sim.pause(index);
    let later = Rc::clone(world);
    world.sim.after(last, move || {
        later.note(|| format!("m{index} runs again"));
        later.sim.resume(index);
    });
}

fn restart(world: &Rc<World>, managers: &Managers, index: usize, last: Millis) {
    let primary = managers.borrow().iter().position(|manager| manager.is_primary());
    let index = primary.filter(|_| world.sim.once_in(2)).unwrap_or(index);
    world.note(|| format!("m{index} is killed for {last} ms"));
    managers.borrow()[index].kill();
    let (later, managers) = (Rc::clone(world), Rc::clone(managers));
    world.sim.after(last, move || {
        let old = Rc::clone(&managers.borrow()[index]);
        old.kill();
        later.note(|| format!("m{index} starts"));
        let new = Manager::start(&later, index);
        managers.borrow_mut()[index] = new;
    });
}

fn remove_beside(world: &Rc<World>, engine: usize) {
    let one = world.engines[engine].borrow().list().into_iter().next();
    if let Some(one) = one.filter(|_| world.engines[engine].borrow().on) {
        world.note(|| format!("somebody removes {} ({}) from n{engine}", one.name, one.id));
        let removed = world.engines[engine].borrow_mut().remove(&one.id);
        if removed.is_ok() {
            world.checks.borrow_mut().promises.maybe_gone(world.sim.now(), &one.name);
        }
    }
}
