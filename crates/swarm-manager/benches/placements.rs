//! How fast one manager places tasks and hears that they run, with agents that only say so:
//! `cargo bench -p swarm-manager`, or `... -- [replicated] NODES SERVICES TASKS_OF_EACH`.
//!
//! The store is in memory: what is measured are planners, scheduler, dispatcher and the replica. With
//! `replicated` it is that of three managers in this process, each with its files on disk, which agree over
//! their TLS connections. It judges nothing and prints figures; a shared machine would fail it at random.
#![allow(clippy::unwrap_used, clippy::panic)] // A benchmark that cannot go on breaks off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use swarm_manager::dispatcher::{Dispatcher, Identify, NodeIdentity};
use swarm_manager::leader::meters::Meters;
use swarm_manager::replica::memory::Memory;
use swarm_manager::{Batch, Clock, Replica, Tables, leader};
use swarm_model::node::NodeState;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Node, Service, Task, TaskState, Time};
use swarm_rpc::v1::{self, FromAgent, from_agent, to_agent};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// For each part of it.
const LIMIT: Duration = Duration::from_mins(5);

// The managers that the tests stand on.
#[allow(dead_code)]
#[path = "../tests/gate/manager.rs"]
mod manager;

fn main() {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<usize>().ok());
    let mut number = |usual| numbers.next().unwrap_or(usual);
    let (nodes, services, each) = (number(1_000), number(200), number(50));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let is_replicated = std::env::args().any(|word| word == "replicated");
    runtime.block_on(async {
        if is_replicated {
            replicated(nodes, services, each).await;
        } else {
            in_memory(nodes, services, each).await;
        }
    });
}

async fn in_memory(nodes: usize, services: usize, each: usize) {
    let store = Memory::new();
    let replica = Replica::new(Arc::clone(&store) as _);
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&replica).run(stop.clone()));
    let writes = move || Some(store.writes());
    measure(replica, writes, stop, (nodes, services, each)).await;
}

/// The first of three managers leads; the two others follow what it writes.
async fn replicated(nodes: usize, services: usize, each: usize) {
    let first = manager::Manager::found().await;
    let others = [first.join().await, first.join().await];
    manager::eventually("all vote", async || {
        let members = first.members().await;
        (members.iter().filter(|member| member.votes && member.reachable).count() == 3)
            .then_some(())
    })
    .await;
    let store = Arc::clone(&first.gate.store);
    let term = store.leadership().borrow().term;
    let replica = Arc::clone(&first.gate.replica);
    let stop = CancellationToken::new();
    measure(replica, || None, stop, (nodes, services, each)).await;
    assert_eq!(store.leadership().borrow().term, term, "another one was elected");
    let has = |one: &manager::Manager| one.gate.replica.read(|tables| tables.tasks.len());
    for one in &others {
        manager::eventually("each has all", async || (has(one) == has(&first)).then_some(())).await;
    }
    for one in others.iter().chain([&first]) {
        one.shutdown().await;
    }
}

/// `writes` counts what was written, where the store does.
async fn measure(
    replica: Arc<Replica>,
    writes: impl Fn() -> Option<u64>,
    stop: CancellationToken,
    (nodes, services, each): (usize, usize, usize),
) {
    let clock = Clock::system();
    let dispatcher = Dispatcher::new(Arc::clone(&replica), Identify::new(|_| None), clock.clone());
    let leads = leader::run(
        Arc::clone(&replica),
        Arc::clone(&dispatcher),
        clock,
        Meters::default(),
        stop.clone(),
    );
    tokio::spawn(leads);

    let ids: Vec<Id> = (0..nodes).map(|n| Id::from(format!("node{n:021}").as_str())).collect();
    for some in ids.chunks(1_000) {
        let mut batch = Batch::default();
        for id in some {
            batch.put(&Node { id: id.clone(), ..Node::default() }).unwrap();
        }
        replica.commit(batch).await.unwrap();
    }
    let begin = Instant::now();
    for id in &ids {
        tokio::spawn(agent(Arc::clone(&dispatcher), id.clone()));
    }
    let ready = |tables: &Tables| {
        tables.nodes.values().filter(|node| node.status.state == NodeState::Ready).count()
    };
    until(&replica, |tables| ready(tables) == nodes).await;
    let cpu = processor_seconds();
    println!("{nodes} nodes are ready after {:.2?} ({cpu:.1} CPU s)", begin.elapsed());

    let (begin, before) = (Instant::now(), (writes(), processor_seconds()));
    for n in 0..services {
        let mut batch = Batch::default();
        batch.put(&service(n, each)).unwrap();
        replica.commit(batch).await.unwrap();
    }
    println!("{services} services are written, one by one, after {:.2?}", begin.elapsed());
    let total = services * each;
    let placed = |tables: &Tables| tables.tasks.values().filter(|t| t.holds_node()).count();
    until(&replica, |tables| placed(tables) == total).await;
    let took = begin.elapsed();
    report("placed", total, took);
    let running = |tables: &Tables| {
        tables.tasks.values().filter(|task| task.status.state == TaskState::Running).count()
    };
    until(&replica, |tables| running(tables) == total).await;
    report("known to run", total, begin.elapsed());
    let (written, cpu) = (since(writes(), before.0), processor_seconds() - before.1);
    println!("in {written}{cpu:.1} CPU s, agents and all");

    sleep(Duration::from_secs(2)).await;
    let (written, cpu) = (writes(), processor_seconds());
    sleep(Duration::from_secs(10)).await;
    let idle = (processor_seconds() - cpu) / 10.0;
    println!(
        "then, in 10 s: {}{:.1} % of a core for {nodes} heartbeats a second; {} MiB resident",
        since(writes(), written),
        idle * 100.0,
        resident()
    );
    stop.cancel();
}

fn since(now: Option<u64>, before: Option<u64>) -> String {
    let writes = now.zip(before).map(|(now, before)| format!("{} writes, ", now - before));
    writes.unwrap_or_default()
}

fn report(what: &str, tasks: usize, took: Duration) {
    let rate = f64::from(u32::try_from(tasks).unwrap()) / took.as_secs_f64();
    println!("{tasks} tasks are {what} after {took:.2?}: {rate:.0} per second");
}

async fn until(replica: &Replica, is_so: impl Fn(&Tables) -> bool) {
    let limit = Instant::now() + LIMIT;
    while !replica.read(&is_so) {
        if Instant::now() > limit {
            let (tasks, nodes) = replica.read(|tables| (tables.tasks.len(), states(tables)));
            let led = replica.store().leadership().borrow().clone();
            panic!("not within {LIMIT:?}: {tasks} tasks are there, {led:?}, nodes: {nodes:?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// How many nodes are in which state.
fn states(tables: &Tables) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for node in tables.nodes.values() {
        *states.entry(node.status.state.as_str()).or_default() += 1;
    }
    states
}

fn service(number: usize, replicas: usize) -> Service {
    let environment: Vec<String> = (0..10).map(|n| format!("VARIABLE_{n}=value-{n}")).collect();
    let service = json!({
        "ID": format!("service{number:018}"),
        "Spec": {
            "Name": format!("service-{number}"),
            "Mode": { "Replicated": { "Replicas": replicas } },
            "TaskTemplate": {
                "ContainerSpec": { "Image": "registry/team/web:1", "Env": environment },
                "Resources": { "Reservations": { "MemoryBytes": 1 << 20 } },
            },
        },
    });
    serde_json::from_value(service).unwrap()
}

/// Says of each task at once that it runs. Where its session ends, it opens another.
async fn agent(dispatcher: Arc<Dispatcher>, node: Id) {
    let mut known: BTreeSet<Id> = BTreeSet::new();
    loop {
        session(&dispatcher, &node, &mut known).await;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn session(dispatcher: &Arc<Dispatcher>, node: &Id, known: &mut BTreeSet<Id>) {
    let identity = NodeIdentity {
        node_id: node.clone(),
        role: swarm_ca::Role::Worker,
        address: None,
        issuer: None,
    };
    let (up, inbound) = mpsc::channel(16);
    let Ok(mut down) = dispatcher.open(identity, ReceiverStream::new(inbound)).await else {
        return;
    };
    let description = json!({
        "Hostname": node, "Resources": { "NanoCPUs": 8_000_000_000_i64, "MemoryBytes": 1_i64 << 34 },
    });
    let description = description.to_string().into_bytes().into();
    let hello = v1::Hello { description, roots: String::new(), now: 0 };
    let again = v1::Statuses { statuses: known.iter().map(running).collect() };
    for what in [from_agent::What::Hello(hello), from_agent::What::Statuses(again)] {
        if up.send(Ok(said(what))).await.is_err() {
            return;
        }
    }
    let mut beat = interval(Duration::from_secs(1));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = down.next() => {
                let Some(Ok(message)) = message else { return };
                let Some(to_agent::What::Assignments(news)) = message.what else { continue };
                let mut statuses = Vec::new();
                for task in &news.tasks {
                    let task: Task = serde_json::from_slice(task).unwrap();
                    if known.insert(task.id.clone()) {
                        statuses.push(running(&task.id));
                    }
                }
                let statuses = v1::Statuses { statuses };
                if up.send(Ok(said(from_agent::What::Statuses(statuses)))).await.is_err() {
                    return;
                }
            }
            _ = beat.tick() => {
                if up.send(Ok(said(from_agent::What::Beat(v1::Beat { now: 0 })))).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn running(task: &Id) -> v1::Status {
    let status =
        TaskStatus { state: TaskState::Running, timestamp: Time(1), ..TaskStatus::default() };
    let status = serde_json::to_vec(&status).unwrap().into();
    v1::Status { task_id: task.to_string(), status }
}

fn said(what: from_agent::What) -> FromAgent {
    FromAgent { what: Some(what) }
}

/// Of this process, user and system; 100 ticks a second on every Linux.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    (pages.unwrap_or(0) * 4096) >> 20
}
