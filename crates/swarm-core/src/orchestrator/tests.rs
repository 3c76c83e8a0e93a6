//! Replicated and global services come to what is wanted, and stay there.

use std::collections::BTreeSet;

use serde_json::json;
use swarm_model::TaskState;

use super::fixture::{SECOND, World, world};
use super::*;
use crate::task::Owner;

fn replicas(count: u64) -> World {
    let mut world = world(json!({"Mode": {"Replicated": {"Replicas": count}}}));
    world.settle();
    world
}

fn down(world: &mut World, node: &str) {
    world.node(node, json!({"Status": {"State": "down"}}));
}

#[test]
fn replicas_are_made_evenly_and_then_nothing() {
    let mut world = replicas(6);
    assert_eq!(["a", "b", "c"].map(|node| world.on(node)), [2, 2, 2]);
    let slots: BTreeSet<u64> = world.running().iter().map(|task| task.slot).collect();
    assert_eq!(slots, (1..=6).collect());
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.wake), (0, None), "converged means silent");
}

#[test]
fn scaling_takes_what_does_not_run_then_from_the_fullest() {
    let mut world = replicas(6);
    world.node("a", json!({"Spec": {"Availability": "pause"}}));
    world.update(json!({"Mode": {"Replicated": {"Replicas": 8}}}));
    world.settle();
    assert_eq!(["a", "b", "c"].map(|node| world.on(node)), [2, 3, 3]);
    world.update(json!({"Mode": {"Replicated": {"Replicas": 6}}}));
    world.settle();
    assert_eq!(["a", "b", "c"].map(|node| world.on(node)), [2, 2, 2]);
    assert_eq!(world.tasks.len(), 6, "what is scaled away leaves no history");
    assert_eq!(world.state(), None, "scaling is no update");

    world.frozen = vec!["a", "b", "c"];
    world.update(json!({"Mode": {"Replicated": {"Replicas": 7}}}));
    world.turn();
    world.update(json!({"Mode": {"Replicated": {"Replicas": 6}}}));
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 1);
    let Action::Desire { task, state: TaskState::Remove } = &plan.steps[0].action else {
        panic!("{plan:?}");
    };
    assert_ne!(world.tasks[task].status.state, TaskState::Running);
}

#[test]
fn a_slot_that_was_just_scaled_away_is_waited_for() {
    let mut world = replicas(1);
    world.frozen = vec!["a", "b", "c"];
    world.update(json!({"Mode": {"Replicated": {"Replicas": 0}}}));
    world.turn();
    world.update(json!({"Mode": {"Replicated": {"Replicas": 1}}}));
    world.settle();
    let made = world.tasks.values().find(|task| task.is_wanted()).unwrap();
    assert_eq!((made.slot, made.desired_state), (1, TaskState::Ready));
    world.frozen.clear();
    world.settle();
    assert_eq!((world.running().len(), world.tasks.len()), (1, 1));
}

#[test]
fn tasks_of_one_moment_have_an_order() {
    let mut world = replicas(1);
    // A leader whose clock stands behind the store's does all in one moment.
    for restarts in 1..20 {
        let id = world.running()[0].id.clone();
        world.observed(&id, Owner::Agent, TaskState::Shutdown);
        world.settle();
        let newest = world.tasks.values().max_by_key(|task| task.lineage.nth).unwrap();
        assert_eq!((newest.lineage.nth, newest.is_wanted()), (restarts, true));
        assert!(world.tasks.len() <= 5);
    }
}

#[test]
fn a_dead_node_s_tasks_run_elsewhere_at_once() {
    let mut world = replicas(3);
    down(&mut world, "a");
    let plan = world.plan();
    let words: Vec<_> = plan.steps.iter().map(|step| step.reason.clone()).collect();
    assert!(words[0].contains("its node a is down"), "{words:?}");
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (0, 3));
    world.node("a", json!({"Status": {"State": "ready"}}));
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (0, 3), "the old one is stopped");
}

#[test]
fn nobody_knows_yet_is_not_down() {
    let mut world = replicas(3);
    world.node("a", json!({"Status": {"State": "unknown"}}));
    assert_eq!(world.plan().steps, []);
}

#[test]
fn what_a_new_leader_has_not_heard_of_is_not_kept_instead_of_what_runs() {
    let mut world = replicas(3);
    for node in ["a", "b", "c"] {
        world.node(node, json!({"Status": {"State": "unknown"}}));
    }
    world.update(json!({"Mode": {"Replicated": {"Replicas": 1}}}));
    assert_eq!(world.plan().steps, [], "which two go is not known");
    for node in ["b", "c"] {
        world.node(node, json!({"Status": {"State": "ready"}}));
        assert_eq!(world.plan().steps, []);
    }
    down(&mut world, "a");
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (0, 1));
    assert_eq!(world.tasks.values().filter(|task| &*task.node_id != "a").count(), 1);
    // Where none is to be left there is nothing to know.
    world.node("b", json!({"Status": {"State": "unknown"}}));
    world.node("c", json!({"Status": {"State": "unknown"}}));
    world.update(json!({"Mode": {"Replicated": {"Replicas": 0}}}));
    world.turn();
    assert!(world.tasks.values().all(|task| !task.is_wanted()));
}

#[test]
fn what_is_on_a_dead_node_is_scaled_away_first_and_not_followed() {
    for dead in ["a", "b", "c"] {
        let mut world = replicas(3);
        down(&mut world, dead);
        world.update(json!({"Mode": {"Replicated": {"Replicas": 2}}}));
        let plan = world.plan();
        assert_eq!(plan.steps.len(), 1, "{plan:?}");
        world.settle();
        assert_eq!((world.on(dead), world.running().len()), (0, 2));
    }
}

#[test]
fn a_drained_node_s_tasks_start_once_the_old_ones_have_ended() {
    let mut world = replicas(3);
    world.node("a", json!({"Spec": {"Availability": "drain"}}));
    world.frozen = vec!["a"];
    world.settle();
    assert_eq!(world.running().len(), 2, "the old one may still run");
    world.frozen.clear();
    world.settle();
    assert_eq!((world.on("a"), world.running().len()), (0, 3));
}

#[test]
fn constraints_are_enforced_and_pause_moves_nothing() {
    let mut world = world(json!({"Mode": {"Replicated": {"Replicas": 2}},
        "TaskTemplate": {"Placement": {"Constraints": ["node.labels.x!=1"]}}}));
    world.settle();
    world.node("a", json!({"Spec": {"Availability": "pause"}}));
    assert_eq!(world.plan().steps, []);
    let full = world.running()[0].node_id.to_string();
    world.node(&full, json!({"Spec": {"Labels": {"x": "1"}}}));
    world.settle();
    assert_eq!((world.on(&full), world.running().len()), (0, 2));
}

#[test]
fn a_removed_node_s_tasks_are_orphaned_and_forgotten() {
    let mut world = replicas(3);
    let id = world.running()[0].node_id.clone();
    world.nodes.remove(&id);
    world.settle();
    assert_eq!(world.running().len(), 3);
    let orphans = world.tasks.values().filter(|t| t.status.state == TaskState::Orphaned).count();
    assert_eq!((orphans, world.tasks.len()), (1, 4));
}

#[test]
fn failed_tasks_are_followed_after_the_delay_and_history_is_bounded() {
    let mut world = replicas(1);
    for round in 1..20_usize {
        let id = world.running()[0].id.clone();
        world.pass(40);
        world.observed(&id, Owner::Agent, TaskState::Failed);
        world.settle();
        assert_eq!(world.running().len(), 0, "Docker waits for 5 s");
        world.pass(4);
        assert_eq!(world.running().len(), 0);
        world.pass(1);
        assert_eq!(world.running().len(), 1);
        assert_eq!(world.tasks.len(), (round + 1).min(5));
    }
    assert_eq!(world.running()[0].lineage.restarts, 19, "though history has forgotten most");
}

#[test]
fn a_crash_loop_makes_few_tasks() {
    let mut world = replicas(0);
    world.update(json!({"Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {"ContainerSpec": {"Image": "bad"}, "RestartPolicy": {"Delay": 0}}}));
    world.pass(3600);
    let restarts = world.tasks.values().map(|task| task.lineage.restarts).max();
    assert!((10..30).contains(&restarts.unwrap()), "{restarts:?}");
    assert!(world.tasks.len() <= 5);
}

#[test]
fn what_the_policy_lets_rest_rests_until_the_spec_changes() {
    let mut world = world(json!({"Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate":
        {"ContainerSpec": {"Image": "brief"}, "RestartPolicy": {"Condition": "on-failure"}}}));
    world.settle();
    world.pass(60);
    assert_eq!((world.running().len(), world.tasks.len()), (0, 2));
    world.update(json!({"TaskTemplate": {"ContainerSpec": {"Image": "two"}}}));
    world.settle();
    assert_eq!(world.running().len(), 2);
}

#[test]
fn attempts_run_out() {
    let mut world = world(json!({"TaskTemplate": {"ContainerSpec": {"Image": "bad"},
        "RestartPolicy": {"Delay": SECOND, "MaxAttempts": 2}}}));
    world.pass(100);
    assert_eq!(world.tasks.len(), 3);
    assert_eq!(world.plan().steps, []);
}

#[test]
fn global_services_follow_the_nodes() {
    let mut world = world(json!({"Mode": {"Global": {}},
        "TaskTemplate": {"Placement": {"Constraints": ["node.hostname!=c"]}}}));
    world.settle();
    assert_eq!(["a", "b", "c"].map(|node| world.on(node)), [1, 1, 0]);
    down(&mut world, "a");
    assert_eq!(world.plan().steps, [], "it may run on unharmed, and has no other place");
    world.node("a", json!({"Status": {"State": "ready"}}));
    assert_eq!(world.plan().steps, [], "and is adopted");
    world.node("a", json!({"Spec": {"Availability": "drain"}}));
    world.settle();
    assert_eq!(world.on("a"), 0);
    world.node("a", json!({"Spec": {"Availability": "active"}}));
    world.settle();
    assert_eq!(world.on("a"), 1);
    let id = world.running().iter().find(|task| &*task.node_id == "b").unwrap().id.clone();
    world.observed(&id, Owner::Agent, TaskState::Failed);
    world.pass(5);
    assert_eq!(world.on("b"), 1);
    world.nodes.remove("b");
    world.settle();
    assert_eq!(
        (world.running().len(), world.tasks.values().filter(|t| &*t.node_id == "b").count()),
        (1, 0)
    );
}

#[test]
fn a_removed_service_leaves_nothing() {
    let mut world = replicas(3);
    for _ in 0..3 {
        let tasks: Vec<Task> = world.tasks.values().cloned().collect();
        let tasks: Vec<&Task> = tasks.iter().collect();
        let service = world.service.clone();
        let view = View { service: &service, tasks: &tasks, nodes: &world.nodes, history: 5 };
        let plan = plan_removed(&view);
        world.apply(&plan);
        let running: Vec<_> = world.tasks.values().filter(|t| t.holds_node()).cloned().collect();
        for task in running {
            world.observed(&task.id, Owner::Agent, TaskState::Shutdown);
        }
    }
    assert!(world.tasks.is_empty());
}

#[test]
fn a_task_knows_its_service_s_name_labels_and_every_port_on_its_host() {
    let port = |target: u16| json!({"TargetPort": target, "PublishMode": "host"});
    let mut world = world(json!({
        "Name": "web", "Labels": {"tier": "front"},
        "EndpointSpec": {"Ports": [port(80), {"TargetPort": 443, "PublishedPort": 443}]},
    }));
    world.settle();
    let task = (*world.running()[0]).clone();
    assert_eq!(task.name(), format!("web.1.{}", task.id));
    assert_eq!(task.service_annotations.labels["tier"], "front");
    assert_eq!(task.host_ports.iter().map(|port| port.target_port).collect::<Vec<_>>(), [80]);
}

#[test]
fn what_a_node_rejects_is_tried_again_after_its_delay_and_ever_less_often() {
    let mut world = world(json!({"Mode": {"Replicated": {"Replicas": 1}}}));
    world.frozen = vec!["a", "b", "c"];
    let mut made = Vec::new();
    for second in 0..200 {
        world.now = world.now.plus(SECOND);
        world.settle();
        let wanted = world.tasks.values().find(|task| task.is_wanted() && task.holds_node());
        if let Some(id) = wanted.map(|task| task.id.clone()) {
            // As with a missing image: it fails in being made ready, whatever is desired.
            world.observed(&id, Owner::Agent, TaskState::Rejected);
            made.push(second);
        }
    }
    assert_eq!(made, [0, 5, 10, 15, 25, 45, 85, 165]);
}
