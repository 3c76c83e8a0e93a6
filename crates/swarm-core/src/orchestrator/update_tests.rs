//! Rolling updates: how many at once, in which order, and what follows a failure.

use serde_json::{Value, json};
use swarm_model::service::UpdateState;
use swarm_model::{Task, TaskState};

use super::differs::differs;
use super::fixture::{SECOND, World, world};
use super::view::View;

fn service(count: u64, config: &Value) -> World {
    let mut world =
        world(json!({"Mode": {"Replicated": {"Replicas": count}}, "UpdateConfig": config}));
    world.settle();
    world
}

fn to(image: &str) -> Value {
    json!({"TaskTemplate": {"ContainerSpec": {"Image": image}}})
}

#[test]
fn so_many_at_once_with_a_delay_and_a_watch() {
    let mut world = service(5, &json!({"Parallelism": 2, "Delay": 10 * SECOND}));
    world.update(to("two"));
    world.settle();
    assert_eq!((world.with_image("two"), world.with_image("one")), (2, 3));
    assert_eq!(world.state(), Some((UpdateState::Updating, "update in progress")));
    world.pass(9);
    assert_eq!(world.with_image("two"), 2);
    world.pass(1);
    assert_eq!(world.with_image("two"), 4);
    world.pass(10);
    assert_eq!(world.with_image("two"), 5);
    world.pass(4);
    assert_eq!(world.state().unwrap().0, UpdateState::Updating, "watched for 5 s");
    world.pass(1);
    assert_eq!(world.state(), Some((UpdateState::Completed, "update completed")));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.wake), (0, None));
}

#[test]
fn stop_first_never_has_two_and_start_first_never_too_few() {
    for (order, least, most) in [("stop-first", 2, 3), ("start-first", 3, 4)] {
        let mut world = service(3, &json!({"Order": order}));
        world.update(to("two"));
        let mut seen = (usize::MAX, 0);
        for _ in 0..200 {
            world.turn();
            let count =
                world.tasks.values().filter(|task| task.status.state == TaskState::Running).count();
            seen = (seen.0.min(count), seen.1.max(count));
            world.now = world.now.plus(SECOND / 10);
        }
        assert_eq!(world.with_image("two"), 3);
        assert_eq!(world.state().unwrap().0, UpdateState::Completed);
        assert!(seen.0 >= least && seen.1 <= most, "{order}: {seen:?}");
    }
}

#[test]
fn a_failure_pauses() {
    let mut world = service(4, &json!({}));
    world.update(to("bad"));
    world.pass(30);
    let (state, message) = world.state().unwrap();
    assert_eq!(state, UpdateState::Paused);
    assert!(message.starts_with("update paused due to failure or early termination of task "));
    assert_eq!(world.with_image("one"), 3);
    world.update(to("two"));
    world.pass(30);
    assert_eq!((world.with_image("two"), world.state().unwrap().0), (4, UpdateState::Completed));
}

#[test]
fn a_failure_rolls_back() {
    for order in ["stop-first", "start-first"] {
        let mut world = service(4, &json!({"FailureAction": "rollback", "Order": order}));
        world.update(to("bad"));
        world.settle();
        let (state, message) = world.state().unwrap();
        assert_eq!(state, UpdateState::RollbackStarted);
        assert!(
            message.starts_with("update rolled back due to failure or early termination of task ")
        );
        world.pass(30);
        assert_eq!(world.with_image("one"), 4, "{order}");
        assert_eq!(world.state(), Some((UpdateState::RollbackCompleted, "rollback completed")));
        assert!(world.service.previous_spec.is_none());
        assert_eq!(world.plan().steps, []);
    }
}

#[test]
fn a_rollback_that_fails_is_paused() {
    let mut world = service(2, &json!({"FailureAction": "rollback"}));
    world.now = world.now.plus(SECOND);
    world.update(to("bad"));
    world.turn();
    world.bad = "one";
    // The new ones fail by hand, the old image fails when it comes back.
    while world.state().map(|state| state.0) != Some(UpdateState::RollbackStarted) {
        world.now = world.now.plus(1);
        world.turn();
        let running: Vec<_> =
            world.running().iter().filter(|t| image(t) == "bad").map(|t| t.id.clone()).collect();
        for id in running {
            world.observed(&id, crate::task::Owner::Agent, TaskState::Failed);
        }
    }
    world.pass(30);
    let (state, message) = world.state().unwrap();
    assert_eq!(state, UpdateState::RollbackPaused);
    assert!(message.starts_with("rollback paused due to failure or early termination of task "));
}

fn image(task: &Task) -> &str {
    &task.spec.container_spec.as_ref().unwrap().image
}

#[test]
fn failures_within_the_ratio_or_without_an_action_go_on() {
    let mut world = service(4, &json!({"FailureAction": "continue"}));
    world.update(to("bad"));
    world.pass(60);
    assert_eq!(world.with_image("one"), 0);
    assert_eq!(world.state().unwrap().0, UpdateState::Completed);

    let mut world = service(4, &json!({"MaxFailureRatio": 0.5}));
    world.update(to("bad"));
    world.pass(60);
    assert_eq!(world.state().unwrap().0, UpdateState::Paused);
    assert_eq!(world.with_image("one"), 1, "the third was one too many");
}

#[test]
fn a_late_failure_is_no_failure_of_the_update() {
    let mut world = service(2, &json!({"Delay": 100 * SECOND, "Monitor": 3 * SECOND}));
    world.update(to("two"));
    world.pass(10);
    let id = world.running().iter().find(|task| image(task) == "two").unwrap().id.clone();
    world.observed(&id, crate::task::Owner::Agent, TaskState::Failed);
    world.pass(10);
    assert_eq!(world.state().unwrap().0, UpdateState::Updating);
    world.pass(200);
    assert_eq!(world.state().unwrap().0, UpdateState::Completed);
}

#[test]
fn start_first_crash_loops_back_off_and_keep_the_old_one() {
    let mut world = service(1, &json!({"Order": "start-first", "FailureAction": "continue"}));
    world.update(to("bad"));
    world.pass(600);
    assert_eq!(world.with_image("one"), 1);
    let restarts = world.tasks.values().map(|task| task.lineage.restarts).max().unwrap();
    assert!((5..15).contains(&restarts), "{restarts}");
}

#[test]
fn global_services_are_updated_one_node_after_the_other() {
    let mut world = world(json!({"Mode": {"Global": {}}, "UpdateConfig": {"Delay": 2 * SECOND}}));
    world.settle();
    world.node("c", json!({"Spec": {"Availability": "pause"}}));
    world.update(to("two"));
    world.settle();
    assert_eq!(world.with_image("two"), 1);
    world.pass(20);
    assert_eq!((world.with_image("two"), world.with_image("one")), (2, 1));
    assert_eq!(world.state().unwrap().0, UpdateState::Completed);
    world.node("c", json!({"Spec": {"Availability": "active"}}));
    world.pass(20);
    assert_eq!(world.with_image("two"), 3);
}

#[test]
fn what_changes_no_container_restarts_none() {
    for change in [
        json!({"Labels": {"a": "1"}}),
        json!({"UpdateConfig": {"Parallelism": 7}}),
        json!({"RollbackConfig": {"Parallelism": 7}}),
        json!({"TaskTemplate": {"RestartPolicy": {"Condition": "none"}}}),
        json!({"TaskTemplate": {"Placement": {"Constraints": ["node.hostname!=z"]}}}),
        json!({"TaskTemplate": {"Networks": null, "ContainerSpec": {"Env": [], "Labels": {}}}}),
        json!({"TaskTemplate": {"Resources": {}}}),
        json!({"TaskTemplate": {"ContainerSpec": {"PullOptions": {"RegistryAuth": "e30="}}}}),
        json!({"EndpointSpec": {"Ports": [{"TargetPort": 1, "PublishedPort": 2}]}}),
    ] {
        let mut world = service(3, &json!({}));
        world.update(change.clone());
        assert_eq!(world.plan().steps, [], "{change}");
    }
}

#[test]
fn what_changes_a_container_is_named() {
    for (change, words) in [
        (to("two"), "another image"),
        (json!({"TaskTemplate": {"ContainerSpec": {"Env": ["a=1"]}}}), "another container"),
        (
            json!({"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Target": "/a"}]}}}),
            "other mounts",
        ),
        (json!({"TaskTemplate": {"ForceUpdate": 1}}), "a forced update"),
        (json!({"TaskTemplate": {"Resources": {"Limits": {"NanoCPUs": 1}}}}), "other resources"),
        (json!({"TaskTemplate": {"LogDriver": {"Name": "x"}}}), "another template"),
        (
            json!({"TaskTemplate": {"Placement": {"Constraints": ["node.hostname==z"]}}}),
            "other placement",
        ),
        (
            json!({"EndpointSpec": {"Ports":
                [{"TargetPort": 1, "PublishedPort": 2, "PublishMode": "host"}]}}),
            "other host-mode ports",
        ),
    ] {
        let mut world = service(1, &json!({}));
        world.update(change);
        let task = world.running()[0];
        let view = View { service: &world.service, tasks: &[], nodes: &world.nodes, history: 5 };
        assert_eq!(differs(task, &world.service, &view), Some(words));
    }
}

#[test]
fn a_global_update_waits_for_nodes_that_a_new_leader_has_not_heard_of() {
    let mut world =
        world(json!({"Mode": {"Global": {}}, "UpdateConfig": {"Parallelism": 1, "Delay": SECOND}}));
    world.settle();
    world.update(to("two"));
    world.settle();
    assert_eq!(world.with_image("two"), 1);
    for node in ["a", "b", "c"] {
        world.node(node, json!({"Status": {"State": "unknown"}}));
    }
    world.pass(10);
    assert_eq!(world.state().unwrap().0, UpdateState::Updating);
    for node in ["a", "b", "c"] {
        world.node(node, json!({"Status": {"State": "ready"}}));
    }
    world.pass(10);
    assert_eq!(world.with_image("two"), 3);
    assert_eq!(world.state().unwrap().0, UpdateState::Completed);
}
