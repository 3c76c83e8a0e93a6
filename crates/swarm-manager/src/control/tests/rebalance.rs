//! Services evened out: what is planned, what is left alone, and a move followed to its end.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use swarm_backend::{Body, Pools as _};
use swarm_model::{Node, Service, Task, TaskState};

use super::{Rig, ask, read, refused};

async fn rig() -> Rig {
    let rig = Rig::begun().await;
    for name in ["a", "b"] {
        let node = json!({"ID": name, "Description": {"Hostname": name}, "Status": {"State": "ready"},
            "Spec": {"Role": "worker", "Availability": "active"}});
        rig.put(&serde_json::from_value::<Node>(node).unwrap()).await;
    }
    for (name, labels) in
        [("web", json!({})), ("kept", json!({"com.docker.swarm.rebalance": "off"}))]
    {
        let service = json!({"ID": name, "Spec": {"Name": name, "Labels": labels,
            "TaskTemplate": {"ContainerSpec": {"Image": "x"}},
            "UpdateConfig": {"Order": "start-first"}, "Mode": {"Replicated": {"Replicas": 3}}}});
        rig.put(&serde_json::from_value::<Service>(service).unwrap()).await;
        for slot in 1..=3 {
            rig.put(&task(name, &format!("{name}{slot}"), slot, "a")).await;
        }
    }
    rig
}

fn task(service: &str, id: &str, slot: u64, node: &str) -> Task {
    let task = json!({"ID": id, "ServiceID": service, "Slot": slot, "NodeID": node,
        "Spec": {"ContainerSpec": {"Image": "x"}}, "ServiceAnnotations": {"Name": service},
        "DesiredState": "running", "Status": {"State": "running"}});
    serde_json::from_value(task).unwrap()
}

#[tokio::test]
async fn a_plan_names_moves_and_what_stays() {
    let rig = rig().await;
    let plan = read(rig.control.rebalance(ask("", "")).await).await;
    let one = &plan["Moves"][0];
    assert_eq!(plan["Moves"].as_array().map(Vec::len), Some(1), "{plan}");
    assert_eq!(
        (&one["Container"], &one["From"], &one["To"]),
        (&json!("web.3"), &json!("a"), &json!("b"))
    );
    assert_eq!(one["StartFirst"], true);
    assert_eq!(one["Reason"], "3 of the service are on its node, and 0 there");
    assert_eq!(plan["Kept"][0]["Container"], "kept");
    assert_eq!(plan["Note"], "1 move evens the services out");
    let (status, words) = refused(rig.control.rebalance(ask("limit=0", "")).await);
    assert_eq!((status, words.as_str()), (400, "limit must be 1 to 1000"));

    // What does not run everywhere is left alone.
    let mut failing = task("web", "web1", 1, "a");
    failing.version = rig.replica.read(|tables| tables.tasks["web1"].version);
    failing.status.state = TaskState::Starting;
    rig.put(&failing).await;
    let plan = read(rig.control.rebalance(ask("", "")).await).await;
    assert_eq!(plan["Moves"], json!([]));
    assert_eq!(plan["Kept"].as_array().map(Vec::len), Some(2), "{plan}");
}

/// The first task that is marked to move; how often one was.
async fn marked(rig: &Rig) -> Task {
    let marked = async {
        loop {
            let found = rig.replica.read(|tables| {
                let mut tasks = tables.tasks.values();
                let found = tasks.find(|task| task.lineage.moves && task.is_wanted());
                found.map(|task| Task::clone(task))
            });
            match found {
                Some(task) => return task,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), marked).await.unwrap()
}

/// What the leader does then: another task in its place.
async fn moved(rig: &Rig, mut old: Task) {
    let slot = old.slot;
    rig.put(&task("web", &format!("new{slot}"), slot, "b")).await;
    old.desired_state = TaskState::Shutdown;
    rig.put(&old).await;
}

/// The next line of an answer; nothing at its end.
async fn line(body: &mut Body) -> Option<Value> {
    let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.unwrap()?;
    Some(serde_json::from_slice(frame.unwrap().data_ref().unwrap()).unwrap())
}

#[tokio::test]
async fn each_move_is_told_of_when_another_task_runs() {
    let rig = rig().await;
    grown(&rig).await;
    let mut body = rig.control.rebalance(ask("apply=1", "")).await.unwrap().body;
    assert_eq!(line(&mut body).await.unwrap()["Moves"].as_array().map(Vec::len), Some(2));
    let first = marked(&rig).await;
    let name = format!("web.{}", first.slot);
    moved(&rig, first).await;
    // Before the second one is made.
    assert_eq!(line(&mut body).await.unwrap(), json!({"Container": name, "MovedTo": "b"}));
    let second = marked(&rig).await;
    let name = format!("web.{}", second.slot);
    moved(&rig, second).await;
    assert_eq!(line(&mut body).await.unwrap(), json!({"Container": name, "MovedTo": "b"}));
    assert_eq!(line(&mut body).await.unwrap(), json!({"Moved": 2, "Failed": 0}));
    assert_eq!(line(&mut body).await, None);
}

#[tokio::test]
async fn a_rebalance_that_is_stopped_ends_the_move_under_way() {
    let rig = rig().await;
    grown(&rig).await;
    let stopped = read(rig.control.rebalance(ask("stop=1", "")).await).await;
    assert_eq!(stopped, json!({"Stopping": 0}));
    let mut body = rig.control.rebalance(ask("apply=1", "")).await.unwrap().body;
    line(&mut body).await.unwrap();
    let first = marked(&rig).await;
    let stopped = read(rig.control.rebalance(ask("stop=1", "")).await).await;
    assert_eq!(stopped, json!({"Stopping": 1}));
    moved(&rig, first).await;
    assert_eq!(line(&mut body).await.unwrap()["MovedTo"], "b");
    let last = json!({"Moved": 1, "Failed": 0, "Error": "1 not begun: it was stopped"});
    assert_eq!(line(&mut body).await.unwrap(), last);
    assert_eq!(line(&mut body).await, None);
    assert!(rig.replica.read(|tables| {
        tables.tasks.values().all(|task| !task.lineage.moves || !task.is_wanted())
    }));
}

/// Two more of the service on the same node: two moves even it out.
async fn grown(rig: &Rig) {
    for slot in 4..=5 {
        rig.put(&task("web", &format!("web{slot}"), slot, "a")).await;
    }
    let mut service = rig.replica.read(|tables| Service::clone(&tables.services["web"]));
    service.spec.mode = serde_json::from_value(json!({"Replicated": {"Replicas": 5}})).unwrap();
    rig.put(&service).await;
}
