//! `GET /containers/{id}/json` (API v1.24 and up): the facts a pool needs of it, and the answer with
//! classic Swarm's `Node` in it.
//!
//! Everything not named here is skipped unread when facts are taken, and kept byte for byte when the
//! answer is passed on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::port::{PortBinding, parse_port_key, rewrite_bindings};
use super::state::{Health, State, StateFacts};
use crate::compact::{StrList, StrPairs};
use crate::json::{Edits, Members, ParseError, bytes, range_in, read};
use crate::node::NodeJson;
use crate::time::Moment;

const WHAT: &str = "a container";

/// What a pool needs to know of a container beyond its list entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InspectFacts {
    /// The full id.
    pub id: Box<str>,
    /// Its name, without the leading slash.
    pub name: Box<str>,
    /// When it was created.
    pub created: Option<Moment>,
    /// Its state.
    pub state: StateFacts,
    /// The image's id (`Image`).
    pub image_id: Box<str>,
    /// The image as it was named at creation (`Config.Image`).
    pub image: Box<str>,
    /// `Config.Labels`.
    pub labels: StrPairs,
    /// The scheduling expressions of `Config.Env`: `constraint:...`, `affinity:...`,
    /// `reschedule:...` and the like; nothing else of the environment is read.
    pub swarm_env: StrList,
    /// `HostConfig.CpuShares`: classic Swarm's reserved processors.
    pub cpu_shares: i64,
    /// `HostConfig.NanoCpus`: processors times 10⁹.
    pub nano_cpus: i64,
    /// `HostConfig.Memory` in bytes.
    pub memory: i64,
    /// `HostConfig.PortBindings`, the wanted ones: they hold for a stopped container too.
    pub port_bindings: Box<[PortBinding]>,
    /// `NetworkSettings.Ports`, those given now.
    pub bound_ports: Box<[PortBinding]>,
    /// `Config.ExposedPorts`, such as `80/tcp`.
    pub exposed_ports: StrList,
    /// `HostConfig.NetworkMode`.
    pub network_mode: Box<str>,
    /// `HostConfig.Links`.
    pub links: StrList,
    /// `HostConfig.VolumesFrom`.
    pub volumes_from: StrList,
    /// `HostConfig.IpcMode`.
    pub ipc_mode: Box<str>,
    /// `HostConfig.PidMode`.
    pub pid_mode: Box<str>,
    /// `HostConfig.RestartPolicy.Name`.
    pub restart_policy: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    id: Box<str>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    created: String,
    #[serde(default)]
    image: Box<str>,
    #[serde(default)]
    state: Option<WireState>,
    #[serde(default)]
    config: Option<WireConfig>,
    #[serde(default)]
    host_config: Option<WireHost>,
    #[serde(default)]
    network_settings: Option<WireNetwork>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireState {
    status: String,
    exit_code: i64,
    started_at: String,
    finished_at: String,
    health: Option<WireHealth>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireHealth {
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireConfig {
    image: Box<str>,
    labels: StrPairs,
    env: Option<Vec<String>>,
    exposed_ports: StrPairs,
}

type WirePorts = Option<BTreeMap<String, Option<Vec<WireBinding>>>>;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireBinding {
    host_ip: Box<str>,
    host_port: Box<str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireHost {
    cpu_shares: i64,
    nano_cpus: i64,
    memory: i64,
    port_bindings: WirePorts,
    network_mode: Box<str>,
    links: Option<Vec<String>>,
    volumes_from: Option<Vec<String>>,
    ipc_mode: Box<str>,
    pid_mode: Box<str>,
    restart_policy: Option<WirePolicy>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WirePolicy {
    name: Box<str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireNetwork {
    ports: WirePorts,
}

impl InspectFacts {
    /// Reads the facts in one pass over an inspect answer.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let wire: Wire = read(WHAT, body)?;
        let state = wire.state.unwrap_or_default();
        let config = wire.config.unwrap_or_default();
        let host = wire.host_config.unwrap_or_default();
        Ok(Self {
            id: wire.id,
            name: wire.name.trim_start_matches('/').into(),
            created: Moment::parse(&wire.created),
            state: StateFacts {
                state: State::parse(&state.status),
                health: state.health.map_or(Health::None, |health| Health::parse(&health.status)),
                exit_code: i32::try_from(state.exit_code).unwrap_or(i32::MAX),
                started: Moment::parse(&state.started_at),
                finished: Moment::parse(&state.finished_at),
            },
            image_id: wire.image,
            image: config.image,
            labels: config.labels,
            swarm_env: config.env.iter().flatten().filter(|env| is_swarm_env(env)).collect(),
            cpu_shares: host.cpu_shares,
            nano_cpus: host.nano_cpus,
            memory: host.memory,
            port_bindings: read_ports(host.port_bindings),
            bound_ports: read_ports(wire.network_settings.and_then(|network| network.ports)),
            exposed_ports: config.exposed_ports.iter().map(|(port, _)| port).collect(),
            network_mode: host.network_mode,
            links: host.links.unwrap_or_default().into_iter().collect(),
            volumes_from: host.volumes_from.unwrap_or_default().into_iter().collect(),
            ipc_mode: host.ipc_mode,
            pid_mode: host.pid_mode,
            restart_policy: host.restart_policy.unwrap_or_default().name,
        })
    }
}

/// Whether an `Env` element is one of classic Swarm's scheduling expressions, not environment.
pub fn is_swarm_env(env: &str) -> bool {
    ["constraint:", "affinity:", "reschedule:", "whitelist:"]
        .iter()
        .any(|prefix| env.starts_with(prefix))
}

fn read_ports(ports: WirePorts) -> Box<[PortBinding]> {
    let mut bindings = Vec::new();
    for (key, given) in ports.unwrap_or_default() {
        let Some((container_port, protocol)) = parse_port_key(&key) else { continue };
        bindings.extend(given.unwrap_or_default().into_iter().map(|binding| PortBinding {
            container_port,
            protocol,
            host_ip: binding.host_ip,
            host_port: binding.host_port,
        }));
    }
    bindings.into_boxed_slice()
}

/// The engine's answer with `Node` put in and the addresses under `NetworkSettings.Ports` that name
/// every interface of the node replaced by the node's own.
pub fn with_node(body: &[u8], node: &NodeJson) -> Result<Vec<u8>, ParseError> {
    let members = Members::read(WHAT, body)?;
    let mut edits = Edits::default();
    let whole = body.trim_ascii();
    let start = whole.as_ptr().addr() - body.as_ptr().addr();
    let mut with = b"\"Node\":".to_vec();
    with.extend_from_slice(&node.to_json());
    match members.get("Node") {
        Some(old) => edits.replace(range_in(body, old.get()), node.to_json()),
        None => edits.insert_first(body, &(start..start + whole.len()), &with),
    }
    if let Some(settings) = members.get("NetworkSettings") {
        let settings = Members::read(WHAT, settings.get().as_bytes())?;
        if let Some(raw) = settings.get("Ports") {
            let mut ports: Option<serde_json::Map<String, Value>> =
                read(WHAT, raw.get().as_bytes())?;
            for bindings in ports.iter_mut().flat_map(|ports| ports.values_mut()) {
                if let Value::Array(bindings) = bindings {
                    rewrite_bindings(bindings, &node.ip);
                }
            }
            edits.replace(range_in(body, raw.get()), bytes(&ports));
        }
    }
    Ok(edits.apply(body))
}
