//! The endpoint: what it tells, read whole with each look, and its events, which only say that a look is
//! due. The event stream is opened before the look, so that nothing happens unseen in between.
//!
//! What cannot change during a container's life is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use swarm_docker::event::Event;
use swarm_engine::{EngineAddress, EngineClient, EngineError, EventLines};
use tracing::{debug, warn};

use crate::container::Lasting;
use crate::sight::{Answers, Sight};

/// Any one answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// Containers read at the same time.
const AT_ONCE: usize = 4;
/// The longest inspect document read.
const LARGEST: usize = 8 << 20;

/// An endpoint of the Docker API, looked at.
#[derive(Debug)]
pub struct Watcher {
    endpoint: EngineClient,
    events: Option<EventLines>,
    lasting: BTreeMap<String, Lasting>,
    /// The nodes and their states as of the last look, where there are nodes.
    nodes: Option<Value>,
    /// What could not be inspected, with the reason that was told.
    unread: BTreeMap<String, String>,
}

impl Watcher {
    /// Nothing is read yet.
    pub fn new(endpoint: EngineClient) -> Self {
        let (lasting, unread) = (BTreeMap::new(), BTreeMap::new());
        Self { endpoint, events: None, lasting, nodes: None, unread }
    }

    /// Where it is.
    pub fn address(&self) -> String {
        self.endpoint.address().to_string()
    }

    /// Lets the connection go.
    pub fn lose(&mut self) {
        self.events = None;
        self.endpoint.close_idle();
    }

    /// Follows the events, unless it does.
    pub async fn follow(&mut self) -> Result<(), EngineError> {
        if self.events.is_none() {
            self.endpoint.negotiate(DEADLINE).await?;
            self.events = Some(self.endpoint.events(None).await?);
        }
        Ok(())
    }

    /// Waits until an event says that a look is due. Without a stream it waits for ever.
    pub async fn hear(&mut self) -> Result<(), String> {
        loop {
            let Some(events) = &mut self.events else { return std::future::pending().await };
            match events.next().await {
                Some(Ok(line)) if !concerns(line.clone()) => {}
                // A line beyond the bound: whatever it said.
                Some(Ok(_) | Err(EngineError::TooLarge { .. })) => return Ok(()),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("it ended its event stream".to_owned()),
            }
        }
    }

    /// Whether nodes have come, gone, or changed their state since the last look: they send no events.
    pub async fn nodes_differ(&mut self) -> Result<bool, EngineError> {
        if self.nodes.is_none() {
            return Ok(false);
        }
        let now = self.of_swarm("/nodes").await?;
        Ok(now.as_ref().map(states) != self.nodes)
    }

    /// Reads everything.
    pub async fn look(&mut self) -> Result<Sight, EngineError> {
        if self.endpoint.versions().is_none() {
            self.endpoint.negotiate(DEADLINE).await?;
        }
        let nodes = self.of_swarm("/nodes").await?;
        self.nodes = nodes.as_ref().map(states);
        let services = match &nodes {
            Some(_) => self.of_swarm("/services").await?,
            None => None,
        };
        let tasks = match &services {
            // {"desired-state":["running"]}
            Some(_) => {
                let path = "/tasks?filters=%7B%22desired-state%22%3A%5B%22running%22%5D%7D";
                Some(self.endpoint.get_json(path, DEADLINE).await?)
            }
            None => None,
        };
        let info = match &nodes {
            Some(_) => Value::Null,
            None => self.endpoint.get_json("/info", DEADLINE).await?,
        };
        let containers: Value = self.endpoint.get_json("/containers/json?all=1", DEADLINE).await?;
        self.inspect(&containers).await?;
        let address = match self.endpoint.address() {
            EngineAddress::Tcp { host, .. } => Some(host.clone()),
            EngineAddress::Unix(_) | EngineAddress::Node { .. } => None,
        };
        let lasting = self.lasting.clone();
        Ok(Sight::of(&Answers { info, nodes, services, tasks, containers, lasting, address }))
    }

    /// `None` where the endpoint has no such objects. A swarm without a leader has, and tells none.
    async fn of_swarm(&self, path: &str) -> Result<Option<Value>, EngineError> {
        match self.endpoint.get_json(path, DEADLINE).await {
            Ok(json) => Ok(Some(json)),
            Err(EngineError::Status { code: 404 | 406 | 501, .. }) => Ok(None),
            Err(EngineError::Status { code: 503, message })
                if message.contains("not a swarm manager") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Inspects the containers that run and were not inspected yet; forgets those that are gone.
    async fn inspect(&mut self, containers: &Value) -> Result<(), EngineError> {
        let entries = containers.as_array().map_or(&[][..], Vec::as_slice);
        let id = |entry: &Value| entry.get("Id").and_then(Value::as_str).map(str::to_owned);
        let there: BTreeSet<String> = entries.iter().filter_map(id).collect();
        self.lasting.retain(|id, _| there.contains(id));
        self.unread.retain(|id, _| there.contains(id));
        let runs = |entry: &&Value| {
            let state = entry.get("State").and_then(Value::as_str);
            matches!(state, Some("running" | "paused" | "restarting"))
        };
        let wanted: Vec<String> = entries
            .iter()
            .filter(runs)
            .filter_map(id)
            // It becomes part of a path.
            .filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit()))
            .filter(|id| !self.lasting.contains_key(id))
            .collect();
        let endpoint = &self.endpoint;
        let mut reading = stream::iter(wanted)
            .map(|id| async move {
                let path = format!("/containers/{id}/json");
                let read = endpoint.get_bytes(&path, LARGEST, DEADLINE).await;
                (id, read)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((id, read)) = reading.next().await {
            let reason = match read {
                Ok(body) => match serde_json::from_slice(&body) {
                    Ok(json) => {
                        self.unread.remove(&id);
                        self.lasting.insert(id, Lasting::read(&json));
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
                Err(EngineError::Status { code: 404, .. }) => continue,
                // The endpoint itself is away; a pool's answer about a sick engine is a status.
                Err(error) if error.is_connection() => return Err(error),
                Err(error) => error.to_string(),
            };
            if self.unread.get(&id) != Some(&reason) {
                warn!(container = id, reason, "it cannot be read: its variables are not known");
                self.unread.insert(id, reason);
            }
        }
        Ok(())
    }
}

/// What of nodes matters, and differs only where they do.
fn states(nodes: &Value) -> Value {
    let all = nodes.as_array().into_iter().flatten();
    let of = |node: &Value| -> Value {
        let parts = ["/ID", "/Status/State", "/Status/Addr"];
        parts.iter().map(|part| node.pointer(part).cloned().unwrap_or_default()).collect()
    };
    all.map(of).collect()
}

/// An event that may change what is rendered.
fn concerns(line: bytes::Bytes) -> bool {
    let event = match Event::parse(line) {
        Ok(event) => event,
        Err(error) => {
            debug!(%error, "an event cannot be read");
            return false;
        }
    };
    match event.kind() {
        "container" => {
            let verb = event.verb();
            matches!(
                verb,
                "start" | "die" | "destroy" | "rename" | "restart" | "pause" | "unpause" | "update"
            ) || verb.starts_with("health_status")
        }
        "network" => matches!(event.verb(), "connect" | "disconnect"),
        "service" | "node" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_differ_by_what_matters() {
        let nodes = |state: &str, updated: &str| {
            states(
                &serde_json::json!([{"ID": "a", "UpdatedAt": updated, "Status": {"State": state}}]),
            )
        };
        assert_eq!(nodes("ready", "1"), nodes("ready", "2"));
        assert_ne!(nodes("ready", "1"), nodes("down", "1"));
    }

    #[test]
    fn only_what_may_change_the_text_makes_a_look_due() {
        let event = |kind: &str, action: &str| {
            let line = format!(
                "{{\"Type\":\"{kind}\",\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"ab\",\
                 \"Attributes\":{{}}}},\"time\":1,\"timeNano\":1}}"
            );
            concerns(line.into())
        };
        for action in ["start", "die", "health_status: healthy", "health_status", "unpause"] {
            assert!(event("container", action), "{action}");
        }
        assert!(
            event("network", "connect") && event("service", "update") && event("node", "update")
        );
        for (kind, action) in [
            ("container", "exec_start: sh"),
            ("container", "top"),
            ("image", "pull"),
            ("network", "create"),
        ] {
            assert!(!event(kind, action), "{kind} {action}");
        }
        assert!(!concerns("no JSON".into()));
    }
}
