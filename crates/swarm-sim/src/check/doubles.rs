//! Never two running containers of one name on engines that the primary can reach, for longer than
//! it takes to notice and to stop one.

use std::collections::BTreeMap;

use crate::exec::Millis;
use crate::world::{LATEST, Node, World};

/// Time to notice (a reading, a plan) and to stop, with a request or two lost on the way; and the
/// time in which a request that was sent before the copy became old may still be carried out.
const BOUND: Millis = 10_000 + LATEST;

/// Since when there are two.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    leader: Option<usize>,
    since: BTreeMap<String, Millis>,
}

impl Doubles {
    pub(super) fn sample(&mut self, world: &World, leader: Option<usize>) -> Option<String> {
        let now = world.sim.now();
        let Some(leader) = leader else {
            self.since.clear();
            return None;
        };
        if self.leader.replace(leader) != Some(leader) {
            self.since.clear();
        }
        let mut running: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (index, engine) in world.engines.iter().enumerate() {
            if !world.connected(Node::Manager(leader), Node::Engine(index)) {
                continue;
            }
            for one in engine.borrow().containers().filter(|one| one.running) {
                running.entry(one.name.clone()).or_default().push(one.id.clone());
            }
        }
        running.retain(|_, ids| ids.len() > 1);
        self.since.retain(|name, _| running.contains_key(name));
        for (name, ids) in running {
            let since = *self.since.entry(name.clone()).or_insert(now);
            if now - since > BOUND {
                return Some(format!("{name} runs as {} since {since} ms", ids.join(" and ")));
            }
        }
        None
    }
}
