//! After healing and quiet the store equals the world: one container an intent, where the store says,
//! with the name and generation it says, and nothing else; what could not move has not.

use swarm_model::{Desired, Intent, Place, Policy};

use crate::engine::Container;
use crate::store::Value;
use crate::world::World;

pub(super) fn look(world: &World, leader: bool) -> Option<String> {
    if !leader {
        return Some("there is no primary".to_owned());
    }
    let rows = world.store.borrow().list("intents/");
    let intents: Vec<Intent> = rows
        .into_iter()
        .filter_map(|(_, value, _)| match value {
            Value::Intent(intent) => Some(*intent),
            _ => None,
        })
        .collect();
    let working: Vec<(usize, Container)> = world
        .engines
        .iter()
        .enumerate()
        .filter(|(_, engine)| engine.borrow().on)
        .flat_map(|(index, engine)| engine.borrow().list().into_iter().map(move |one| (index, one)))
        .filter(|(_, one)| !one.name.contains(".stale-"))
        .collect();
    let orphan = working.iter().find(|(_, one)| intents.iter().all(|i| i.id != one.intent));
    if let Some((engine, one)) = orphan {
        return Some(format!("n{engine} has {one:?}, of which the store knows nothing"));
    }
    intents.iter().find_map(|intent| of(world, intent, &working))
}

fn of(world: &World, intent: &Intent, working: &[(usize, Container)]) -> Option<String> {
    let copies: Vec<&(usize, Container)> =
        working.iter().filter(|(_, one)| one.intent == intent.id).collect();
    let wrong = |words: &str| {
        let intent = crate::world::describe(intent);
        Some(format!("{intent}: {words}; on working engines there is {copies:?}"))
    };
    let pin = intent.config.fields().get("pin").and_then(serde_json::Value::as_u64);
    let data = !intent.local_data(|_| false).is_empty();
    let kept = intent.policy == Policy::Off || intent.policy == Policy::OnNodeFailure && data;
    if kept && intent.generation > 1 {
        return wrong("it may not move, and did");
    }
    let dead = |engine: usize| !world.engines[engine].borrow().on;
    match &intent.place {
        Place::Nowhere { .. } if pin.is_some_and(|pin| dead(usize::try_from(pin).unwrap_or(0))) => {
            (!copies.is_empty()).then(|| wrong("it is nowhere, and there are copies"))?
        }
        Place::Nowhere { .. } | Place::Going { .. } => wrong("it has no place"),
        Place::At { engine, .. } if dead(World::engine_index(engine)) => {
            if !copies.is_empty() {
                return wrong("its engine is dead, and there are copies");
            }
            if kept || pin.is_some() {
                None
            } else {
                wrong("its engine is dead, and it did not move")
            }
        }
        Place::At { engine, container } => {
            let [(at, one)] = copies[..] else { return wrong("there is not exactly one copy") };
            if *at != World::engine_index(engine) || one.id != *container {
                return wrong("the copy is somewhere else");
            }
            if one.generation != intent.generation || one.name != intent.name {
                return wrong("the copy has another name or generation");
            }
            let blurred = world.checks.borrow().promises.is_blurred(&intent.name);
            if one.running != (intent.desired == Desired::Running) && !blurred {
                return wrong("the copy is not in the state that is wanted");
            }
            None
        }
    }
}
