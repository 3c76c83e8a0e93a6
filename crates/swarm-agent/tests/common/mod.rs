//! An agent on a simulated engine, with a fake leader.

#![allow(dead_code)] // Each test file uses its part.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use swarm_agent::{Agent, AgentOptions, Dial};
use swarm_engine::{ClientOptions, EngineClient, Raw};
use swarm_testkit::fleet::{Engine, Fleet, FleetConfig, Release};
use swarm_testkit::leader::Leader;
use tonic::transport::{Channel, Endpoint};

/// Plain connections.
pub struct Plain;

#[async_trait::async_trait]
impl Dial for Plain {
    async fn channel(&self, address: &str) -> Result<Channel, swarm_backend::BoxError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .http2_keep_alive_interval(Duration::from_millis(200))
            // No stall of a busy machine is a session's end, which tests count.
            .keep_alive_timeout(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        Ok(endpoint.connect().await?)
    }

    async fn tunnel(&self, address: &str) -> Result<Box<dyn Raw>, swarm_backend::BoxError> {
        Err(format!("{address} takes no tunnels in this test").into())
    }

    fn roots(&self) -> String {
        String::new()
    }
}

/// An engine, and where its agent's files lie.
pub struct Node {
    fleet: Fleet,
    files: tempfile::TempDir,
}

impl Node {
    pub async fn start() -> Result<Self> {
        let config = FleetConfig { release: Release::Docker28, ..FleetConfig::default() };
        let files = tempfile::tempdir_in("/dev/shm")?;
        Ok(Self { fleet: Fleet::start(config).await?, files })
    }

    pub fn engine(&self) -> &Arc<Engine> {
        self.fleet.engine(0)
    }

    pub fn client(&self) -> Result<EngineClient> {
        let address = self.engine().address().to_string().parse()?;
        Ok(EngineClient::new(address, ClientOptions::default()))
    }

    pub fn agent(&self, managers: &[&Leader]) -> Result<Agent> {
        self.agent_by(Arc::new(Plain), managers)
    }

    pub fn agent_by(&self, dial: Arc<dyn Dial>, managers: &[&Leader]) -> Result<Agent> {
        let options = AgentOptions {
            engine: self.client()?,
            dial,
            managers: managers.iter().map(|leader| leader.address()).collect(),
            node_id: "n1".to_owned(),
            cluster_id: "c1".to_owned(),
            files: self.files.path().to_owned(),
            allows: Vec::new(),
        };
        Ok(Agent::start(options)?)
    }

    /// The engine's own word on a container.
    pub async fn inspect(&self, name: &str) -> Result<Value> {
        let path = format!("/containers/{name}/json");
        Ok(self.client()?.get_json(&path, Duration::from_secs(5)).await?)
    }
}

/// A task's id of the right form.
pub fn id(name: &str) -> String {
    format!("{name:0>25}")
}

/// A task that is to be in a state.
pub fn task(name: &str, desired: &str) -> Value {
    json!({
        "ID": id(name), "ServiceID": "s1", "NodeID": "n1", "Slot": 1, "DesiredState": desired,
        "Status": {"State": "assigned", "Timestamp": "2024-01-01T00:00:00Z"},
        "ServiceAnnotations": {"Name": "web"},
        "Spec": {"ContainerSpec": {"Image": "busybox:latest"}},
    })
}

/// The name of a task's container.
pub fn name(task: &str) -> String {
    format!("web.1.{}", id(task))
}

/// A leader with one agent linked, which knows of no tasks.
pub async fn linked() -> Result<(Node, Leader, Agent)> {
    let node = Node::start().await?;
    let leader = Leader::start().await?;
    let agent = node.agent(&[&leader])?;
    leader.until("a session", |heard| heard.sessions == 1).await?;
    leader.assign(true, &[], &[]).context("nothing at first")?;
    Ok((node, leader, agent))
}
