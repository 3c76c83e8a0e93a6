//! What the swarm wants of a node beside its tasks. Pure.

use std::time::Duration;

use bytes::Bytes;
use swarm_ca::Authority;
use swarm_model::Cluster;
use swarm_rpc::v1::Wish;

use crate::replica::{Member, Tables};

/// Docker's heartbeat period is in nanoseconds and can be anything.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);
const LONGEST_PERIOD: Duration = Duration::from_hours(1);

/// What all nodes are told alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Common {
    managers: Vec<String>,
    roots: String,
    issuer: String,
    /// In seconds.
    certificate_life: u64,
}

impl Common {
    /// As the swarm is now.
    pub fn new(cluster: Option<&Cluster>, members: &[Member]) -> Self {
        let mut managers: Vec<String> =
            members.iter().map(|member| member.address.clone()).collect();
        managers.sort();
        let mut common = Self { managers, ..Self::default() };
        if let Some(cluster) = cluster {
            let nanos = u64::try_from(cluster.spec.ca_config.node_cert_expiry).unwrap_or(0);
            common.certificate_life = Duration::from_nanos(nanos).as_secs();
        }
        let Some(cluster) = cluster.filter(|cluster| !cluster.authority.is_null()) else {
            return common;
        };
        let authority: Result<Authority, _> = serde_json::from_value(cluster.authority.clone());
        let read = authority.map_err(|error| error.to_string()).and_then(|authority| {
            let roots = authority.trusted().map_err(|error| error.to_string())?;
            let issuing = authority.issuing().map_err(|error| error.to_string())?;
            Ok((roots.to_pem(), issuing.digest()))
        });
        match read {
            Ok((roots, digest)) => {
                common.roots = roots;
                common.issuer = digest.to_string();
            }
            Err(error) => tracing::error!(error, "the swarm's authority cannot be read"),
        }
        common
    }

    /// For one node. `None`: the node is not known.
    pub fn wish(&self, tables: &Tables, node: &str) -> Option<Wish> {
        let node = tables.nodes.get(node)?;
        let spec = &node.spec;
        Some(Wish {
            role: node.certified_role().as_str().to_owned(),
            availability: spec.availability.as_str().to_owned(),
            managers: self.managers.clone(),
            roots: self.roots.clone(),
            issuer: self.issuer.clone(),
            certificate_life: self.certificate_life,
            spec: serde_json::to_vec(spec).map(Bytes::from).unwrap_or_default(),
        })
    }
}

/// How often nodes are to be heard of.
pub fn period(cluster: Option<&Cluster>) -> Duration {
    let settings = cluster.map(|cluster| cluster.spec.dispatcher.clone()).unwrap_or_default();
    let nanos = u64::try_from(settings.heartbeat_period).unwrap_or(0);
    match nanos {
        0 => Duration::from_secs(1),
        nanos => Duration::from_nanos(nanos).clamp(SHORTEST_PERIOD, LONGEST_PERIOD),
    }
}
