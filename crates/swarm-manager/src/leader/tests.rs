//! A manager that leads, agents that obey, and what becomes of services.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use swarm_kv::StoreError;
use swarm_model::node::NodeState;
use swarm_model::service::{UpdateState, UpdateStatus};
use swarm_model::task::TaskStatus;
use swarm_model::{Node, Service, Task, TaskState, Time};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::orphans::PATIENCE;
use crate::fixture::{Power, Swarm, replicated, running, service};
use crate::reign::{Reign, told};
use crate::replica::{Batch, Store, Tables};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_service_comes_to_run_and_then_nothing_is_written() {
    let swarm = Swarm::with(&["a", "b"]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 6))).await;
    let took = swarm.until_running("web", 6).await;
    assert!(took < SECOND, "{took:?}");
    swarm.replica.read(|tables| {
        let on_a = tables.tasks_of_node("a").count();
        assert_eq!(on_a, 3, "they are spread");
        let message = &tables.nodes["a"].status;
        assert_eq!((message.state, message.addr.as_str()), (NodeState::Ready, "10.0.0.1"));
    });
    sleep(SECOND).await;
    assert_eq!(swarm.writes_in_ten_minutes().await, 0);
}

#[tokio::test(start_paused = true)]
async fn it_is_scaled_up_and_down_and_removed() {
    let swarm = Swarm::with(&["a", "b"]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 2))).await;
    swarm.until_running("web", 2).await;
    for replicas in [7, 1] {
        let mode = replicated("web", replicas).spec.mode;
        swarm.update("web", |service| service.spec.mode = mode.clone()).await;
        swarm.until_running("web", usize::try_from(replicas).unwrap()).await;
    }
    swarm.until("the rest is gone", |tables| tables.tasks.len() == 1).await;
    swarm
        .put(|batch, tables| {
            batch.delete(&*tables.services["web"]);
            Ok(())
        })
        .await;
    swarm.until("all is gone", |tables| tables.tasks.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_update_rolls_through_and_is_completed() {
    let swarm = Swarm::with(&["a", "b"]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 4))).await;
    swarm.until_running("web", 4).await;
    let image = service("web", &json!({}), "nginx:2").spec.task_template;
    swarm.update("web", |service| service.spec.task_template = image.clone()).await;
    swarm
        .until("it is completed", |tables| {
            let status = tables.services["web"].update_status.as_ref();
            status.is_some_and(|status| status.state == UpdateState::Completed)
        })
        .await;
    swarm.replica.read(|tables| {
        let new = running(tables, "web").into_iter().filter(|task| *task.spec == *image);
        assert_eq!(new.count(), 4);
    });
    sleep(SECOND).await;
    assert_eq!(swarm.writes_in_ten_minutes().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_node_had_runs_elsewhere_within_four_seconds() {
    let swarm = Swarm::with(&["a", "b", "c"]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 6))).await;
    swarm.until_running("web", 6).await;
    swarm.power("b", Power::Silent);
    let elsewhere = |tables: &Tables| {
        let tasks = running(tables, "web");
        tasks.len() == 6 && tasks.iter().all(|task| &*task.node_id != "b")
    };
    let took = swarm.until("they run elsewhere", elsewhere).await;
    assert!(took < 4 * SECOND, "{took:?}");
    swarm.replica.read(|tables| {
        let status = &tables.nodes["b"].status;
        assert_eq!(status.state, NodeState::Down);
        assert!(status.message.starts_with("heartbeat failure"), "{}", status.message);
    });
    swarm.power("b", Power::On);
    swarm.until("it is back", |tables| tables.nodes["b"].status.state == NodeState::Ready).await;
    // What it had was replaced, and is stopped there now.
    swarm
        .until("the old ones have ended", |tables| {
            tables.tasks_of_node("b").all(|task| !task.holds_node())
        })
        .await;
    assert!(swarm.replica.read(elsewhere));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_restarts_or_a_leader_that_changes_restarts_nothing() {
    let swarm = Swarm::with(&["a", "b"]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 6))).await;
    swarm.until_running("web", 6).await;
    swarm.power("a", Power::Stopped);
    swarm
        .until("it took leave", |tables| tables.nodes["a"].status.state == NodeState::Disconnected)
        .await;
    sleep(5 * SECOND).await;
    swarm.power("a", Power::On);
    let all_ready =
        |tables: &Tables| tables.nodes.values().all(|n| n.status.state == NodeState::Ready);
    swarm.until("it is back", all_ready).await;
    for _ in 0..3 {
        swarm.store.lead(false);
        sleep(5 * SECOND).await;
        assert_eq!(swarm.dispatcher.sessions(), 0, "only a leader has sessions");
        swarm.store.lead(true);
        let are_back = |tables: &Tables| swarm.dispatcher.sessions() == 2 && all_ready(tables);
        swarm.until("all are back", are_back).await;
    }
    sleep(SECOND).await;
    assert_eq!(swarm.writes_in_ten_minutes().await, 0);
    let starts = swarm.starts.lock();
    assert_eq!((starts.len(), starts.values().max()), (6, Some(&1)));
}

#[tokio::test(start_paused = true)]
async fn one_that_took_leave_is_not_expected_at_once_by_the_next_leader() {
    let swarm = Swarm::with(&["a", "b"]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 6))).await;
    swarm.until_running("web", 6).await;
    swarm.power("a", Power::Stopped);
    let left = |tables: &Tables| tables.nodes["a"].status.state == NodeState::Disconnected;
    swarm.until("it took leave", left).await;
    swarm.store.lead(false);
    sleep(SECOND).await;
    swarm.store.lead(true);
    sleep(8 * SECOND).await;
    assert!(swarm.replica.read(left), "{:?}", swarm.replica.read(|t| t.nodes["a"].status.clone()));
    swarm.power("a", Power::On);
    let all_ready =
        |tables: &Tables| tables.nodes.values().all(|n| n.status.state == NodeState::Ready);
    swarm.until("it is back", all_ready).await;
    sleep(SECOND).await;
    let starts = swarm.starts.lock();
    assert_eq!((starts.len(), starts.values().max()), (6, Some(&1)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_deposed_writes_nothing() {
    let swarm = Swarm::with(&[]).await;
    swarm.store.lead(false);
    sleep(SECOND).await;
    let store: &dyn Store = &*swarm.store;
    let claim = |term| Reign::claim(store, term, CancellationToken::new());
    let old = claim(10).await.unwrap();
    let write = |reign: &Reign, name: &str| {
        let mut batch = Batch::default();
        reign.fence(&mut batch);
        batch.put(&replicated(name, 0)).unwrap();
        let replica = Arc::clone(&swarm.replica);
        async move { replica.commit(batch).await.map_err(told) }
    };
    write(&old, "web").await.unwrap();
    let new = claim(11).await.unwrap();
    let refused = write(&old, "late").await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert!(matches!(claim(10).await, Err(StoreError::Fenced { .. })), "nor does it lead again");
    write(&new, "next").await.unwrap();
    swarm.replica.read(|tables| {
        let names: Vec<_> = tables.services.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["next", "web"]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_global_service_comes_to_new_nodes() {
    let swarm = Swarm::with(&["a"]).await;
    swarm.put(|batch, _| batch.put(&service("log", &json!({ "Global": {} }), "nginx"))).await;
    swarm.until_running("log", 1).await;
    swarm.join("b").await;
    swarm.until_running("log", 2).await;
    // Nobody else can run what the silent one had.
    swarm.power("b", Power::Silent);
    swarm.until("it is down", |tables| tables.nodes["b"].status.state == NodeState::Down).await;
    swarm.power("b", Power::On);
    sleep(20 * SECOND).await;
    swarm.until_running("log", 2).await;
    assert_eq!(swarm.starts.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_to_its_end() {
    let swarm = Swarm::with(&["a", "b"]).await;
    let mode = json!({ "ReplicatedJob": { "MaxConcurrent": 2, "TotalCompletions": 5 } });
    swarm.put(|batch, _| batch.put(&service("job", &mode, "job"))).await;
    swarm
        .until("five have ended well", |tables| {
            let done = tables.tasks_of_service("job");
            done.filter(|task| task.status.state == TaskState::Complete).count() == 5
        })
        .await;
    sleep(SECOND).await;
    assert_eq!(swarm.writes_in_ten_minutes().await, 0);
    assert_eq!(swarm.starts.lock().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_finds_no_node_says_why_and_waits_for_one() {
    let swarm = Swarm::with(&[]).await;
    swarm.put(|batch, _| batch.put(&replicated("web", 2))).await;
    let words = |words: &'static str| {
        move |tables: &Tables| {
            tables.tasks.len() == 2 && tables.tasks.values().all(|task| task.status.err == words)
        }
    };
    swarm.until("they wait", words("no suitable node (there are no nodes)")).await;
    sleep(SECOND).await;
    assert_eq!(swarm.writes_in_ten_minutes().await, 0);
    swarm.put(|batch, _| batch.put(&Node { id: "a".into(), ..Node::default() })).await;
    let refused = "no suitable node (1 node not available for new tasks)";
    swarm.until("the words are new", words(refused)).await;
    swarm.join("b").await;
    let took = swarm.until_running("web", 2).await;
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_followed_at_its_planners_pace() {
    let swarm = Swarm::with(&["a"]).await;
    let mode = json!({ "Replicated": { "Replicas": 1 } });
    swarm.put(|batch, _| batch.put(&service("web", &mode, "bad"))).await;
    sleep(100 * SECOND).await;
    // Docker's 5 s, three times, then twice as long each time: at 0, 5, 10, 15, 25, 45, 85 s.
    assert_eq!(swarm.starts.lock().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_is_to_be_a_worker_leaves_the_store() {
    let swarm = Swarm::with(&[]).await;
    // The store refuses to lose its only member; one that it does not have has left already.
    for (name, member) in [("last", 1), ("gone", 7)] {
        let node = Node { id: name.into(), member, ..Node::default() };
        swarm.put(|batch, _| batch.put(&node)).await;
    }
    swarm.until("it is a worker", |tables| tables.nodes["gone"].member == 0).await;
    sleep(60 * SECOND).await;
    assert_eq!(swarm.replica.read(|tables| tables.nodes["last"].member), 1);
}

#[test]
fn tasks_of_a_node_that_is_down_for_a_day_are_given_up() {
    let mut node = Node { id: "a".into(), ..Node::default() };
    node.status.state = NodeState::Down;
    let mut tables = Tables::default();
    tables.nodes.insert(node.id.clone(), Arc::new(node));
    let task = Task {
        id: "t".into(),
        service_id: "log".into(),
        node_id: "a".into(),
        status: TaskStatus { state: TaskState::Running, ..TaskStatus::default() },
        desired_state: TaskState::Running,
        ..Task::default()
    };
    let global = service("log", &json!({ "Global": {} }), "nginx");
    tables.insert(Arc::new(task));
    tables.services.insert("log".into(), Arc::new(Service { id: "log".into(), ..global }));
    let mut rng = StdRng::seed_from_u64(1);
    let mut desk = Desk::new(&tables, Time(7));
    assert!(desk.pass(&tables, Time(7), &mut rng).is_empty());
    let moment = desk.moment().unwrap();
    assert_eq!(moment, Time(7 + PATIENCE));
    assert!(desk.pass(&tables, Time(6 + PATIENCE), &mut rng).is_empty());
    for again in [false, true] {
        let draft = desk.pass(&tables, moment, &mut rng);
        let state = draft.tasks.get("t").map(|task| task.status.state);
        assert_eq!(state, Some(TaskState::Orphaned), "after a failure: {again}");
        desk.failed(&tables, &draft);
    }
}

#[test]
fn a_service_is_planned_for_once_in_a_pass_whatever_it_asks_for_next() {
    // Its update stops with the failure of its first new task, and its next plan is due at once.
    let mut web = replicated("web", 2);
    web.update_status = Some(UpdateStatus {
        state: UpdateState::Updating,
        started_at: Time(1),
        completed_at: Time::NEVER,
        message: String::new(),
    });
    let failed = Task {
        id: "t".into(),
        service_id: "web".into(),
        slot: 1,
        spec: web.spec.task_template.clone(),
        created_at: Time(2),
        desired_state: TaskState::Running,
        status: TaskStatus { state: TaskState::Failed, ..TaskStatus::default() },
        ..Task::default()
    };
    let mut tables = Tables::default();
    tables.insert(Arc::new(failed));
    tables.services.insert("web".into(), Arc::new(web));
    let mut rng = StdRng::seed_from_u64(1);
    let mut desk = Desk::new(&tables, Time(7));
    let draft = desk.pass(&tables, Time(7), &mut rng);
    let status = draft.services.get("web").and_then(|web| web.update_status.as_ref());
    assert_eq!(status.map(|status| status.state), Some(UpdateState::Paused));
    assert_eq!(draft.planned.len(), 1);
    assert_eq!(draft.tasks.len(), 2, "the one that failed, and the one that follows it");
    assert!(desk.moment().is_some_and(|moment| moment <= Time(7)), "it is looked at again");
}
