//! What a manager sees of the engines, and whether it was awake to see it.

use std::rc::Rc;

use super::Manager;
use crate::exec::Millis;
use crate::world::Node;

/// Between two readings of an engine.
const PERIOD: Millis = 1_000;
/// A process that did not run for longer than this has not watched.
const ASLEEP: Millis = 1_500;
/// Between two looks at whether it was asleep.
const TICK: Millis = 500;

impl Manager {
    /// Reads one engine for ever.
    pub(super) async fn watch(self: Rc<Self>, engine: usize) {
        loop {
            let began = self.now();
            let list = move |world: &crate::world::World| world.engines[engine].borrow().list();
            let containers = self.world.call(self.me(), Node::Engine(engine), list).await;
            let now = self.now();
            {
                let reading = &mut self.readings.borrow_mut()[engine];
                match containers {
                    // An answer to a question from before one that was answered is old.
                    Some(containers) => {
                        (reading.containers, reading.began) = (containers, began);
                        (reading.healthy, reading.ever, reading.answered) = (true, true, now);
                    }
                    None if reading.healthy => {
                        (reading.healthy, reading.silent_since) = (false, began);
                    }
                    None => {}
                }
            }
            let pause = self.world.sim.between(PERIOD / 2..PERIOD);
            self.world.sim.sleep(pause).await;
        }
    }

    /// Notices when it has not run for a while.
    pub(super) async fn tick(self: Rc<Self>) {
        loop {
            self.awake();
            self.world.sim.sleep(TICK).await;
        }
    }

    /// Whatever it believes of engines from before a pause does not count.
    pub(super) fn awake(&self) {
        let now = self.now();
        if now - self.alive.get() > ASLEEP {
            self.watching_since.set(now);
        }
        self.alive.set(now);
    }
}
