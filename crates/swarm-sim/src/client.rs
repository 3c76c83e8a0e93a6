//! Clients: each cares for one name, and asks one thing after the other of whoever is primary.

use std::cell::RefCell;
use std::rc::Rc;

use swarm_model::{Policy, StalePolicy};

use crate::exec::{Millis, Slot};
use crate::manager::{Answer, Manager, Op};
use crate::world::World;

/// The managers that are there now.
pub type Managers = Rc<RefCell<Vec<Rc<Manager>>>>;

/// How long a client waits.
const PATIENCE: Millis = 8_000;

/// Works on one name until `end`.
pub async fn work(world: Rc<World>, managers: Managers, slot: String, end: Millis) {
    let sim = Rc::clone(&world.sim);
    let mut renamed = 0;
    loop {
        let pause = sim.between(500..world.setup.thinks);
        sim.sleep(pause).await;
        if sim.now() > end {
            return;
        }
        let primary = managers.borrow().iter().find(|manager| manager.is_primary()).cloned();
        let Some(primary) = primary else { continue };
        let (told, certain) = {
            let promises = &world.checks.borrow().promises;
            (promises.name(&slot), promises.is_certain(&slot))
        };
        // Whoever is not sure looks.
        let known = if certain { told } else { primary.find(&slot) };
        let name = known.clone().unwrap_or_else(|| slot.clone());
        let op = match (sim.between(0..20), known) {
            (_, None) => create(&world, name.clone()),
            (0..10, _) => Op::Start(name.clone()),
            (10..14, _) => Op::Stop(name.clone()),
            (14..16, _) => {
                renamed += 1;
                Op::Rename(name.clone(), format!("{slot}-{renamed}"))
            }
            (16..19, _) => Op::Remove(name.clone()),
            _ => create(&world, name.clone()), // A name that is taken: to be refused.
        };
        let answer = ask(&world, &primary, op.clone()).await;
        world.note(|| format!("client of {slot}: {op:?} {answer:?}"));
        world.checks.borrow_mut().heard(sim.now(), &op, &name, answer);
    }
}

fn create(world: &World, name: String) -> Op {
    let sim = &world.sim;
    let policy = match sim.between(0..6) {
        0 => Policy::Off,
        1 => Policy::OnNodeFailureWithVolumes,
        _ => Policy::OnNodeFailure,
    };
    let engines = world.setup.engines as u64;
    let pin = sim.once_in(6).then(|| usize::try_from(sim.between(0..engines)).unwrap_or(0));
    let stale = if sim.once_in(5) { StalePolicy::Keep } else { StalePolicy::Remove };
    Op::Create { name, policy, data: sim.once_in(5), pin, stale }
}

async fn ask(world: &World, primary: &Rc<Manager>, op: Op) -> Answer {
    let slot: Slot<Answer> = primary.submit(op);
    let late = slot.clone();
    world.sim.after(PATIENCE, move || late.fill(Answer::Unknown));
    slot.await
}
