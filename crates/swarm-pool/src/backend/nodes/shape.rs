//! A node in Docker's shape (`Node` of the Engine API), from what is known of an engine.
//!
//! `Swarm`, with what moved off a drained engine and what cannot, is this project's own; other
//! clients pass it over.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use swarm_core::placement::node::Resources;
use swarm_docker::Filters;
use swarm_model::{Availability, EngineRecord};

use crate::engine::{Engine, Status};
use crate::keeper::Drain;

/// What is shown of a node.
pub(super) struct Shape {
    pub id: String,
    pub name: String,
    pub address: String,
    pub labels: Arc<BTreeMap<String, String>>,
    pub availability: Availability,
    pub is_member: bool,
    state: &'static str,
    pub message: String,
    platform: (String, String),
    pub engine_version: String,
    pub cpus: i64,
    pub memory: i64,
    created: i64,
    updated: i64,
    containers: Option<(usize, usize)>,
    reserved: Resources,
    drain: Option<Drain>,
}

impl Shape {
    pub(super) fn new(
        member: Option<&Engine>,
        record: Option<&EngineRecord>,
        drain: Option<Drain>,
    ) -> Self {
        let view = member.map(Engine::view);
        let identity = view.as_ref().and_then(|view| view.identity.clone());
        let availability = record.map(|record| record.availability).unwrap_or_default();
        let address = match (&view, record) {
            (Some(view), _) => view.address.to_string(),
            (None, Some(record)) => record.address.clone(),
            (None, None) => String::new(),
        };
        let labels = match (&identity, record) {
            (Some(identity), _) => Arc::clone(&identity.labels),
            (None, Some(record)) => Arc::new(record.labels.clone()),
            (None, None) => Arc::default(),
        };
        let of = |key: &str| labels.get(key).cloned().unwrap_or_default();
        let state = view.as_ref().map_or("down", |view| state(view.status));
        let error = view.as_ref().and_then(|view| view.error.as_deref().map(str::to_owned));
        let message = match (&drain, error, &view) {
            (_, Some(error), _) => error,
            (_, None, None) => "no discovery names it any more".to_owned(),
            (Some(drain), None, _) => drain.words(),
            (None, None, Some(view)) if view.status == Status::Maintenance => {
                "its owner wants no new containers on it".to_owned()
            }
            (None, None, Some(_)) => String::new(),
        };
        let (id, name) = match (&identity, record) {
            (Some(identity), _) => (identity.id.clone(), identity.name.clone()),
            (None, Some(record)) => (record.engine.id.clone(), record.engine.name.clone()),
            // It has never been reached: its address is all there is.
            (None, None) => (address.clone(), address.clone()),
        };
        Self {
            id,
            name,
            platform: (of("architecture"), of("ostype")),
            engine_version: identity.as_ref().map(|i| i.server_version.clone()).unwrap_or_default(),
            cpus: identity.as_ref().map_or_else(|| record.map_or(0, |r| r.cpus), |i| i.cpus),
            memory: identity.as_ref().map_or_else(|| record.map_or(0, |r| r.memory), |i| i.memory),
            address,
            availability,
            is_member: member.is_some(),
            state,
            message,
            created: record.map_or(0, |record| record.created),
            updated: record.map_or(0, |record| record.updated),
            reserved: view.as_ref().map_or_else(Resources::default, |view| view.reserved),
            containers: view.as_ref().map(|view| (view.counts.total(), view.counts.running)),
            labels,
            drain,
        }
    }

    /// Docker's filters: ids and names by their beginning; labels, of which a pool's node has one
    /// kind only, by either name.
    pub(super) fn passes(&self, filters: &Filters) -> bool {
        let label = |key: &str| self.labels.get(key).map(String::as_str);
        filters.fuzzy("id", &self.id)
            && filters.fuzzy("name", &self.name)
            && filters.exact("role", "worker")
            && filters.exact("membership", "accepted")
            && filters.matches_kv("label", label)
            && filters.matches_kv("node.label", label)
    }

    pub(super) fn into_json(self) -> Value {
        let mut node = json!({
            "ID": self.id,
            "Version": {"Index": self.updated},
            "CreatedAt": time(self.created),
            "UpdatedAt": time(self.updated),
            "Spec": {
                "Name": self.name,
                "Role": "worker",
                "Availability": self.availability.as_str(),
                "Labels": *self.labels,
            },
            "Description": {
                "Hostname": self.name,
                "Platform": {"Architecture": self.platform.0, "OS": self.platform.1},
                "Resources": {"NanoCPUs": self.cpus.saturating_mul(1_000_000_000),
                              "MemoryBytes": self.memory},
                "Engine": {"EngineVersion": self.engine_version, "Labels": *self.labels},
            },
            "Status": {"State": self.state, "Message": self.message, "Addr": self.address},
        });
        if let Some((total, running)) = self.containers {
            node["Swarm"] = json!({
                "Containers": total,
                "Running": running,
                "Reserved": {"NanoCPUs": self.reserved.nano_cpus,
                             "MemoryBytes": self.reserved.memory},
            });
        }
        if let Some(drain) = self.drain {
            node["Swarm"]["Drain"] = serde_json::to_value(drain).unwrap_or_default();
        }
        node
    }
}

/// Docker's word for what the pool thinks of an engine.
fn state(status: Status) -> &'static str {
    match status {
        Status::Healthy | Status::Maintenance => "ready",
        Status::Unhealthy => "down",
        Status::Pending => "unknown",
        Status::Disconnected => "disconnected",
    }
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
