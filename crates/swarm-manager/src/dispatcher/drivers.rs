//! Secrets whose values a driver has (`SecretSpec.Driver`): the port to whoever asks it, and what it is
//! told of the task that needs the value (swarmkit `manager/drivers/secrets.go`).
//!
//! Invariants: a value is asked for when a task is assigned and goes to that task's node; it is never in
//! the store; the words of a failure hold nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use swarm_model::data::own_id;
use swarm_model::service::{Protocol, PublishMode, Resolution};
use swarm_model::{DRIVER_FAILED, Data, Id, Task};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::driven::Outcome;
use crate::replica::{Secret, Tables};

/// How long a driver may take: a node waits for two such answers, one after the other.
pub const DEADLINE: Duration = Duration::from_secs(8);
/// As for secrets that are kept here.
const LIMIT: usize = 500 * 1024;

/// What a driver is told, in the form of Docker's plugins.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretRequest {
    /// The secret's name.
    pub secret_name: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_labels: BTreeMap<String, String>,
    /// The host name that the service's containers get.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_hostname: String,
    /// The service.
    #[serde(rename = "ServiceID")]
    pub service_id: Id,
    /// Its name.
    pub service_name: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub service_labels: BTreeMap<String, String>,
    /// The task.
    #[serde(rename = "TaskID")]
    pub task_id: Id,
    /// The name of its container.
    pub task_name: String,
    /// Its image.
    pub task_image: String,
    /// Its node.
    #[serde(rename = "NodeID")]
    pub node_id: Id,
    /// What the service publishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_endpoint_spec: Option<Endpoint>,
}

/// What a service publishes. Kinds are numbers here: swarmkit's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoint {
    /// 0 for a virtual address, 1 for round robin.
    pub mode: i32,
    /// Its ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Port {
    /// For people.
    pub name: String,
    /// 0 TCP, 1 UDP, 2 SCTP.
    pub protocol: i32,
    /// In the container.
    pub target_port: u16,
    /// Outside.
    pub published_port: u16,
    /// 0 ingress, 1 host.
    pub publish_mode: i32,
}

/// What a driver answered.
pub struct Given {
    /// The bytes.
    pub value: Zeroizing<Vec<u8>>,
    /// For this task alone.
    pub is_own: bool,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("is_own", &self.is_own).finish_non_exhaustive()
    }
}

/// Whoever reaches drivers.
#[async_trait]
pub trait SecretDrivers: std::fmt::Debug + Send + Sync {
    /// Asks a driver for a value; an error says in words why there is none. The caller has a deadline.
    async fn secret(&self, driver: &str, asked: &SecretRequest) -> Result<Given, String>;
}

/// A value that is to be asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    secret: Arc<Secret>,
    task: Arc<Task>,
    request: Box<SecretRequest>,
}

/// The name of a secret's driver.
pub fn driver(secret: &Data) -> Option<&str> {
    secret.spec.rest.get("Driver")?.get("Name")?.as_str().filter(|name| !name.is_empty())
}

impl Ask {
    /// What is to be asked of the driver of `secret` for this task.
    pub fn new(secret: Arc<Secret>, task: Arc<Task>, tables: &Tables) -> Self {
        let container = task.spec.container_spec.as_ref();
        let hostname = container.and_then(|container| container.rest.get("Hostname")?.as_str());
        let service = tables.services.get(&task.service_id);
        let endpoint = service.and_then(|service| service.spec.endpoint_spec.as_ref());
        let request = SecretRequest {
            secret_name: secret.spec.name.clone(),
            secret_labels: secret.spec.labels.clone(),
            service_hostname: hostname.unwrap_or_default().to_owned(),
            service_id: task.service_id.clone(),
            service_name: task.service_annotations.name.clone(),
            service_labels: task.service_annotations.labels.clone(),
            task_id: task.id.clone(),
            task_name: task.name(),
            task_image: container.map(|container| container.image.clone()).unwrap_or_default(),
            node_id: task.node_id.clone(),
            service_endpoint_spec: endpoint.map(|endpoint| Endpoint {
                mode: match endpoint.mode {
                    Resolution::Vip => 0,
                    Resolution::Dnsrr => 1,
                },
                ports: endpoint.ports.iter().map(port).collect(),
            }),
        };
        Self { secret, task, request: Box::new(request) }
    }

    /// The secret.
    pub fn secret(&self) -> &Id {
        &self.secret.id
    }

    /// The task.
    pub fn task(&self) -> &Id {
        &self.task.id
    }

    /// Asks. What the node is given, under its own id where it is for this task alone.
    pub async fn answer(self, drivers: Option<Arc<dyn SecretDrivers>>) -> (Self, Outcome, Data) {
        let name = driver(&self.secret).unwrap_or_default();
        let given = match drivers {
            Some(drivers) => match timeout(DEADLINE, drivers.secret(name, &self.request)).await {
                Ok(given) => given.and_then(checked),
                Err(_) => Err(format!("it did not answer within {} s", DEADLINE.as_secs())),
            },
            None => Err("this manager reaches no plugins".to_owned()),
        };
        let mut data = self.secret.0.clone();
        let outcome = match given {
            Ok(Given { value, is_own }) => {
                data.spec.data = Some(swarm_model::Secret::new(STANDARD.encode(&*value)));
                if is_own { Outcome::Own } else { Outcome::Shared }
            }
            Err(why) => {
                let why = format!("the secret driver {name} gave no value: {why}");
                tracing::warn!(secret = %data.spec.name, task = %self.task.id, why);
                data.spec.data = None;
                data.spec.rest.insert(DRIVER_FAILED.to_owned(), Value::String(why));
                Outcome::Failed
            }
        };
        if outcome != Outcome::Shared {
            data.id = own_id(&self.secret.id, &self.task.id);
        }
        (self, outcome, data)
    }
}

fn checked(given: Given) -> Result<Given, String> {
    if given.value.is_empty() || given.value.len() >= LIMIT {
        return Err(format!(
            "secret data must be larger than 0 and less than {LIMIT} bytes; it gave {}",
            given.value.len()
        ));
    }
    Ok(given)
}

fn port(port: &swarm_model::service::PortConfig) -> Port {
    Port {
        name: port.name.clone(),
        protocol: match port.protocol {
            Protocol::Tcp => 0,
            Protocol::Udp => 1,
            Protocol::Sctp => 2,
        },
        target_port: port.target_port,
        published_port: port.published_port,
        publish_mode: match port.publish_mode {
            PublishMode::Ingress => 0,
            PublishMode::Host => 1,
        },
    }
}
