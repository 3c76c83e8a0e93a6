//! Start-first draining: what runs on a drained node runs until another runs in its place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::fixture::{SECOND, World, world};

fn replicas(count: u64) -> World {
    let mut world = world(json!({"Mode": {"Replicated": {"Replicas": count}},
        "Labels": {"swarm.drain": "start-first"}}));
    world.settle();
    world
}

#[test]
fn where_a_service_says_so_a_drained_node_s_tasks_end_once_others_run() {
    let mut world = replicas(3);
    world.node("a", json!({"Spec": {"Availability": "drain"}}));
    world.frozen = vec!["b", "c"];
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (1, 3), "it runs until another does");
    world.frozen.clear();
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (0, 3));

    // No other place: it stays where it is, and one waits.
    for node in ["b", "c"] {
        world.node(node, json!({"Spec": {"Availability": "drain"}}));
    }
    world.settle();
    assert_eq!(world.running().len(), 3);
    assert_eq!(world.tasks.values().filter(|task| task.is_wanted()).count(), 6);
    // Those that wait are not needed any more.
    for node in ["b", "c"] {
        world.node(node, json!({"Spec": {"Availability": "active"}}));
    }
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (0, 3));
    assert_eq!(world.tasks.values().filter(|task| task.is_wanted()).count(), 3);

    // A node that is down is left at once.
    world.node("b", json!({"Spec": {"Availability": "drain"}, "Status": {"State": "down"}}));
    world.settle();
    assert_eq!((world.on("b"), world.running().len()), (0, 3));
}

#[test]
fn one_that_fails_where_it_comes_costs_none_that_runs() {
    let mut world = replicas(2);
    world.bad = "one";
    world.node("a", json!({"Spec": {"Availability": "drain"}}));
    world.node("b", json!({"Spec": {"Availability": "drain"}}));
    world.pass(60);
    assert_eq!(world.running().len(), 2);
    let made = world.tasks.len();
    assert!(made < 20, "it is tried less and less often: {made}");
}

#[test]
fn a_task_that_is_moved_is_followed_as_its_service_is_updated() {
    for (order, while_it_comes) in [("start-first", 2), ("stop-first", 1)] {
        let mut world = world(json!({"Mode": {"Replicated": {"Replicas": 2}},
            "UpdateConfig": {"Order": order}}));
        world.settle();
        let id = world.running()[0].id.clone();
        let task = world.tasks.get_mut(&id).unwrap();
        task.lineage.moves = true;
        world.frozen = vec!["a", "b", "c"];
        world.settle();
        assert_eq!(world.running().len(), while_it_comes, "{order}");
        world.frozen.clear();
        world.settle();
        assert_eq!(world.running().len(), 2);
        assert!(world.running().iter().all(|task| !task.lineage.moves && task.id != id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is drained, updated and scaled: a slot never wants more than two.
    #[test]
    fn a_slot_never_wants_more_than_one_beyond_its_own(
        moves in prop::collection::vec((0..5_u8, 0..3_usize, any::<bool>()), 1..25),
    ) {
        let mut world = replicas(4);
            for (kind, which, flag) in moves {
            let (node, image) = (["a", "b", "c"][which], ["one", "two", "bad"][which]);
            let availability = if flag { "drain" } else { "active" };
            match kind {
                0 | 1 => world.node(node, json!({"Spec": {"Availability": availability}})),
                2 => world.update(json!({
                    "TaskTemplate": {"ContainerSpec": {"Image": image}},
                    "UpdateConfig": {"Order": if flag { "start-first" } else { "stop-first" },
                        "FailureAction": "continue"},
                })),
                3 => world.frozen = if flag { vec![node] } else { Vec::new() },
                _ => world.now = world.now.plus(6 * SECOND),
            }
            for _ in 0..=which {
                world.turn();
                let mut slots = BTreeMap::<u64, usize>::new();
                for task in world.tasks.values().filter(|task| task.is_wanted()) {
                    *slots.entry(task.slot).or_default() += 1;
                }
                prop_assert!(slots.values().all(|wanted| *wanted <= 2), "{slots:?}");
            }
        }
        world.frozen.clear();
        world.update(json!({"TaskTemplate": {"ContainerSpec": {"Image": "last"}},
            "UpdateConfig": {"FailureAction": "continue"}}));
        for node in ["a", "b", "c"] {
            world.node(node, json!({"Spec": {"Availability": "active"}}));
        }
        world.pass(60);
        prop_assert_eq!(world.running().len(), 4);
        prop_assert_eq!(world.tasks.values().filter(|task| task.is_wanted()).count(), 4);
    }
}
