//! What a service can ask for in Docker and this daemon cannot do yet: refused by name, never
//! accepted and ignored. What only the engine knows is refused by the node that runs the task.

use serde_json::Value;
use swarm_backend::Result;
use swarm_docker::ApiError;
use swarm_model::service::{Mount, PublishMode, Resolution, ServiceSpec};

/// Refuses what there is not yet. Networks are [`super::attach`]'s.
pub(super) fn service(spec: &ServiceSpec) -> Result<()> {
    if let Some(endpoint) = &spec.endpoint_spec {
        if endpoint.mode == Resolution::Dnsrr {
            return not_yet(
                "endpoint mode dnsrr: services have no names in DNS before there are cluster \
                 networks; leave the mode out",
            );
        }
        let mut ports = endpoint.ports.iter();
        if let Some(port) = ports.find(|port| port.publish_mode == PublishMode::Ingress) {
            let (target, published) = (port.target_port, port.published_port);
            let published =
                if published == 0 { String::new() } else { format!("published={published},") };
            return not_yet(&format!(
                "port {target}: publishing in ingress mode needs the routing mesh, which is not there \
                 yet. Publish it on the nodes where the tasks run: --publish \
                 mode=host,{published}target={target} (in a Compose file: mode: host)"
            ));
        }
    }
    let container = spec.task_template.container_spec.as_ref();
    container.iter().flat_map(|container| &container.mounts).try_for_each(mount)
}

fn mount(mount: &Mount) -> Result<()> {
    match mount.rest.get("Type").and_then(Value::as_str) {
        Some("cluster") => not_yet(&format!(
            "mount {}: cluster volumes (CSI) are not there yet; use a volume with a driver that every \
             node has",
            mount.target
        )),
        Some("npipe") => not_yet(&format!(
            "mount {}: named pipes are Windows', and nodes are Linux",
            mount.target
        )),
        _ => Ok(()),
    }
}

/// Known to Docker, and not here.
pub(super) fn not_yet<T>(words: &str) -> Result<T> {
    Err(ApiError::not_implemented(words))
}
