//! Jobs run to their end, so many at once, and once.

use serde_json::json;
use swarm_model::service::JobStatus;
use swarm_model::{TaskState, Time, Version};

use super::fixture::{World, world};
use crate::task::Owner;

fn completed(world: &World) -> usize {
    world.tasks.values().filter(|task| task.status.state == TaskState::Complete).count()
}

fn finish_one(world: &mut World) {
    let id = world.running()[0].id.clone();
    world.observed(&id, Owner::Agent, TaskState::Complete);
    world.settle();
}

#[test]
fn so_many_at_once_until_all_have_ended_well() {
    let mut world =
        world(json!({"Mode": {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 5}}}));
    world.settle();
    for done in 0..5 {
        assert_eq!(world.running().len(), 2.min(5 - done));
        assert_eq!(world.plan().steps, []);
        finish_one(&mut world);
        assert_eq!(completed(&world), done + 1);
    }
    world.pass(60);
    assert_eq!((world.tasks.len(), completed(&world)), (5, 5));
    let mut slots: Vec<_> = world.tasks.values().map(|task| task.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2, 3, 4], "as Docker's client counts them");
}

#[test]
fn a_job_of_an_older_release_is_not_begun_again() {
    let mut world =
        world(json!({"Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 3}}}));
    world.settle();
    finish_one(&mut world);
    // It numbered them from 1.
    let renumbered = world.tasks.values().cloned().map(|mut task| {
        task.slot += 1;
        (task.id.clone(), task)
    });
    world.tasks = renumbered.collect();
    for _ in 0..2 {
        world.settle();
        assert_eq!(world.running().len(), 1);
        finish_one(&mut world);
    }
    world.pass(60);
    assert_eq!((world.tasks.len(), completed(&world)), (3, 3));
}

#[test]
fn what_fails_is_tried_again_as_often_as_it_may() {
    let mut world = world(json!({"Mode": {"ReplicatedJob": {}}, "TaskTemplate":
        {"ContainerSpec": {"Image": "bad"}, "RestartPolicy": {"Condition": "on-failure", "MaxAttempts": 2}}}));
    world.pass(60);
    let failed = world.tasks.values().filter(|task| task.status.state == TaskState::Failed).count();
    assert_eq!((failed, world.tasks.len()), (3, 3));
    assert_eq!(world.plan().steps, []);
}

#[test]
fn an_update_begins_anew() {
    let mut world = world(json!({"Mode": {"ReplicatedJob": {"MaxConcurrent": 2}},
        "TaskTemplate": {"ContainerSpec": {"Image": "brief"}}}));
    world.settle();
    assert_eq!(completed(&world), 2);
    let job_iteration = Version { index: 9 };
    world.service.job_status = Some(JobStatus { job_iteration, last_execution: Time(1) });
    world.settle();
    assert_eq!((completed(&world), world.tasks.len()), (2, 2));
    assert!(world.tasks.values().all(|task| task.job_iteration == Some(job_iteration)));
}

#[test]
fn a_new_run_waits_for_what_the_last_one_left() {
    let mut world = world(json!({"Mode": {"ReplicatedJob": {}}}));
    world.settle();
    world.frozen = vec!["a", "b", "c"];
    let job_iteration = Version { index: 9 };
    world.service.job_status = Some(JobStatus { job_iteration, last_execution: Time(1) });
    world.settle();
    let made = world.tasks.values().find(|task| task.is_wanted()).unwrap();
    assert_eq!(made.desired_state, TaskState::Ready);
    world.frozen.clear();
    world.settle();
    assert_eq!((world.running().len(), world.tasks.len()), (1, 1));
}

#[test]
fn a_global_job_ends_on_every_node_also_on_late_ones() {
    let mut world = world(json!({"Mode": {"GlobalJob": {}},
        "TaskTemplate": {"ContainerSpec": {"Image": "brief"}}}));
    world.node("c", json!({"Spec": {"Availability": "pause"}}));
    world.settle();
    assert_eq!(completed(&world), 2);
    world.node("c", json!({"Spec": {"Availability": "active"}}));
    world.settle();
    assert_eq!((completed(&world), world.tasks.len()), (3, 3));
}

#[test]
fn a_dead_node_s_part_is_done_elsewhere() {
    let mut world = world(json!({"Mode": {"ReplicatedJob": {}}}));
    world.settle();
    let node = world.running()[0].node_id.to_string();
    world.node(&node, json!({"Status": {"State": "down"}}));
    world.settle();
    assert_eq!((world.on(&node), world.running().len()), (0, 1));
}
