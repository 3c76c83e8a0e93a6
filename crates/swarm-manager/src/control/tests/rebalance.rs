//! Services evened out: what is planned, what is left alone, and a move followed to its end.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use swarm_backend::Pools as _;
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

#[tokio::test]
async fn a_move_is_marked_and_followed_until_another_runs() {
    let rig = rig().await;
    let control = Arc::clone(&rig.control);
    let asked = tokio::spawn(async move { control.rebalance(ask("apply=1", "")).await });
    let marked = async {
        loop {
            let found = rig.replica.read(|tables| {
                tables.tasks.values().find(|task| task.lineage.moves).map(|task| Task::clone(task))
            });
            match found {
                Some(task) => return task,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let mut old = tokio::time::timeout(Duration::from_secs(10), marked).await.unwrap();
    assert_eq!(&*old.id, "web3");
    // What the leader does then.
    rig.put(&task("web", "new", 3, "b")).await;
    old.desired_state = TaskState::Shutdown;
    rig.put(&old).await;
    let body = asked.await.unwrap().unwrap().body.collect().await.unwrap().to_bytes();
    let lines: Vec<Value> = body
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(
        lines[1..],
        [json!({"Container": "web.3", "MovedTo": "b"}), json!({"Moved": 1, "Failed": 0})]
    );
}
