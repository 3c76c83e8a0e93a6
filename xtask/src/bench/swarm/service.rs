//! What is deployed: sleeping tasks that end at once when told to. They have no network of the
//! cluster's and publish no port, so that both sides do the same work.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::cluster::{Cluster, each};

/// What the tasks run.
pub const IMAGE: &str = "busybox:latest";

/// A service that was deployed.
pub struct Service {
    id: String,
}

/// What is to be deployed.
pub struct Wanted<'a> {
    pub replicas: u64,
    /// Placement constraints.
    pub constraints: &'a [&'a str],
}

/// One task, as far as it is looked at.
#[derive(Debug)]
pub struct Task {
    pub node: String,
    pub state: String,
    pub is_wanted: bool,
    pub env: Vec<String>,
}

impl Task {
    /// Whether it runs and is to run.
    pub fn runs(&self) -> bool {
        self.is_wanted && self.state == "running"
    }
}

impl Service {
    /// Deploys it.
    pub fn create(cluster: &Cluster<'_>, wanted: &Wanted<'_>) -> Result<Self> {
        let spec = json!({
            "Name": "load",
            "TaskTemplate": {
                "ContainerSpec": { "Image": IMAGE, "Command": ["sleep", "1d"],
                    "StopSignal": "SIGKILL", "Env": ["VERSION=1"] },
                "Placement": { "Constraints": wanted.constraints },
                "RestartPolicy": { "Condition": "any", "Delay": 1_000_000_000_u64 },
            },
            "Mode": { "Replicated": { "Replicas": wanted.replicas } },
            "UpdateConfig": { "Parallelism": 2, "Monitor": 5_000_000_000_u64,
                "FailureAction": "pause", "Order": "stop-first" },
        });
        let created = cluster.post(1, "/services/create", &spec)?;
        let id = created["ID"].as_str().context("no id of the service")?.to_owned();
        Ok(Self { id })
    }

    /// Changes its spec.
    pub fn change(&self, cluster: &Cluster<'_>, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut service = self.inspect(cluster)?;
        let version = service["Version"]["Index"].clone();
        let mut spec = service["Spec"].take();
        change(&mut spec);
        let path = format!("/services/{}/update?version={version}", self.id);
        cluster.post(1, &path, &spec).map(drop)
    }

    /// Sets how many replicas it has.
    pub fn scale(&self, cluster: &Cluster<'_>, replicas: u64) -> Result<()> {
        self.change(cluster, |spec| spec["Mode"]["Replicated"]["Replicas"] = replicas.into())
    }

    /// As the API has it.
    pub fn inspect(&self, cluster: &Cluster<'_>) -> Result<Value> {
        cluster.get(1, &format!("/services/{}", self.id))
    }

    /// Its tasks, as the manager on host `by` has them.
    pub fn tasks(cluster: &Cluster<'_>, by: u8) -> Result<Vec<Task>> {
        let tasks = cluster.get(by, "/tasks")?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let task = |task: &Value| Task {
            node: word(&task["NodeID"]),
            state: word(&task["Status"]["State"]),
            is_wanted: task["DesiredState"] == "running",
            env: each(&task["Spec"]["ContainerSpec"]["Env"]).map(word).collect(),
        };
        Ok(each(&tasks).map(task).collect())
    }

    /// Waits until exactly so many tasks run, and no other task's container does.
    pub fn settled(cluster: &Cluster<'_>, replicas: usize) -> Result<()> {
        cluster.until(&format!("{replicas} tasks run"), || {
            let tasks = Self::tasks(cluster, 1)?;
            let running = tasks.iter().filter(|task| task.state == "running").count();
            let wanted = tasks.iter().filter(|task| task.runs()).count();
            Ok((wanted == replicas && running == replicas).then_some(()))
        })
    }

    /// Removes it, and waits until every container of it is gone.
    pub fn remove(self, cluster: &Cluster<'_>) -> Result<()> {
        cluster.ask(1, "DELETE", &format!("/services/{}", self.id), &Value::Null)?;
        cluster.until("its tasks are gone", || {
            if !Self::tasks(cluster, 1)?.is_empty() {
                return Ok(None);
            }
            for host in cluster.lab.ls().iter().filter(|host| host.answers) {
                let left = swarm_testkit::lab::get(
                    &host.sock,
                    "/containers/json?all=1",
                    std::time::Duration::from_secs(10),
                )?;
                if each(&left.json()?).next().is_some() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }
}
