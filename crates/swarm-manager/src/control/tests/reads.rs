//! Lists, their filters, and what of the store's objects clients see.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use swarm_backend::{Services as _, Tasks as _};
use swarm_model::task::{Lineage, ServiceAnnotations};
use swarm_model::{Id, Node, Service, ServiceSpec, Task, TaskState};
use tokio::time::Instant;

use super::{Rig, ask, filtered, read, refused};

fn service(id: &str, name: &str, mode: &Value) -> Service {
    let spec = json!({
        "Name": name, "Labels": { "app": name }, "Mode": mode,
        "TaskTemplate": { "ContainerSpec": { "Image": "redis", "PullOptions": { "RegistryAuth": "x" } } },
    });
    let spec: ServiceSpec = serde_json::from_value(spec).unwrap();
    Service { id: id.into(), spec, ..Service::default() }
}

fn task(number: u128, service: &Service, state: TaskState, desired: TaskState) -> Task {
    let mut task = Task {
        id: Id::from_bits(number),
        service_id: service.id.clone(),
        service_annotations: Arc::new(ServiceAnnotations {
            name: service.spec.name.clone(),
            labels: service.spec.labels.clone(),
        }),
        node_id: "node1".into(),
        slot: u64::try_from(number).unwrap(),
        desired_state: desired,
        spec: Arc::clone(&service.spec.task_template),
        lineage: Lineage { nth: 3, ..Lineage::default() },
        ..Task::default()
    };
    task.status.state = state;
    task
}

async fn rig() -> Rig {
    let rig = Rig::new();
    let web = service("webid1", "web", &json!({ "Replicated": { "Replicas": 3 } }));
    let all = service("webid2", "all", &json!({ "Global": {} }));
    let (running, shutdown) = (TaskState::Running, TaskState::Shutdown);
    rig.put(&web).await;
    rig.put(&all).await;
    rig.put(&task(1, &web, running, running)).await;
    rig.put(&task(2, &web, TaskState::Failed, shutdown)).await;
    let mut old = task(3, &web, running, running);
    Arc::make_mut(&mut old.spec).force_update = 7;
    rig.put(&old).await;
    rig.put(&task(4, &all, running, running)).await;
    rig.put(&task(5, &all, TaskState::Preparing, running)).await;
    let mut node = Node { id: "node1".into(), ..Node::default() };
    node.description.hostname = "alpha".to_owned();
    rig.put(&node).await;
    rig
}

async fn names(rig: &Rig, filters: Value) -> Vec<String> {
    let list = read(rig.control.list_services(filtered(&filters)).await).await;
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["Spec"]["Name"].as_str().unwrap().to_owned()).collect()
}

async fn slots(rig: &Rig, filters: Value) -> Vec<u64> {
    let list = read(rig.control.list_tasks(filtered(&filters)).await).await;
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["Slot"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn services_are_filtered_as_docker_does() {
    let rig = rig().await;
    for (filters, expected) in [
        (json!({}), &["web", "all"][..]),
        (json!({ "name": ["we"] }), &["web"]),
        (json!({ "id": ["webid"] }), &["web", "all"]),
        (json!({ "id": ["webid2"], "name": ["we"] }), &[]),
        (json!({ "label": ["app=all"] }), &["all"]),
        (json!({ "mode": ["global"] }), &["all"]),
        (json!({ "mode": { "replicated": true, "global": true } }), &["web", "all"]),
        (json!({ "runtime": ["plugin"] }), &[]),
    ] {
        assert_eq!(names(&rig, filters.clone()).await, expected, "{filters}");
    }
    let unknown = refused(rig.control.list_services(filtered(&json!({ "age": ["1"] }))).await);
    assert_eq!(unknown, (400, "invalid filter 'age'".to_owned()));
    let ambiguous = refused(rig.control.inspect_service("webi", ask("", "")).await);
    assert_eq!(ambiguous, (400, "service webi is ambiguous (2 matches found)".to_owned()));
}

#[tokio::test]
async fn a_service_s_status_counts_its_tasks() {
    let rig = rig().await;
    let list = read(rig.control.list_services(ask("status=true", "")).await).await;
    let of = |running: u64, desired: u64| json!({ "RunningTasks": running, "DesiredTasks": desired, "CompletedTasks": 0 });
    assert_eq!(list[0]["ServiceStatus"], of(2, 3));
    assert_eq!(list[1]["ServiceStatus"], of(1, 2));
    let list = read(rig.control.list_services(ask("", "")).await).await;
    assert_eq!(list[0].get("ServiceStatus"), None);
}

#[tokio::test]
async fn tasks_are_filtered_as_docker_does() {
    let rig = rig().await;
    let second = Id::from_bits(2);
    for (filters, expected) in [
        (json!({}), &[1, 2, 3, 4, 5][..]),
        (json!({ "service": ["web"] }), &[1, 2, 3]),
        (json!({ "service": ["web"], "_up-to-date": ["true"] }), &[1, 2]),
        (json!({ "service": ["all"], "desired-state": ["running"] }), &[4, 5]),
        (json!({ "desired-state": ["Shutdown"] }), &[2]),
        (json!({ "node": ["alpha"], "name": ["web.1."] }), &[1]),
        (json!({ "id": [second.as_str()] }), &[2]),
        (json!({ "label": ["app=all"] }), &[4, 5]),
        (json!({ "runtime": ["plugin"] }), &[]),
    ] {
        assert_eq!(slots(&rig, filters.clone()).await, expected, "{filters}");
    }
    for (filters, status, words) in [
        (json!({ "service": ["nope"] }), 404, "service nope not found"),
        (json!({ "node": ["nope"] }), 404, "node nope not found"),
        (json!({ "desired-state": ["tired"] }), 400, "Invalid desired-state filter: 'tired'"),
        (json!({ "mood": ["x"] }), 400, "invalid filter 'mood'"),
    ] {
        let refused = refused(rig.control.list_tasks(filtered(&filters)).await);
        assert_eq!(refused, (status, words.to_owned()));
    }
}

#[tokio::test]
async fn what_only_managers_need_of_a_task_is_not_shown() {
    let rig = rig().await;
    let id = Id::from_bits(1);
    let by_id = read(rig.control.inspect_task(&id, ask("", "")).await).await;
    let name = format!("web.1.{id}");
    assert_eq!(read(rig.control.inspect_task(&name, ask("", "")).await).await, by_id);
    for hidden in ["Lineage", "HostPorts", "ServiceAnnotations"] {
        assert_eq!(by_id.get(hidden), None);
    }
    let container = &by_id["Spec"]["ContainerSpec"];
    assert_eq!((container.get("PullOptions"), &container["Image"]), (None, &json!("redis")));
    let all = read(rig.control.list_tasks(ask("", "")).await).await.to_string();
    assert!(!all.contains("RegistryAuth"), "{all}");
}

#[tokio::test]
async fn without_a_quorum_reads_go_on_and_writes_are_refused_clearly() {
    let rig = rig().await;
    rig.store.lose_quorum();
    assert_eq!(names(&rig, json!({})).await, ["web", "all"]);
    let refused = refused(rig.control.remove_service("web", ask("", "")).await);
    assert_eq!(refused.0, 503);
    assert!(refused.1.starts_with("The swarm does not have a leader."), "{}", refused.1);
}

#[tokio::test(start_paused = true)]
async fn during_an_election_reads_wait_for_what_others_have_answered_already() {
    let rig = rig().await;
    rig.store.elect(None);
    let written = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        rig.put(&service("webid3", "new", &json!({ "Global": {} }))).await;
        rig.store.elect(Some("127.0.0.1:2377"));
    };
    let (listed, ()) = tokio::join!(names(&rig, json!({})), written);
    assert_eq!(listed, ["web", "all", "new"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_a_stall_interrupts_waits_for_what_others_have_answered_meanwhile() {
    for stall in [4, 60] {
        let rig = rig().await;
        rig.store.elect(None);
        let stalled = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tokio::time::advance(Duration::from_secs(stall)).await;
            rig.put(&service("webid3", "new", &json!({ "Global": {} }))).await;
            rig.store.elect(Some("127.0.0.1:2377"));
        };
        let (listed, ()) = tokio::join!(names(&rig, json!({})), stalled);
        assert_eq!(listed, ["web", "all", "new"], "{stall} s");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_elected_only_the_first_read_waits() {
    let rig = rig().await;
    let timed = async |most: Duration| {
        let begun = Instant::now();
        assert_eq!(names(&rig, json!({})).await, ["web", "all"]);
        assert!(begun.elapsed() <= most, "{:?}", begun.elapsed());
        begun.elapsed()
    };
    let (at_once, wait) = (Duration::ZERO, Duration::from_millis(2_010));
    rig.store.elect(None);
    assert!(timed(wait).await >= Duration::from_secs(2));
    timed(at_once).await;
    // Each election is waited for anew.
    rig.store.elect(Some("127.0.0.1:2377"));
    timed(at_once).await;
    rig.store.elect(None);
    assert!(timed(wait).await >= Duration::from_secs(2));
}

#[tokio::test]
async fn ten_thousand_tasks_are_listed() {
    let rig = Rig::new();
    let web = service("webid1", "web", &json!({ "Replicated": { "Replicas": 3 } }));
    rig.put(&web).await;
    let mut batch = crate::replica::Batch::default();
    for number in 1..=10_000 {
        batch.put(&task(number, &web, TaskState::Running, TaskState::Running)).unwrap();
    }
    rig.replica.commit(batch).await.unwrap();
    let list = read(rig.control.list_tasks(filtered(&json!({ "service": ["web"] }))).await).await;
    assert_eq!(list.as_array().unwrap().len(), 10_000);
}
