//! What the engine says of a task's container (`GET /containers/{id}/json`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use swarm_docker::container::LABEL_TASK_ID;
use swarm_model::service::{PortConfig, Protocol, PublishMode};
use swarm_model::task::ContainerStatus;

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Made, and never started.
    Created,
    /// It runs, or is paused.
    Up,
    /// It ran and has ended.
    Ended,
}

/// What its health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// None is made, or it passes.
    Good,
    /// No verdict yet.
    Starting,
    /// It fails.
    Bad,
}

/// A container, as it was when the engine was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The engine's id of it.
    pub id: String,
    /// The task that it is of.
    pub task: String,
    /// How far it is.
    pub phase: Phase,
    /// What its health check says.
    pub health: Health,
    /// Its process; 0 when it does not run.
    pub pid: i64,
    /// How it ended.
    pub exit_code: i64,
    /// Why, in the engine's words.
    pub error: String,
    /// Whether the kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// The ports that it has on its host.
    pub ports: Vec<PortConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    id: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    network_settings: Network,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    status: String,
    pid: i64,
    exit_code: i64,
    error: String,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    health: Option<Checked>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Checked {
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Network {
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    host_port: String,
}

impl Seen {
    /// Reads the engine's answer.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let answer: Answer = serde_json::from_slice(body)?;
        let state = answer.state;
        let phase = match state.status.as_str() {
            "created" => Phase::Created,
            "running" | "paused" | "restarting" => Phase::Up,
            _ => Phase::Ended,
        };
        let health = match state.health.unwrap_or_default().status.as_str() {
            "starting" => Health::Starting,
            "unhealthy" => Health::Bad,
            _ => Health::Good,
        };
        let mut labels = answer.config.labels.unwrap_or_default();
        Ok(Self {
            id: answer.id,
            task: labels.remove(LABEL_TASK_ID).unwrap_or_default(),
            phase,
            health,
            pid: state.pid,
            exit_code: state.exit_code,
            error: state.error,
            out_of_memory: state.oom_killed,
            ports: ports(answer.network_settings.ports.unwrap_or_default()),
        })
    }

    /// One that was just made.
    pub fn made(id: String, task: String) -> Self {
        Self {
            id,
            task,
            phase: Phase::Created,
            health: Health::Good,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            out_of_memory: false,
            ports: Vec::new(),
        }
    }

    /// As it is in a task's status.
    pub fn status(&self) -> ContainerStatus {
        ContainerStatus {
            container_id: self.id.clone(),
            pid: self.pid,
            exit_code: self.exit_code,
            rest: swarm_model::Rest::default(),
        }
    }

    /// `PortStatus`, as it is in a task's status.
    pub fn port_status(&self) -> Option<Value> {
        (!self.ports.is_empty()).then(|| serde_json::json!({"Ports": self.ports}))
    }
}

/// An engine with IPv6 names each port twice.
fn ports(bound: BTreeMap<String, Option<Vec<Binding>>>) -> Vec<PortConfig> {
    let mut ports = Vec::new();
    for (key, bindings) in bound {
        let (target, protocol) = key.split_once('/').unwrap_or((&key, "tcp"));
        let protocol = match protocol {
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        for binding in bindings.unwrap_or_default() {
            let (Ok(target_port), Ok(published_port)) = (target.parse(), binding.host_port.parse())
            else {
                continue;
            };
            let port = PortConfig {
                protocol,
                target_port,
                published_port,
                publish_mode: PublishMode::Host,
                ..PortConfig::default()
            };
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_engine_is_read() {
        let body = br#"{"Id": "c1", "Config": {"Labels": {"com.docker.swarm.task.id": "t1"}},
            "State": {"Status": "running", "Pid": 7, "ExitCode": 0, "Error": "", "OOMKilled": false,
                      "Health": {"Status": "starting", "Log": []}},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"},
                {"HostIp": "::", "HostPort": "32768"}], "81/tcp": null}}}"#;
        let seen = Seen::parse(body).unwrap();
        assert_eq!((seen.phase, seen.health, seen.pid), (Phase::Up, Health::Starting, 7));
        assert_eq!((seen.id.as_str(), seen.task.as_str()), ("c1", "t1"));
        assert_eq!(
            seen.port_status().unwrap(),
            serde_json::json!({"Ports": [{"Protocol": "tcp", "TargetPort": 80,
                "PublishedPort": 32768, "PublishMode": "host"}]})
        );
        let bare = Seen::parse(br#"{"Id": "c", "State": {"Status": "dead"}}"#).unwrap();
        assert_eq!((bare.phase, bare.port_status()), (Phase::Ended, None));
    }
}
