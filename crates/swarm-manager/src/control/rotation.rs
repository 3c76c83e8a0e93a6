//! Rotating the root certificate (`docker swarm ca --rotate`; swarmkit
//! `controlapi/ca_rotation.go`): it begins with a change of the swarm's settings, and ends when all
//! nodes have moved ([`swarm_ca::rotation`]).

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use swarm_backend::Result;
use swarm_ca::rotation::KeptRoot;
use swarm_ca::{Authority, IssuerInfo, NodeTls, RootCa, RootError, Roots, RotationError, Secret};
use swarm_docker::ApiError;
use swarm_model::{Cluster, ClusterSpec, Node};
use tokio_util::sync::CancellationToken;

use super::cluster::{SIGNING, authority, token};
use super::{Control, failed, now};
use crate::replica::Tables;

/// Begins a rotation where the settings ask for one: to the root that they give (whose key an external
/// authority has, where they give none), or, with a higher `ForceRotate`, to a new one.
pub(super) fn begin(cluster: &mut Cluster, asked: &ClusterSpec) -> Result<()> {
    let present = authority(cluster)?;
    let now = SystemTime::now();
    let refused = |error: String| ApiError::invalid(error);
    let force = asked.ca_config.force_rotate;
    let with_key = |root: std::result::Result<RootCa, RootError>| {
        Ok::<_, RotationError>(KeptRoot::with_key(&root?))
    };
    let next = match given(asked) {
        [None, None] if present.is_forced(force) => with_key(RootCa::create(now)),
        [None, None] => return Ok(()),
        [Some(certificate), Some(key)] => {
            with_key(RootCa::load(certificate, &Secret::new(key), now))
        }
        [Some(certificate), None] => {
            let roots = Roots::parse(certificate, now).map_err(RotationError::from);
            roots.and_then(|roots| KeptRoot::external(&roots))
        }
        [None, Some(_)] => {
            return Err(ApiError::invalid(
                "if a signing CA key is provided, the signing CA cert must also be provided",
            ));
        }
    };
    let next = next.map_err(|error| refused(error.to_string()))?;
    let rotated = present.rotate(next, None, force, now);
    cluster.authority = kept(&rotated.map_err(|error| refused(error.to_string()))?)?;
    Ok(())
}

/// The root that the settings give, and its key.
pub(super) fn given(asked: &ClusterSpec) -> [Option<&str>; 2] {
    SIGNING.map(|field| {
        let text = asked.ca_config.rest.get(field).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    })
}

fn kept(authority: &Authority) -> Result<Value> {
    serde_json::to_value(authority)
        .map_err(|_| ApiError::system("the swarm's certificate authority cannot be written"))
}

impl Control {
    /// Ends rotations when all nodes have moved, where this manager leads; until it is told to
    /// stop.
    pub async fn follow_rotations(self: Arc<Self>, stop: CancellationToken) {
        let feed = self.replica.feed();
        let mut leadership = self.replica.store().leadership();
        loop {
            let leads = leadership.borrow_and_update().leads;
            if leads && let Err(error) = self.end_rotation().await {
                tracing::warn!(%error, "the rotation of the root certificate is not ended");
            }
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = leadership.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    touched = feed.changed() => {
                        if touched.whole || touched.cluster || !touched.nodes.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Ends the rotation, if there is one and all nodes have moved: the new root is the only one,
    /// and join tokens pin it.
    pub async fn end_rotation(&self) -> Result<bool> {
        if self.replica.read(ended).is_none() {
            return Ok(false);
        }
        self.write(|tables, batch| {
            let (Some(cluster), Some(authority)) = (&tables.cluster, ended(tables)) else {
                return Ok(false);
            };
            let mut cluster = Cluster::clone(cluster);
            cluster.authority = kept(&authority)?;
            cluster.join_tokens.worker = token(&cluster)?;
            cluster.join_tokens.manager = token(&cluster)?;
            cluster.updated_at = now(tables);
            batch.put(&cluster).map_err(failed)?;
            Ok(true)
        })
        .await
    }
}

/// The authority after the rotation; `None` while there is none, or somebody has not moved.
fn ended(tables: &Tables) -> Option<Authority> {
    let authority = authority(tables.cluster.as_ref()?).ok()?;
    if !authority.is_rotating() {
        return None;
    }
    let nodes: Vec<_> = tables.nodes.values().map(|node| tls(node)).collect();
    authority.finish(&nodes).ok()
}

/// What a node told of its TLS (`Description.TLSInfo`).
fn tls(node: &Node) -> NodeTls {
    let info = node.description.rest.get("TLSInfo");
    let text = |field: &str| info?.get(field)?.as_str();
    let bytes = |field: &str| STANDARD.decode(text(field)?).ok();
    let issuer = || {
        let (subject, public_key) = (bytes("CertIssuerSubject")?, bytes("CertIssuerPublicKey")?);
        Some(IssuerInfo { subject, public_key })
    };
    let trusts = text("TrustRoot").and_then(|roots| Roots::kept(roots).ok());
    NodeTls { node_id: node.id.to_string(), issuer: issuer(), trusts }
}
