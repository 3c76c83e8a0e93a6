//! The network of a service (`Networks[].Target`).
//!
//! Tasks are on one network of their node's own engine: `bridge`, `host` or `none`. A stack that
//! names no network asks for its default one, which the client makes first ([`super::networks`]):
//! it stands for the engine's bridge. In the store, and for nodes, the engine's network is the
//! target; what it stands for is beside it in the service's spec, and is what the API shows.

use std::sync::Arc;

use serde_json::Value;
use swarm_backend::Result;
use swarm_docker::ApiError;
use swarm_model::service::{STANDS_FOR, ServiceSpec};
use swarm_model::{Id, Network};

use super::lookup::find;
use super::refuse::not_yet;
use crate::replica::{Batch, Tables};

/// Networks that every engine has.
pub(super) const ENGINES_OWN: [&str; 3] = ["bridge", "host", "none"];

const NETWORKS: &str = "Networks";

/// Puts the engine's network in the place of the swarm's, which must stay until the batch is
/// written.
pub(super) fn resolve(spec: &mut ServiceSpec, tables: &Tables, batch: &mut Batch) -> Result<()> {
    spec.rest.remove(STANDS_FOR);
    // Before API 1.25 networks stood beside the template; Docker takes them from there still.
    let beside = spec.rest.remove(NETWORKS).filter(is_given);
    let template = Arc::make_mut(&mut spec.task_template);
    if let Some(beside) = beside
        && !template.rest.get(NETWORKS).is_some_and(is_given)
    {
        template.rest.insert(NETWORKS.to_owned(), beside);
    }
    let networks = template.rest.get_mut(NETWORKS).and_then(Value::as_array_mut);
    let Some((network, others)) = networks.and_then(|networks| networks.split_first_mut()) else {
        return Ok(());
    };
    let Some(fields) = network.as_object_mut() else {
        return Err(ApiError::invalid("invalid JSON: an entry of Networks is not an object"));
    };
    let target = fields.get("Target").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !ENGINES_OWN.contains(&target.as_str()) {
        let Ok(found) = find::<Network>(tables, &target) else {
            return not_yet(&format!(
                "network {target}: cluster networks (overlay) are not there yet. A service can be on its \
                 nodes' own bridge, host or none (--network host); a stack that names no network is on the \
                 bridge"
            ));
        };
        batch.expect(&**found);
        fields.insert("Target".to_owned(), "bridge".into());
        spec.rest.insert(STANDS_FOR.to_owned(), found.id.as_str().into());
    }
    if fields.get("DriverOpts").is_some_and(is_given) {
        return not_yet(&format!(
            "network {target}: driver options need a cluster network (overlay), which is not there yet"
        ));
    }
    if !others.is_empty() {
        return not_yet(
            "a service on several networks needs cluster networks (overlay), which are not there yet",
        );
    }
    Ok(())
}

fn is_given(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

/// The id of the swarm's network that a service is on.
fn stands_for(spec: &ServiceSpec) -> Option<&str> {
    spec.rest.get(STANDS_FOR)?.as_str()
}

/// As clients see it.
pub(super) fn show(spec: &mut ServiceSpec) {
    let Some(id) = spec.rest.remove(STANDS_FOR) else { return };
    let template = Arc::make_mut(&mut spec.task_template);
    let networks = template.rest.get_mut(NETWORKS).and_then(Value::as_array_mut);
    let first = networks.and_then(|networks| networks.first_mut()?.as_object_mut());
    if let Some(network) = first {
        network.insert("Target".to_owned(), id);
    }
}

/// Names of the services that use a network.
pub(super) fn users<'t>(tables: &'t Tables, network: &Id) -> Vec<&'t str> {
    let services = tables.services.values();
    let users = services.filter(|service| stands_for(&service.spec) == Some(network.as_str()));
    users.map(|service| service.spec.name.as_str()).collect()
}
