//! What nodes are told, and what is made of what they say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use swarm_model::node::{NodeState, Role};
use swarm_model::{Data, Id, Node, Service, Task, TaskState};
use swarm_rpc::v1::dispatcher_client::DispatcherClient;
use swarm_rpc::v1::dispatcher_server::DispatcherServer;
use swarm_rpc::v1::{
    Assignments, FromAgent, LogChunk, LogsWanted, ToAgent, Welcome, Wish, from_agent, to_agent,
};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

use super::logs::{LogEvent, LogOptions, LogSelector, LogSource, LogsError};
use super::service::Service as Calls;
use super::{LEADER, NodeIdentity};
use crate::fixture::{Swarm, from_agent, hello, identity, replicated, statuses};
use crate::replica::{Config, Secret};

/// A node that is played by the test.
struct Played {
    up: mpsc::Sender<Result<FromAgent, Status>>,
    down: ReceiverStream<Result<ToAgent, Status>>,
}

impl Played {
    async fn open(swarm: &Swarm, node: &str) -> Self {
        let (up, inbound) = mpsc::channel(8);
        let down = swarm.dispatcher.open(identity(node), ReceiverStream::new(inbound)).await;
        up.send(Ok(hello(node))).await.unwrap();
        Self { up, down: down.unwrap() }
    }

    async fn next(&mut self) -> Result<to_agent::What, Status> {
        let next = tokio::time::timeout(Duration::from_mins(1), self.down.next()).await;
        next.expect("nothing came").expect("it ended").map(|message| message.what.unwrap())
    }

    async fn welcome(&mut self) -> (Welcome, Wish, Assignments) {
        let to_agent::What::Welcome(welcome) = self.next().await.unwrap() else { panic!() };
        let to_agent::What::Wish(wish) = self.next().await.unwrap() else { panic!() };
        (welcome, wish, self.assignments().await)
    }

    async fn assignments(&mut self) -> Assignments {
        match self.next().await.unwrap() {
            to_agent::What::Assignments(assignments) => assignments,
            other => panic!("{other:?}"),
        }
    }

    async fn logs_wanted(&mut self) -> LogsWanted {
        match self.next().await.unwrap() {
            to_agent::What::LogsWanted(wanted) => wanted,
            other => panic!("{other:?}"),
        }
    }

    async fn ended(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(status) => return status,
            }
        }
    }
}

fn names(list: &[Bytes]) -> Vec<String> {
    let id = |bytes: &Bytes| {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        value["ID"].as_str().unwrap().to_owned()
    };
    list.iter().map(id).collect()
}

fn task(name: &str, node: &str, spec: &serde_json::Value) -> Task {
    let task = json!({
        "ID": name, "ServiceID": "web", "NodeID": node, "Slot": 1, "DesiredState": "running",
        "Spec": spec, "Status": { "State": "assigned", "Timestamp": "0001-01-01T00:00:00Z" },
        "CreatedAt": "0001-01-01T00:00:00Z", "UpdatedAt": "0001-01-01T00:00:00Z",
    });
    serde_json::from_value(task).unwrap()
}

/// A swarm with nodes and no leader's planner in the way: its service wants nothing changed.
async fn with_nodes(nodes: &[&str]) -> Swarm {
    let swarm = Swarm::start();
    for node in nodes {
        let node = Node { id: (*node).into(), ..Node::default() };
        swarm.put(|batch, _| batch.put(&node)).await;
    }
    swarm
}

#[tokio::test(start_paused = true)]
async fn a_node_is_told_of_its_own_tasks_and_what_they_need() {
    let swarm = with_nodes(&["a", "b"]).await;
    let spec = json!({ "ContainerSpec": {
        "Image": "nginx", "Secrets": [{ "SecretID": "key" }], "Configs": [{ "ConfigID": "conf" }],
    }});
    let mut service = replicated("web", 1);
    service.spec.task_template = Arc::new(serde_json::from_value(spec.clone()).unwrap());
    for name in ["key", "other"] {
        let secret = Secret(Data { id: name.into(), ..Data::default() });
        swarm.put(|batch, _| batch.put(&secret)).await;
    }
    let config = Config(Data { id: "conf".into(), ..Data::default() });
    let mine = task("mine", "a", &spec);
    swarm
        .put(|batch, _| {
            batch.put(&config)?;
            batch.put(&service)?;
            batch.put(&mine)
        })
        .await;
    let (mut a, mut b) = (Played::open(&swarm, "a").await, Played::open(&swarm, "b").await);
    let (welcome, wish, first) = a.welcome().await;
    assert_eq!(welcome.beat_every, 1_000);
    assert_eq!((wish.role.as_str(), wish.availability.as_str()), ("worker", "active"));
    assert_eq!(wish.managers, ["127.0.0.1:2377"]);
    assert!(first.whole);
    assert_eq!(names(&first.tasks), ["mine"]);
    assert_eq!(
        (names(&first.secrets), names(&first.configs)),
        (vec!["key".into()], vec!["conf".into()])
    );
    let (_, _, empty) = b.welcome().await;
    assert_eq!(empty, Assignments { whole: true, ..Assignments::default() });
    // Its own reports do not come back to it; what is wanted of it does, and only that.
    a.up.send(Ok(statuses(&[("mine".into(), TaskState::Running)]))).await.unwrap();
    swarm.until_running("web", 1).await;
    swarm.update("web", |service| service.spec.mode = replicated("web", 0).spec.mode).await;
    let news = a.assignments().await;
    assert!(!news.whole && news.secrets.is_empty() && news.gone_secrets.is_empty());
    let told: Task = serde_json::from_slice(&news.tasks[0]).unwrap();
    assert_eq!(told.desired_state, TaskState::Remove);
    // When it has ended, the store forgets it, and nothing needs the secret.
    a.up.send(Ok(statuses(&[("mine".into(), TaskState::Shutdown)]))).await.unwrap();
    let news = a.assignments().await;
    assert_eq!((news.gone_tasks, news.gone_secrets), (vec!["mine".into()], vec!["key".into()]));
    assert_eq!(news.gone_configs, ["conf"]);
}

#[tokio::test(start_paused = true)]
async fn wishes_follow_what_people_want() {
    let swarm = with_nodes(&["a"]).await;
    let mut a = Played::open(&swarm, "a").await;
    a.welcome().await;
    swarm
        .put(|batch, tables| {
            let mut node = Node::clone(&tables.nodes["a"]);
            node.spec.role = Role::Manager;
            batch.put(&node)
        })
        .await;
    let to_agent::What::Wish(wish) = a.next().await.unwrap() else { panic!() };
    assert_eq!(wish.role, "manager");
    // A node that is removed hears it.
    swarm
        .put(|batch, tables| {
            batch.delete(&*tables.nodes["a"]);
            Ok(())
        })
        .await;
    assert_eq!(a.ended().await.code(), Code::NotFound);
    let (_, inbound) = mpsc::channel(1);
    let refused = swarm.dispatcher.open(identity("a"), ReceiverStream::new(inbound)).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_second_session_ends_the_first_and_leaves_the_node_ready() {
    let swarm = with_nodes(&["a"]).await;
    let mut first = Played::open(&swarm, "a").await;
    first.welcome().await;
    let mut second = Played::open(&swarm, "a").await;
    second.welcome().await;
    assert_eq!(first.ended().await.code(), Code::Aborted);
    sleep(Duration::from_secs(1)).await;
    let state = swarm.replica.read(|tables| tables.nodes["a"].status.state);
    assert_eq!((state, swarm.dispatcher.sessions()), (NodeState::Ready, 1));
}

#[tokio::test(start_paused = true)]
async fn words_that_make_no_sense_end_the_session() {
    let swarm = with_nodes(&["a", "b"]).await;
    let foreign = task("foreign", "b", &json!({}));
    let service = Service { id: "web".into(), ..replicated("web", 1) };
    swarm
        .put(|batch, _| {
            batch.put(&service)?;
            batch.put(&foreign)
        })
        .await;
    let bad = from_agent::What::Description(Bytes::from_static(b"{"));
    for (words, code) in [
        (statuses(&[("foreign".into(), TaskState::Running)]), Code::PermissionDenied),
        (from_agent(bad), Code::InvalidArgument),
        (hello("a"), Code::InvalidArgument),
    ] {
        let mut a = Played::open(&swarm, "a").await;
        a.welcome().await;
        a.up.send(Ok(words)).await.unwrap();
        assert_eq!(a.ended().await.code(), code);
    }
    let (up, inbound) = mpsc::channel(1);
    let opened = swarm.dispatcher.open(identity("a"), ReceiverStream::new(inbound)).await;
    let mut silent = Played { up, down: opened.unwrap() };
    assert_eq!(silent.ended().await.code(), Code::DeadlineExceeded);
    let state = swarm.replica.read(|tables| tables.tasks["foreign"].status.state);
    assert_eq!(state, TaskState::Assigned);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_names_who_does() {
    let swarm = with_nodes(&["a"]).await;
    let mut a = Played::open(&swarm, "a").await;
    a.welcome().await;
    swarm.store.lead(false);
    let ended = a.ended().await;
    assert_eq!(ended.code(), Code::FailedPrecondition);
    assert_eq!(ended.metadata().get(LEADER).unwrap(), "127.0.0.1:2377");
    let (_, inbound) = mpsc::channel(1);
    let refused = swarm.dispatcher.open(identity("a"), ReceiverStream::new(inbound)).await;
    assert_eq!(refused.unwrap_err().metadata().get(LEADER).unwrap(), "127.0.0.1:2377");
    let logs = swarm.dispatcher.logs(LogSelector::default(), LogOptions::default()).await;
    assert!(matches!(logs, Err(LogsError::NotLeader { leader: Some(_) })));
}

#[tokio::test(start_paused = true)]
async fn the_calls_know_their_caller_by_its_connection() {
    let swarm = with_nodes(&["a"]).await;
    let mut client =
        DispatcherClient::new(DispatcherServer::new(Calls(Arc::clone(&swarm.dispatcher))));
    let (up, inbound) = mpsc::channel(1);
    up.send(hello("a")).await.unwrap();
    let stranger = client.session(Request::new(ReceiverStream::new(inbound))).await;
    assert_eq!(stranger.unwrap_err().code(), Code::Unauthenticated);
    let (up, inbound) = mpsc::channel(1);
    up.send(hello("a")).await.unwrap();
    let mut request = Request::new(ReceiverStream::new(inbound));
    request.extensions_mut().insert::<NodeIdentity>(identity("a"));
    let mut down = client.session(request).await.unwrap().into_inner();
    let first = down.message().await.unwrap().unwrap().what;
    assert!(matches!(first, Some(to_agent::What::Welcome(_))), "{first:?}");
    swarm.until("it is there", |tables| tables.nodes["a"].status.state == NodeState::Ready).await;
}

/// Two nodes with a task each, which run.
async fn with_lines() -> (Swarm, Played, Played) {
    let swarm = with_nodes(&["a", "b"]).await;
    let mut played = Vec::new();
    for node in ["a", "b"] {
        let mut node = Played::open(&swarm, node).await;
        node.welcome().await;
        played.push(node);
    }
    swarm
        .until("both are there", |tables| {
            tables.nodes.values().all(|node| node.status.state == NodeState::Ready)
        })
        .await;
    swarm.put(|batch, _| batch.put(&replicated("web", 2))).await;
    for node in &mut played {
        let news = node.assignments().await;
        let id = Id::from(names(&news.tasks)[0].as_str());
        node.up.send(Ok(statuses(&[(id, TaskState::Running)]))).await.unwrap();
    }
    swarm.until_running("web", 2).await;
    let b = played.pop().unwrap();
    (swarm, played.pop().unwrap(), b)
}

fn line(wanted: &LogsWanted, words: &'static str) -> LogChunk {
    LogChunk {
        subscription: wanted.subscription.clone(),
        task_id: wanted.task_ids[0].clone(),
        stream: 1,
        line: Bytes::from_static(words.as_bytes()),
        ..LogChunk::default()
    }
}

async fn publish(swarm: &Swarm, node: &str, chunks: Vec<LogChunk>) -> Result<(), Status> {
    let chunks = tokio_stream::iter(chunks.into_iter().map(Ok));
    swarm.dispatcher.logs.publish(&identity(node), None, chunks).await.map(|_| ())
}

fn of_web() -> LogSelector {
    LogSelector { services: ["web".into()].into(), ..LogSelector::default() }
}

#[tokio::test(start_paused = true)]
async fn logs_are_merged_and_say_whose_are_missing() {
    let (swarm, mut a, mut b) = with_lines().await;
    let options = LogOptions { stdout: true, tail: "all".into(), ..LogOptions::default() };
    let mut logs = swarm.dispatcher.logs(of_web(), options).await.unwrap();
    let (of_a, of_b) = (a.logs_wanted().await, b.logs_wanted().await);
    assert!(of_a.stdout && !of_a.follow && of_a.tail == "all");
    // A node is heard only for what it was asked.
    let stolen = publish(&swarm, "a", vec![line(&of_b, "not mine")]).await;
    assert_eq!(stolen.unwrap_err().code(), Code::NotFound);
    publish(&swarm, "a", vec![line(&of_a, "one"), line(&of_a, "two")]).await.unwrap();
    // The other one ends without a word.
    drop(b);
    let (mut lines, mut missing) = (Vec::new(), None);
    while let Some(event) = logs.recv().await {
        match event {
            LogEvent::Line { node, chunk } => lines.push((node, chunk.line)),
            LogEvent::Over(over) => missing = Some(over),
        }
    }
    let a_said = |words: &'static str| (Id::from("a"), Bytes::from_static(words.as_bytes()));
    assert_eq!(lines, [a_said("one"), a_said("two")]);
    let missing = missing.unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!(&*missing[0].node, "b");
}

#[tokio::test(start_paused = true)]
async fn followed_logs_go_on_with_new_tasks_until_the_client_goes() {
    let (swarm, mut a, b) = with_lines().await;
    let options = LogOptions { stdout: true, follow: true, ..LogOptions::default() };
    let mut logs = swarm.dispatcher.logs(of_web(), options).await.unwrap();
    let first = a.logs_wanted().await;
    publish(&swarm, "a", vec![line(&first, "one")]).await.unwrap();
    assert!(matches!(logs.recv().await, Some(LogEvent::Line { .. })));
    let more = replicated("web", 4).spec.mode;
    swarm.update("web", |service| service.spec.mode = more.clone()).await;
    let news = a.assignments().await;
    let id = Id::from(names(&news.tasks)[0].as_str());
    a.up.send(Ok(statuses(&[(id.clone(), TaskState::Running)]))).await.unwrap();
    let second = a.logs_wanted().await;
    assert_eq!(second.task_ids, [id.to_string()]);
    drop(logs);
    let over = a.next().await.unwrap();
    assert_eq!(over, to_agent::What::LogsOver(second.subscription));
    drop(b);
}
