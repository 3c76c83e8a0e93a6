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
use swarm_model::node::NodeState;
use swarm_model::{Cluster, ClusterSpec, Node};
use tokio_util::sync::CancellationToken;

use super::cluster::{SIGNING, authority, no_swarm, token};
use super::{Control, failed, now};
use crate::replica::Tables;

/// What is rotated to.
#[derive(Debug)]
pub(super) struct Next {
    root: KeptRoot,
    /// Its certificate as the present root's owner cross-signed it, where that is not the swarm.
    crossed: Option<String>,
}

/// Begins the rotation to `next`.
pub(super) fn begin(cluster: &mut Cluster, next: &Next) -> Result<()> {
    let present = authority(cluster)?;
    let refused = |error: RotationError| ApiError::invalid(error.to_string());
    let pinned = present.pinned().map_err(refused)?;
    let force = cluster.spec.ca_config.force_rotate;
    let rotated =
        present.rotate(next.root.clone(), next.crossed.as_deref(), force, SystemTime::now());
    cluster.authority = kept(&rotated.map_err(refused)?)?;
    // Who signs for the present root does so when it is the present one no more.
    for entry in &mut cluster.spec.ca_config.external_cas {
        let names_none = entry.get("CACert").and_then(Value::as_str).is_none_or(str::is_empty);
        if let Value::Object(entry) = entry
            && names_none
        {
            entry.insert("CACert".to_owned(), pinned.to_pem().into());
        }
    }
    Ok(())
}

/// The root that the settings ask for: the one that they give (whose key an external authority has,
/// where they give none), or, with a higher `ForceRotate`, a new one.
fn asked_for(present: &Authority, asked: &ClusterSpec) -> Result<Option<KeptRoot>> {
    let now = SystemTime::now();
    let with_key = |root: std::result::Result<RootCa, RootError>| {
        Ok::<_, RotationError>(KeptRoot::with_key(&root?))
    };
    let next = match given(asked) {
        [None, None] if present.is_forced(asked.ca_config.force_rotate) => {
            with_key(RootCa::create(now))
        }
        [None, None] => return Ok(None),
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
    next.map(Some).map_err(|error| ApiError::invalid(error.to_string()))
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
    /// What the settings have the root rotated to; where an external authority has the present root's
    /// key, with the certificate that it cross-signed. Nobody is asked for settings that are out of
    /// date: `version` is the one that they are a change of.
    pub(super) async fn next_root(
        &self,
        asked: &ClusterSpec,
        version: u64,
    ) -> Result<Option<Next>> {
        let cluster = self.look(|tables| tables.cluster.clone()).await.ok_or_else(no_swarm)?;
        if cluster.version.index != version {
            return Ok(None);
        }
        let present = authority(&cluster)?;
        let Some(root) = asked_for(&present, asked)? else { return Ok(None) };
        let refused = |error: RotationError| ApiError::invalid(error.to_string());
        if !present.needs_crossing(&root).map_err(refused)? {
            return Ok(Some(Next { root, crossed: None }));
        }
        let now = SystemTime::now();
        // Docker's words: whoever holds the new key has to ask, and that is the other authority.
        let next = root.loaded(now).map_err(refused)?.ok_or_else(|| {
            ApiError::invalid(
                "rotating from one external CA to a different external CA is not supported: rotate to \
                 a root of the swarm's own first (docker swarm ca --rotate)",
            )
        })?;
        let crossed = self.crossed(asked, &present.pinned().map_err(refused)?, &next).await?;
        Ok(Some(Next { root, crossed: Some(crossed) }))
    }

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

/// The silent nodes that have not moved, by name: the rotation waits until they are back or removed.
pub(super) fn awaited(tables: &Tables) -> Vec<String> {
    let authority = tables.cluster.as_ref().and_then(|cluster| authority(cluster).ok());
    let Some(authority) = authority.filter(Authority::is_rotating) else { return Vec::new() };
    let is_silent =
        |node: &&Arc<Node>| matches!(node.status.state, NodeState::Down | NodeState::Disconnected);
    let silent = tables.nodes.values().filter(is_silent);
    // One that was told of as moved and is down now is not waited for.
    let waits =
        |node: &Node| authority.waiting(&[tls(node)]).is_ok_and(|waiting| !waiting.is_empty());
    silent.filter(|node| waits(node)).map(|node| node.name().to_owned()).collect()
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
