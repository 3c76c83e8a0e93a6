//! Signing, by the swarm's own key or by an external authority; and what is read of the kept
//! authority for that.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use swarm_ca::external::DEADLINE;
use swarm_ca::rotation::Signer;
use swarm_ca::tls::{Live, external};
use swarm_ca::{Authority, Digest, Expiry, ExternalCa, Identity, IssueError, Roots, Subject};
use swarm_model::node::Role;
use swarm_model::{Cluster, ClusterSpec, Time};
use swarm_rpc::v1::IssueReply;
use tonic::Status;

use super::moment::{self, written};

/// A certificate, and until when it holds.
pub(super) struct Signed {
    pub chain: String,
    pub ends: Time,
}

/// The authority that the swarm's object keeps.
pub fn kept(cluster: &Cluster) -> Result<Authority, Status> {
    let kept = serde_json::from_value(cluster.authority.clone());
    kept.map_err(|error| damaged(format!("its form is not known here ({error})")))
}

/// The digest of the root by whose key nodes' certificates are to be, in hex: what nodes are told as
/// `Wish.issuer`.
pub fn issuing(cluster: &Cluster) -> Result<Digest, Status> {
    Ok(kept(cluster)?.issuing().map_err(damaged)?.digest())
}

/// An authority that cannot be used: a person has to rotate it.
pub(super) fn damaged(error: impl std::fmt::Display) -> Status {
    Status::failed_precondition(format!(
        "the swarm's certificate authority cannot be used: {error}; rotate it (docker swarm ca \
         --rotate)"
    ))
}

/// How long certificates hold.
pub(super) fn expiry(spec: &ClusterSpec) -> Result<Expiry, IssueError> {
    let nanos = u64::try_from(spec.ca_config.node_cert_expiry).unwrap_or(0);
    Expiry::new(Duration::from_nanos(nanos))
}

/// A role as certificates name it.
pub(super) fn named(role: Role) -> swarm_ca::Role {
    match role {
        Role::Manager => swarm_ca::Role::Manager,
        Role::Worker => swarm_ca::Role::Worker,
    }
}

/// The URLs of external authorities (`Spec.CAConfig.ExternalCAs`) that sign for this root: those that
/// name it as their own (`CACert`). One that names none is the present root's (`pinned`).
pub fn external_urls(
    spec: &ClusterSpec,
    issuing: &Roots,
    pinned: &Roots,
) -> Result<Vec<String>, String> {
    let mut urls = Vec::new();
    for entry in &spec.ca_config.external_cas {
        let text = |name: &str| entry.get(name).and_then(serde_json::Value::as_str).unwrap_or("");
        if !matches!(text("Protocol"), "" | "cfssl") {
            return Err(format!("external CA protocol {} is not known", text("Protocol")));
        }
        let theirs = match text("CACert") {
            "" => pinned.clone(),
            pem => Roots::kept(pem).map_err(|error| format!("CACert: {error}"))?,
        };
        if theirs == *issuing {
            urls.push(text("URL").to_owned());
        }
    }
    Ok(urls)
}

/// Signs a request for this subject, whose clock shows `shown` (0: not told).
pub(super) async fn sign(
    cluster: &Cluster,
    live: &Arc<Live>,
    (request, shown): (&str, i64),
    subject: &Subject,
) -> Result<Signed, Status> {
    let now = SystemTime::now();
    let theirs = if shown == 0 { now } else { moment::read(Time(shown)) };
    let authority = kept(cluster)?;
    let signer = authority.signer(now).map_err(damaged)?;
    let (issuing, pinned) = (authority.issuing(), authority.pinned());
    let (issuing, pinned) = (issuing.map_err(damaged)?, pinned.map_err(damaged)?);
    let urls = external_urls(&cluster.spec, &issuing, &pinned);
    let urls = urls.map_err(Status::failed_precondition)?;
    let chain = match signer {
        Signer::Own(issuer) if urls.is_empty() => {
            let expiry = expiry(&cluster.spec).map_err(unsigned)?;
            issuer.issue_to(request, subject, expiry, (now, theirs)).map_err(unsigned)?
        }
        signer => {
            let between = match &signer {
                Signer::Own(issuer) => issuer.between(),
                Signer::External(between) => between,
            };
            let roots = authority.trusted().map_err(damaged)?;
            let failed = |error: &dyn std::fmt::Display| Status::unavailable(error.to_string());
            let tls = external(live, &roots).map_err(|error| failed(&error))?;
            let outside = ExternalCa::new(&urls, tls, DEADLINE);
            let outside = outside.map_err(|error| {
                Status::failed_precondition(format!("no certificate can be signed: {error}"))
            })?;
            let signing = outside.sign(request, subject, &roots, between, now);
            signing.await.map_err(|error| failed(&error))?
        }
    };
    let own = CertificateDer::from_pem_slice(chain.as_bytes());
    let own = own.map_err(|error| damaged(format!("it made an odd certificate ({error})")))?;
    let identity = Identity::of(&own).map_err(|error| damaged(&error))?;
    Ok(Signed { ends: written(identity.not_after), chain })
}

fn unsigned(error: IssueError) -> Status {
    match error {
        IssueError::Request(error) => Status::invalid_argument(error.to_string()),
        other => damaged(other),
    }
}

/// The answer to a node that got a certificate.
pub(super) fn reply(
    cluster: &Cluster,
    node: &str,
    role: Role,
    signed: Signed,
) -> Result<IssueReply, Status> {
    let roots = kept(cluster)?.trusted().map_err(damaged)?;
    let lock = cluster.unlock_key.as_ref().filter(|_| role == Role::Manager);
    Ok(IssueReply {
        node_id: node.to_owned(),
        cluster_id: cluster.id.to_string(),
        chain: signed.chain,
        roots: roots.to_pem(),
        unlock_key: lock.map(|key| key.reveal().to_owned()).unwrap_or_default(),
        now: swarm_rpc::clock(),
    })
}
