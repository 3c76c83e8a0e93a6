//! A container as rebalancing sees it, and whether it may be made anew elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;
use swarm_model::{Desired, Intent, Place, Policy};

use crate::placement::node::NodeId;
use crate::placement::ports::PortUse;
use crate::placement::request::Request;
use crate::reschedule::depend;

/// Label by which a container says `off` (never move it to even things out), or `on` (move it though
/// its reschedule policy is off).
pub const LABEL_REBALANCE: &str = "com.docker.swarm.rebalance";

/// A container on an engine, movable or not: filters look at all of them.
#[derive(Debug, Clone)]
pub struct Resident {
    /// The engine's id of it.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// Its engine.
    pub node: NodeId,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Host ports it has published.
    pub ports: Vec<PortUse>,
    /// Ports it exposes in the host's network.
    pub host_ports: Vec<PortUse>,
    /// The containers it cannot be without, as its configuration names them.
    pub needs: Vec<String>,
    /// What it takes to move it, or why it stays: [`movable`].
    pub movable: Result<Movable, String>,
}

/// What it takes to make a container elsewhere.
#[derive(Debug, Clone)]
pub struct Movable {
    /// Its intent's id.
    pub intent: String,
    /// What it asks of an engine.
    pub request: Request,
    /// Whether the new copy may run before the old one is stopped.
    pub start_first: bool,
}

/// Who asks for a container to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A person who wants its engine empty.
    Drain,
    /// Nobody about this one: others are to have more room. A container whose policy is `off` is
    /// left alone.
    Balance,
}

/// Whether the container of this intent may move, which is for containers that can be made anew
/// without anybody missing anything. `None` stands for a container that was made beside the pool.
/// `shared_volume` tells whether a named volume is the same data on every engine.
pub fn movable(
    intent: Option<&Intent>,
    cause: Cause,
    shared_volume: impl Fn(&str) -> bool,
) -> Result<Movable, String> {
    let intent = intent.ok_or("it was made beside the pool")?;
    if !matches!(intent.place, Place::At { .. }) {
        return Err("it is being moved already".to_owned());
    }
    let mut body = Value::Object(intent.config.fields());
    let request = Request::from_create_body(&intent.name, &mut body)
        .map_err(|error| format!("its configuration cannot be read: {error}"))?;
    let label = request.labels.iter().find(|(key, _)| key == LABEL_REBALANCE);
    match label.map(|(_, value)| value.as_str()) {
        Some("off") => return Err(format!("its label {LABEL_REBALANCE} is off")),
        Some("on") => {}
        _ if intent.policy == Policy::Off && cause == Cause::Balance => {
            return Err(format!(
                "its reschedule policy is off, and its label {LABEL_REBALANCE} is not on"
            ));
        }
        _ => {}
    }
    let data = intent.local_data(&shared_volume);
    if !data.is_empty() {
        return Err(format!("it has data there: {}", data.join(", ")));
    }
    if request.is_pinned() {
        return Err("a constraint names its engine".to_owned());
    }
    if let Some(needed) = depend::dependencies(intent).first() {
        return Err(format!("it needs {} ({needed})", needed.container));
    }
    let start_first = intent.desired == Desired::Running && !clashes_with_itself(intent);
    Ok(Movable { intent: intent.id.clone(), request, start_first })
}

/// Whether two copies on two engines would be in each other's way: an address of its own in a
/// network they share, or one volume that both would write.
fn clashes_with_itself(intent: &Intent) -> bool {
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let config = intent.config.fields();
    let host = object(config.get("HostConfig")).unwrap_or_default();
    let filled = |value: &Value| {
        !matches!(value, Value::Null)
            && value.as_str() != Some("")
            && *value != Value::Array(vec![])
    };
    let writes = ["Binds", "Mounts"].iter().filter_map(|key| host.get(*key)).any(filled);
    let networking = object(config.get("NetworkingConfig")).unwrap_or_default();
    let endpoints = object(networking.get("EndpointsConfig")).unwrap_or_default();
    let addressed = endpoints.values().chain(intent.networks.values()).any(|endpoint| {
        let ipam = endpoint.get("IPAMConfig");
        let fixed = ["IPv4Address", "IPv6Address"];
        endpoint.get("MacAddress").is_some_and(filled)
            || fixed.iter().any(|key| ipam.and_then(|ipam| ipam.get(*key)).is_some_and(filled))
    });
    writes || addressed || config.get("MacAddress").is_some_and(filled)
}
