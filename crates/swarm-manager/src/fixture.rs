//! A whole swarm for tests: a store in memory, a manager that leads, and agents that do what they are
//! told, on tokio's clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use swarm_kv::StoreError;
use swarm_model::node::NodeDescription;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Node, Service, Task, TaskState, Time};
use swarm_rpc::v1::{self, FromAgent, ToAgent, from_agent, to_agent};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::{Identify, NodeIdentity};
use crate::leader::meters::Meters;
use crate::replica::memory::Memory;
use crate::replica::{Batch, Replica, Tables};
use crate::{Clock, Dispatcher, leader};

pub struct Swarm {
    pub store: Arc<Memory>,
    pub replica: Arc<Replica>,
    pub dispatcher: Arc<Dispatcher>,
    stop: CancellationToken,
    agents: Mutex<BTreeMap<String, watch::Sender<Power>>>,
    /// How often each task's container was started, on all nodes.
    pub starts: Arc<Mutex<BTreeMap<Id, usize>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    On,
    /// Neither hears nor says anything; its connections are not closed.
    Silent,
    /// Its daemon was stopped; what it runs goes on.
    Stopped,
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn identity(node: &str) -> NodeIdentity {
    NodeIdentity {
        node_id: node.into(),
        role: swarm_ca::Role::Worker,
        address: Some("10.0.0.1".parse().unwrap()),
        issuer: None,
    }
}

pub fn service(name: &str, mode: &Value, image: &str) -> Service {
    let service = json!({ "ID": name, "Spec": {
        "Name": name, "Mode": mode,
        "TaskTemplate": { "ContainerSpec": { "Image": image } },
    }});
    serde_json::from_value(service).unwrap()
}

pub fn replicated(name: &str, replicas: u64) -> Service {
    service(name, &json!({ "Replicated": { "Replicas": replicas } }), "nginx")
}

impl Swarm {
    /// With a manager that leads.
    pub fn start() -> Self {
        let store = Memory::new();
        let replica = Replica::new(Arc::clone(&store) as _);
        let clock = Clock::of_tokio();
        let identify = Identify::new(|extensions| extensions.get::<NodeIdentity>().cloned());
        let dispatcher = Dispatcher::new(Arc::clone(&replica), identify, clock.clone());
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&replica).run(stop.clone()));
        let (leads, on) = (Arc::clone(&dispatcher), stop.clone());
        tokio::spawn(leader::run(Arc::clone(&replica), leads, clock, Meters::default(), on));
        let (agents, starts) = (Mutex::default(), Arc::default());
        Self { store, replica, dispatcher, stop, agents, starts }
    }

    /// With nodes that have agents.
    pub async fn with(nodes: &[&str]) -> Self {
        let swarm = Self::start();
        for node in nodes {
            swarm.join(node).await;
        }
        swarm
    }

    /// Lets a node in and starts its agent.
    pub async fn join(&self, node: &str) {
        let record = Node { id: node.into(), ..Node::default() };
        self.put(|batch, _| batch.put(&record)).await;
        let (power, on) = watch::channel(Power::On);
        self.agents.lock().insert(node.to_owned(), power);
        let starts = Arc::clone(&self.starts);
        tokio::spawn(agent(Arc::clone(&self.dispatcher), node.into(), on, starts));
    }

    pub fn power(&self, node: &str, power: Power) {
        self.agents.lock()[node].send_replace(power);
    }

    /// Changes the store as an API would: until nobody was faster.
    pub async fn put(&self, change: impl Fn(&mut Batch, &Tables) -> Result<(), StoreError>) {
        loop {
            let batch = self.replica.read(|tables| {
                let mut batch = Batch::default();
                change(&mut batch, tables).unwrap();
                batch
            });
            match self.replica.commit(batch).await {
                Ok(()) => return,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Changes a service as an update does.
    pub async fn update(&self, name: &str, change: impl Fn(&mut Service)) {
        self.put(|batch, tables| {
            let mut service = Service::clone(&tables.services[name]);
            service.previous_spec = Some(Box::new(service.spec.clone()));
            service.update_status = None;
            change(&mut service);
            batch.put(&service)
        })
        .await;
    }

    /// Waits until the tables are as they should be; how long that took.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Tables) -> bool) -> Duration {
        let begin = Instant::now();
        while !self.replica.read(&is_so) {
            let shown = || {
                self.replica.read(|tables| {
                    let of = |task: &Arc<Task>| (task.node_id.clone(), task.status.clone());
                    let tasks: Vec<_> = tables.tasks.values().map(of).collect();
                    let nodes: Vec<_> =
                        tables.nodes.values().map(|n| (n.id.clone(), n.status.clone())).collect();
                    format!("{tasks:#?} {nodes:#?}")
                })
            };
            assert!(begin.elapsed() < Duration::from_mins(10), "never: {what}: {}", shown());
            sleep(Duration::from_millis(5)).await;
        }
        begin.elapsed()
    }

    pub async fn until_running(&self, name: &str, count: usize) -> Duration {
        self.until(&format!("{count} of {name} run"), |tables| running(tables, name).len() == count)
            .await
    }

    /// How often something is written in ten minutes.
    pub async fn writes_in_ten_minutes(&self) -> u64 {
        let before = self.store.writes();
        sleep(Duration::from_mins(10)).await;
        self.store.writes() - before
    }
}

/// The tasks of a service that run and are to.
pub fn running<'a>(tables: &'a Tables, name: &str) -> Vec<&'a Task> {
    let tasks = tables.tasks_of_service(name).map(|task| &**task);
    tasks.filter(|task| task.is_wanted() && task.status.state == TaskState::Running).collect()
}

pub fn from_agent(what: from_agent::What) -> FromAgent {
    FromAgent { what: Some(what) }
}

pub fn hello(hostname: &str) -> FromAgent {
    let description = NodeDescription { hostname: hostname.to_owned(), ..<_>::default() };
    let description = serde_json::to_vec(&description).unwrap().into();
    from_agent(from_agent::What::Hello(v1::Hello { description, roots: String::new(), now: 0 }))
}

pub fn statuses(states: &[(Id, TaskState)]) -> FromAgent {
    let status = |(id, state): &(Id, TaskState)| {
        let status = TaskStatus { state: *state, timestamp: Time(1), ..TaskStatus::default() };
        let status = serde_json::to_vec(&status).unwrap().into();
        v1::Status { task_id: id.to_string(), status }
    };
    let statuses = states.iter().map(status).collect();
    from_agent(from_agent::What::Statuses(v1::Statuses { statuses }))
}

async fn agent(
    dispatcher: Arc<Dispatcher>,
    node: Id,
    mut power: watch::Receiver<Power>,
    starts: Arc<Mutex<BTreeMap<Id, usize>>>,
) {
    let mut containers: BTreeMap<Id, TaskState> = BTreeMap::new();
    loop {
        if power.wait_for(|power| *power == Power::On).await.is_err() {
            return;
        }
        let (up, inbound) = mpsc::channel(64);
        let opened = dispatcher.open(identity(&node), ReceiverStream::new(inbound)).await;
        let Ok(mut down) = opened else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        up.send(Ok(hello(&node))).await.unwrap();
        let known: Vec<_> = containers.iter().map(|(id, state)| (id.clone(), *state)).collect();
        up.send(Ok(statuses(&known))).await.unwrap();
        let mut beat = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                changed = power.changed() => {
                    let now = *power.borrow_and_update();
                    if changed.is_err() {
                        return;
                    }
                    if now == Power::Stopped {
                        break; // Dropping what it says with is an end in order.
                    }
                    // A silent one holds its connections until it is heard again.
                    if power.wait_for(|power| *power == Power::On).await.is_err() {
                        return;
                    }
                }
                message = down.next() => {
                    let Some(Ok(ToAgent { what: Some(what) })) = message else { break };
                    if let to_agent::What::Assignments(news) = what {
                        let states = obey(&news, &mut containers, &starts);
                        if up.send(Ok(statuses(&states))).await.is_err() {
                            break;
                        }
                    }
                }
                _ = beat.tick() => {
                    if up.send(Ok(from_agent(from_agent::What::Beat(v1::Beat { now: 0 })))).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// Does what it is told at once. What it has to say of that.
fn obey(
    news: &v1::Assignments,
    containers: &mut BTreeMap<Id, TaskState>,
    starts: &Mutex<BTreeMap<Id, usize>>,
) -> Vec<(Id, TaskState)> {
    let mut states = Vec::new();
    for task in &news.tasks {
        let task: Task = serde_json::from_slice(task).unwrap();
        let state = containers.entry(task.id.clone()).or_insert(task.status.state);
        let image = &task.spec.container_spec.as_ref().unwrap().image;
        let mut path: Vec<TaskState> = Vec::new();
        if task.is_wanted() {
            path.extend([TaskState::Accepted, TaskState::Preparing, TaskState::Ready]);
            if task.desired_state >= TaskState::Running {
                path.extend([TaskState::Starting, TaskState::Running]);
                match image.as_str() {
                    "bad" => path.push(TaskState::Failed),
                    "job" => path.push(TaskState::Complete),
                    _ => {}
                }
            }
        } else {
            path.push(TaskState::Shutdown);
        }
        for next in path {
            if next > *state && !state.is_end() {
                *state = next;
                states.push((task.id.clone(), next));
                if next == TaskState::Running {
                    *starts.lock().entry(task.id.clone()).or_default() += 1;
                }
            }
        }
    }
    for id in &news.gone_tasks {
        containers.remove(id.as_str());
    }
    states
}
