//! `GET /swarm` and `POST /swarm/update` (API v1.24; swarmkit `controlapi/cluster.go`). Beginning,
//! joining and leaving a swarm are the node's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use swarm_backend::{Exchange, Reply, Result};
use swarm_ca::{Authority, IssuerInfo, JoinToken};
use swarm_docker::ApiError;
use swarm_model::node::Role;
use swarm_model::{Cluster, ClusterSpec, Secret};

use super::answer::{body, done, flag, parse, version};
use super::refuse::not_yet;
use super::{Control, external, failed, now, out_of_sequence, rotation, unlock};

/// The shortest life of a certificate, in nanoseconds (an hour).
const SHORTEST: i64 = 3600 * 1_000_000_000;

/// The longest election, in ticks: half a minute. Whoever sets more means another unit.
const MOST_TICKS: i64 = 1000;

/// The longest time between two heartbeats, in ticks: ten seconds. An election is three of them at least.
const MOST_BEATS: i64 = 100;

/// What is only ever written.
pub(super) const SIGNING: [&str; 2] = ["SigningCACert", "SigningCAKey"];

impl Control {
    /// `GET /swarm`.
    pub async fn inspect_swarm(&self) -> Result<Reply> {
        let cluster = self.look(|tables| tables.cluster.clone()).await.ok_or_else(no_swarm)?;
        let mut shown = show(&cluster)?;
        shown.insert("JoinTokens".to_owned(), json!(cluster.join_tokens));
        Reply::ok(&shown)
    }

    /// `POST /swarm/update`.
    pub async fn update_swarm(&self, mut exchange: Exchange) -> Result<Reply> {
        let spec: ClusterSpec = parse(&body(&mut exchange).await?)?;
        let version = version(&exchange, "swarm")?;
        let worker = flag(&exchange, "rotateWorkerToken")?;
        let manager = flag(&exchange, "rotateManagerToken")?;
        let unlock = flag(&exchange, "rotateManagerUnlockKey")?;
        self.authorities_answer(&spec).await?;
        let next = self.next_root(&spec, version).await?;
        self.write(|tables, batch| {
            let old = tables.cluster.as_ref().ok_or_else(no_swarm)?;
            let mut cluster = Cluster::clone(old);
            cluster.spec = changed(&old.spec, &spec)?;
            if old.version.index != version {
                return Err(out_of_sequence());
            }
            cluster.unlock_key = unlock::next(old, &cluster.spec, unlock)?;
            if let Some(next) = &next {
                rotation::begin(&mut cluster, next)?;
            }
            if worker {
                cluster.join_tokens.worker = token(old)?;
            }
            if manager {
                cluster.join_tokens.manager = token(old)?;
            }
            cluster.updated_at = now(tables);
            batch.put(&cluster).map_err(failed)
        })
        .await?;
        Ok(done())
    }
}

/// Checks the settings of a swarm that begins, and fills in what they leave out.
pub fn check_settings(spec: &ClusterSpec) -> Result<ClusterSpec> {
    changed(&ClusterSpec::default(), spec)
}

/// What `docker info` tells of the swarm.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many nodes it has.
    pub nodes: usize,
    /// How many of them are managers.
    pub managers: usize,
    /// Itself, without its tokens.
    pub cluster: Option<Value>,
    /// The names of silent nodes that the root's rotation waits for.
    pub awaited: Vec<String>,
}

impl Control {
    /// What `docker info` tells, from this manager's own copy.
    pub fn summary(&self) -> Summary {
        let (nodes, managers, cluster) = self.replica.read(|tables| {
            let managers = tables.nodes.values().filter(|node| node.spec.role == Role::Manager);
            (tables.nodes.len(), managers.count(), tables.cluster.clone())
        });
        let awaited = self.replica.read(rotation::awaited);
        let cluster = cluster.and_then(|cluster| show(&cluster).ok());
        Summary { nodes, managers, cluster: cluster.map(Value::Object), awaited }
    }
}

/// A swarm without its tokens.
fn show(cluster: &Cluster) -> Result<Map<String, Value>> {
    let authority = authority(cluster)?;
    let mut spec = cluster.spec.clone();
    for field in SIGNING {
        spec.ca_config.rest.remove(field);
    }
    let shown = json!({
        "ID": cluster.id,
        "Version": cluster.version,
        "CreatedAt": cluster.created_at,
        "UpdatedAt": cluster.updated_at,
        "Spec": spec,
        "TLSInfo": tls_info(&authority)?,
        "RootRotationInProgress": authority.is_rotating(),
        "DefaultAddrPool": cluster.default_addr_pool,
        "SubnetSize": cluster.subnet_size,
        "DataPathPort": cluster.data_path_port,
    });
    match shown {
        Value::Object(shown) => Ok(shown),
        _ => Err(ApiError::system("the swarm cannot be shown")),
    }
}

pub(super) fn no_swarm() -> ApiError {
    ApiError::unavailable(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
         connect this node to swarm and try again.",
    )
}

/// The new spec. Numbers that are 0 stay as they are, as in Docker.
fn changed(old: &ClusterSpec, asked: &ClusterSpec) -> Result<ClusterSpec> {
    let refuse = |words: &str| Err(ApiError::invalid(words));
    let mut new = asked.clone();
    if new.name != old.name {
        return refuse("modification of cluster name is not allowed");
    }
    let (before, after) = (&old.ca_config, &mut new.ca_config);
    for field in SIGNING {
        after.rest.remove(field);
    }
    if after.external_cas != before.external_cas {
        external::check(&after.external_cas)?;
    }
    keep(&mut after.node_cert_expiry, before.node_cert_expiry);
    if after.node_cert_expiry < SHORTEST {
        return refuse("minimum certificate expiry time is: 1h0m0s");
    }
    keep(&mut new.dispatcher.heartbeat_period, old.dispatcher.heartbeat_period);
    if new.dispatcher.heartbeat_period < 0 {
        return refuse("heartbeat time period cannot be a negative duration");
    }
    let (raft, was) = (&mut new.raft, &old.raft);
    keep(&mut raft.snapshot_interval, was.snapshot_interval);
    keep(&mut raft.log_entries_for_slow_followers, was.log_entries_for_slow_followers);
    keep(&mut raft.election_tick, was.election_tick);
    keep(&mut raft.heartbeat_tick, was.heartbeat_tick);
    raft.keep_old_snapshots = raft.keep_old_snapshots.or(was.keep_old_snapshots);
    // The words of Docker's library.
    if raft.heartbeat_tick < 1 {
        return refuse("heartbeat tick must be greater than 0");
    }
    if raft.election_tick <= raft.heartbeat_tick {
        return refuse("election tick must be greater than heartbeat tick");
    }
    if raft.election_tick > MOST_TICKS {
        return refuse("election tick must be at most 1000");
    }
    if raft.heartbeat_tick > MOST_BEATS {
        return refuse("heartbeat tick must be at most 100");
    }
    if new.task_defaults != old.task_defaults {
        return not_yet("a log driver for all tasks is not there yet; give each service its own");
    }
    Ok(new)
}

fn keep<T: Default + PartialEq + Copy>(new: &mut T, old: T) {
    if *new == T::default() {
        *new = old;
    }
}

pub(super) fn authority(cluster: &Cluster) -> Result<Authority> {
    serde_json::from_value(cluster.authority.clone())
        .map_err(|_| ApiError::system("the swarm's certificate authority cannot be read"))
}

/// The root, and by whom nodes' certificates are issued.
fn tls_info(authority: &Authority) -> Result<Value> {
    let failed = |error: swarm_ca::RotationError| ApiError::system(error.to_string());
    let roots = authority.pinned().map_err(failed)?;
    let issuing = authority.issuing().map_err(failed)?;
    let issuer = issuing.certificates().first().and_then(IssuerInfo::of);
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| STANDARD.encode(bytes));
    Ok(json!({
        "TrustRoot": roots.to_pem(),
        "CertIssuerSubject": text(issuer.as_ref().map(|issuer| &issuer.subject)),
        "CertIssuerPublicKey": text(issuer.as_ref().map(|issuer| &issuer.public_key)),
    }))
}

pub(super) fn token(cluster: &Cluster) -> Result<Secret> {
    let roots = authority(cluster)?.pinned();
    let roots = roots.map_err(|error| ApiError::system(error.to_string()))?;
    let token = JoinToken::generate(roots.digest());
    Ok(token.map_err(|error| ApiError::system(error.to_string()))?.to_text())
}
