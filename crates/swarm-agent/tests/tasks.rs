//! Tasks from their assignment to their end, on a simulated engine.

mod common;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::{id, linked, name, task};
use serde_json::json;
use swarm_engine::Outgoing;

#[tokio::test]
async fn a_task_runs_is_stopped_and_goes_when_it_is_forgotten() -> Result<()> {
    let (node, leader, _agent) = linked().await?;
    leader.assign(false, &[task("a", "running")], &[])?;
    let running = leader.state(&id("a"), "running").await?;
    ensure!(running["Message"] == "started", "{running}");
    let container = node.inspect(&name("a")).await?;
    ensure!(running["ContainerStatus"]["ContainerID"] == container["Id"], "{running}");
    ensure!(container["Config"]["Labels"]["com.docker.swarm.cluster.id"] == "c1", "{container}");

    leader.assign(false, &[task("a", "shutdown")], &[])?;
    leader.state(&id("a"), "shutdown").await?;
    ensure!(node.inspect(&name("a")).await?["State"]["Running"] == false, "it is kept, stopped");
    leader.assign(false, &[], &[&id("a")])?;
    gone(&node, 0).await?;

    let states = leader.heard().states(&id("a"));
    let known = ["accepted", "preparing", "ready", "starting", "running", "shutdown"];
    ensure!(states.iter().all(|state| known.contains(&state.as_str())), "{states:?}");
    let order = |state: &String| known.iter().position(|known| known == state);
    ensure!(states.is_sorted_by_key(order), "{states:?}");
    Ok(())
}

/// Waits until the engine has so many containers.
async fn gone(node: &common::Node, left: usize) -> Result<()> {
    let empty = async {
        while node.engine().containers().0 != left {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(20), empty).await?)
}

#[tokio::test]
async fn a_task_that_is_to_be_ready_is_made_and_waits() -> Result<()> {
    let (node, leader, _agent) = linked().await?;
    leader.assign(false, &[task("a", "ready")], &[])?;
    leader.state(&id("a"), "ready").await?;
    ensure!(node.inspect(&name("a")).await?["State"]["Status"] == "created");
    leader.assign(false, &[task("a", "running")], &[])?;
    leader.state(&id("a"), "running").await?;
    Ok(())
}

#[tokio::test]
async fn ends_are_told_with_their_exit_code() -> Result<()> {
    let (node, leader, _agent) = linked().await?;
    leader.assign(false, &[task("a", "running"), task("b", "running")], &[])?;
    for (task, code, state) in [("a", 0, "complete"), ("b", 3, "failed")] {
        leader.state(&id(task), "running").await?;
        node.engine().finish(&name(task), code);
        let status = leader.state(&id(task), state).await?;
        ensure!(status["ContainerStatus"]["ExitCode"] == code, "{status}");
    }
    let failed = leader.state(&id("b"), "failed").await?;
    ensure!(failed["Err"] == "task: non-zero exit (3)", "{failed}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_run_is_rejected_in_words() -> Result<()> {
    let (_node, leader, _agent) = linked().await?;
    let mut missing = task("a", "running");
    missing["Spec"]["ContainerSpec"]["Image"] = "registry.example.com/missing:1".into();
    let mut unknown = task("b", "running");
    unknown["Spec"]["ContainerSpec"]["Devices"] = json!(["/dev/kvm"]);
    let mut windows = task("c", "running");
    windows["Spec"]["ContainerSpec"]["Mounts"] = json!([{"Type": "npipe", "Target": "/a"}]);
    let unreadable = json!({"ID": id("d"), "Slot": "one"});
    leader.assign(false, &[missing, unknown, windows, unreadable], &[])?;
    for (task, words) in [
        ("a", "No such image: registry.example.com/missing:1 (pulling"),
        ("b", "unsupported field Devices of ContainerSpec"),
        ("c", "npipe is for Windows containers"),
        ("d", "cannot read the task"),
    ] {
        let status = leader.state(&id(task), "rejected").await?;
        ensure!(status["Err"].as_str().is_some_and(|err| err.contains(words)), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn an_engine_that_goes_away_fails_nothing_that_still_runs() -> Result<()> {
    let (node, leader, agent) = linked().await?;
    leader.assign(false, &[task("a", "running"), task("b", "running")], &[])?;
    leader.state(&id("a"), "running").await?;
    leader.state(&id("b"), "running").await?;
    let before = leader.heard();
    let mut up = agent.engine_up();
    node.engine().stop();
    up.wait_for(|up| !up).await?;
    // Asked for while it is away, done when it is back.
    leader.assign(false, &[task("c", "running")], &[])?;
    node.engine().finish(&name("b"), 7);
    leader.state(&id("c"), "preparing").await?;
    node.engine().resume()?;
    leader.state(&id("c"), "running").await?;
    leader.state(&id("b"), "failed").await?;
    ensure!(leader.heard().statuses[&id("a")] == before.statuses[&id("a")], "not a word on a");
    Ok(())
}

#[tokio::test]
async fn what_runs_is_adopted_and_what_no_assignment_names_is_removed() -> Result<()> {
    let (node, leader, agent) = linked().await?;
    let tasks = [task("a", "running"), task("b", "running"), task("c", "running")];
    leader.assign(false, &tasks, &[])?;
    for name in ["a", "b", "c"] {
        leader.state(&id(name), "running").await?;
    }
    let started = node.inspect(&name("a")).await?["State"]["StartedAt"].clone();
    agent.stop(false).await?;
    node.engine().finish(&name("b"), 9);

    let _agent = node.agent(&[&leader])?;
    leader.until("a session", |heard| heard.sessions == 2).await?;
    node.engine().reset_requests();
    let mut known = [task("a", "running"), task("b", "running")];
    for task in &mut known {
        task["Status"]["State"] = "running".into();
    }
    leader.assign(true, &known, &[])?;
    leader.state(&id("b"), "failed").await?;
    gone(&node, 2).await?;
    ensure!(node.inspect(&name("a")).await?["State"]["StartedAt"] == started, "never restarted");
    let requests = node.engine().requests();
    ensure!(!requests.contains_key("POST /containers/create"), "{requests:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_removed_before_a_whole_assignment_and_nothing_of_others_ever() -> Result<()> {
    let (node, leader, agent) = linked().await?;
    leader.assign(false, &[task("a", "running")], &[])?;
    leader.state(&id("a"), "running").await?;
    agent.stop(false).await?;
    // Another swarm's, as its label says.
    let body = json!({"Image": "busybox:latest", "Labels": {
        "com.docker.swarm.task.id": id("x"), "com.docker.swarm.cluster.id": "other"}});
    let engine = swarm_agent::executor::engine::Engine::new(node.client()?);
    engine.create("others", &body).await?;
    // A person's, of an image that was committed from a task's container.
    let mut body = body;
    body["Labels"]["com.docker.swarm.cluster.id"] = "c1".into();
    engine.create("persons", &body).await?;

    let agent = node.agent(&[&leader])?;
    leader.until("a session", |heard| heard.sessions == 2 && heard.beats > 5).await?;
    ensure!(node.engine().containers() == (3, 1), "{:?}", node.engine().containers());
    leader.assign(true, &[], &[])?;
    gone(&node, 2).await?;
    agent.stop(true).await?;
    let mut left = node.engine().container_names();
    left.sort();
    ensure!(left == ["others", "persons"], "{left:?}");
    Ok(())
}

#[tokio::test]
async fn leaving_removes_every_task() -> Result<()> {
    let (node, leader, agent) = linked().await?;
    let tasks: Vec<_> = (0..20).map(|n| task(&format!("t{n}"), "running")).collect();
    leader.assign(false, &tasks, &[])?;
    leader
        .until("all run", |heard| {
            (0..20)
                .all(|n| heard.last(&id(&format!("t{n}"))).is_some_and(|s| s["State"] == "running"))
        })
        .await?;
    let requests = node.engine().requests();
    let count = |request| requests.get(request).copied().unwrap_or(0);
    ensure!(count("POST /images/create") == 1, "one pull for all: {requests:?}");
    ensure!(count("GET /events") == 1, "one stream for all: {requests:?}");
    agent.stop(true).await?;
    ensure!(node.engine().containers() == (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_silent_registry_holds_up_no_task_whose_image_is_there() -> Result<()> {
    let (node, leader, _agent) = linked().await?;
    let client = node.client()?;
    let tag = Outgoing {
        method: http::Method::POST,
        ..Outgoing::get("/images/busybox:latest/tag?repo=silent&tag=1")
    };
    let tagged = client.send(tag, Some(Duration::from_secs(5))).await?;
    ensure!(tagged.status.is_success(), "{}", tagged.status);
    let mut one = task("a", "running");
    one["Spec"]["ContainerSpec"]["Image"] = "silent:1".into();
    let begin = Instant::now();
    leader.assign(false, &[one], &[])?;
    leader.state(&id("a"), "running").await?;
    ensure!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    Ok(())
}
