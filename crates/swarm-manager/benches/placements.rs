//! How fast one manager places tasks and hears that they run, with agents that only say so:
//! `cargo bench -p swarm-manager`, or `... -- NODES SERVICES TASKS_OF_EACH`.
//!
//! The store is in memory: what is measured are planners, scheduler, dispatcher and the replica. It
//! judges nothing and prints figures; a shared machine would fail it at random.
#![allow(clippy::unwrap_used)] // A benchmark that cannot go on breaks off.

use std::collections::BTreeMap;
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

fn main() {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<usize>().ok());
    let mut number = |usual| numbers.next().unwrap_or(usual);
    let (nodes, services, each) = (number(1_000), number(200), number(50));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(nodes, services, each));
}

async fn measure(nodes: usize, services: usize, each: usize) {
    let store = Memory::new();
    let replica = Replica::new(Arc::clone(&store) as _);
    let clock = Clock::system();
    let dispatcher = Dispatcher::new(Arc::clone(&replica), Identify::new(|_| None), clock.clone());
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&replica).run(stop.clone()));
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

    let (begin, before) = (Instant::now(), (store.writes(), processor_seconds()));
    for n in 0..services {
        let mut batch = Batch::default();
        batch.put(&service(n, each)).unwrap();
        replica.commit(batch).await.unwrap();
    }
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
    let (writes, cpu) = (store.writes() - before.0, processor_seconds() - before.1);
    println!("in {writes} writes and {cpu:.1} CPU s, agents and all");

    sleep(Duration::from_secs(2)).await;
    let (writes, cpu) = (store.writes(), processor_seconds());
    sleep(Duration::from_secs(10)).await;
    let idle = (processor_seconds() - cpu) / 10.0;
    println!(
        "then, in 10 s: {} writes, {:.1} % of a core for {nodes} heartbeats a second; {} MiB resident",
        store.writes() - writes,
        idle * 100.0,
        resident()
    );
    stop.cancel();
}

fn report(what: &str, tasks: usize, took: Duration) {
    let rate = f64::from(u32::try_from(tasks).unwrap()) / took.as_secs_f64();
    println!("{tasks} tasks are {what} after {took:.2?}: {rate:.0} per second");
}

async fn until(replica: &Replica, is_so: impl Fn(&Tables) -> bool) {
    while !replica.read(&is_so) {
        sleep(Duration::from_millis(50)).await;
    }
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

/// Says of each task at once that it runs.
async fn agent(dispatcher: Arc<Dispatcher>, node: Id) {
    let identity = NodeIdentity {
        node_id: node.clone(),
        role: swarm_ca::Role::Worker,
        address: None,
        issuer: None,
    };
    let (up, inbound) = mpsc::channel(16);
    let mut down = dispatcher.open(identity, ReceiverStream::new(inbound)).await.unwrap();
    let description = json!({
        "Hostname": node, "Resources": { "NanoCPUs": 8_000_000_000_i64, "MemoryBytes": 1_i64 << 34 },
    });
    let description = description.to_string().into_bytes().into();
    let hello = v1::Hello { description, roots: String::new(), now: 0 };
    up.send(Ok(said(from_agent::What::Hello(hello)))).await.unwrap();
    let mut known: BTreeMap<Id, TaskState> = BTreeMap::new();
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
                    if known.insert(task.id.clone(), TaskState::Running).is_none() {
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
