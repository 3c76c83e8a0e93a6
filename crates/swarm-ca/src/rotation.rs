//! Root rotation, pure: which roots are trusted, what issues, who has not moved yet, when it is done.
//!
//! As swarmkit does it (`api.RootCA` with its `RootRotation`; `manager/controlapi/ca_rotation.go`):
//! the new root's key is cross-signed by the present root, new certificates are issued by the new key
//! with the cross-signed certificate beside them, and so everybody accepts them, whichever root he
//! trusts. When every node shows a certificate by the new key and trusts the new root, the old one
//! goes. It is always the present root that cross-signs, also when a rotation is replaced by another.
//!
//! It leaves to the caller: keeping this (the key is in it: sealed), telling nodes of roots and of
//! renewal, new join tokens at the end (tokens pin the present root until then).

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use swarm_model::Secret;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::issue::{IssueError, Issuer};
use crate::pem;
use crate::root::{RootCa, RootError};
use crate::roots::{Roots, RootsError};

/// A new root lasts this long at least (swarmkit `ca_rotation.go`: `minRootExpiration`).
const SHORTEST: Duration = Duration::from_hours(365 * 24);

/// Why the root is not rotated, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// A root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// What issues.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// An external authority has the present root's key.
    #[error(
        "the present root's key is not in the cluster: its owner must cross-sign the new root, and \
         the cross-signed certificate must be given"
    )]
    NoKey,
    /// Less than a year is left of it.
    #[error("CA certificate expires too soon: a new root has to last a year at least")]
    TooSoon,
    /// Not what was asked for.
    #[error(
        "the cross-signed certificate is not the new root's key and name, signed by the present root"
    )]
    NotCrossSigned,
    /// Nothing to finish.
    #[error("no root rotation is under way")]
    NotRotating,
    /// Somebody still needs the old root.
    #[error("the root rotation is not done: {} of the nodes have not moved yet", .0.len())]
    Unfinished(Vec<String>),
}

impl From<RootsError> for RotationError {
    fn from(error: RootsError) -> Self {
        Self::Root(error.into())
    }
}

/// A root as it is kept: without its key, if an external authority has that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRoot {
    certificate: String,
    key: Option<Secret>,
}

impl KeptRoot {
    /// A root with its key.
    pub fn with_key(root: &RootCa) -> Self {
        Self { certificate: root.certificate_pem(), key: Some(root.key().clone()) }
    }

    /// One root whose key is elsewhere.
    pub fn external(roots: &Roots) -> Result<Self, RotationError> {
        match roots.certificates() {
            [_] => Ok(Self { certificate: roots.to_pem(), key: None }),
            several => Err(RootError::Several(several.len()).into()),
        }
    }

    fn roots(&self) -> Result<Roots, RotationError> {
        Ok(Roots::kept(&self.certificate)?)
    }

    /// With its key; `None` where that is elsewhere.
    pub fn loaded(&self, now: SystemTime) -> Result<Option<RootCa>, RotationError> {
        let load = |key| RootCa::kept(&self.certificate, key, now);
        Ok(self.key.as_ref().map(load).transpose()?)
    }
}

/// A rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rotation {
    next: KeptRoot,
    /// The new root's key, signed by the present root, in PEM.
    cross_signed: String,
}

/// The cluster's authority, as it is kept in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    root: KeptRoot,
    rotation: Option<Rotation>,
    /// Docker's `ForceRotate` (`CAConfig`, API 1.30): a higher number asks for a rotation.
    last_forced: u64,
}

/// Who issues certificates at present.
#[derive(Debug)]
pub enum Signer {
    /// We do.
    Own(Box<Issuer>),
    /// An external authority; with what has to go along in each chain.
    External(Vec<CertificateDer<'static>>),
}

/// By whom a certificate was issued: what Docker shows as a node's `TLSInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IssuerInfo {
    /// DER of the issuer's subject.
    pub subject: Vec<u8>,
    /// DER of the issuer's public key.
    pub public_key: Vec<u8>,
}

impl IssuerInfo {
    /// The issuer whom this certificate is.
    pub fn of(issuer: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(issuer).ok()?;
        Some(Self {
            subject: read.subject().as_raw().to_vec(),
            public_key: read.public_key().raw.to_vec(),
        })
    }

    /// The issuer of a chain's first certificate: of the rest and the roots, the one that signed it.
    pub fn of_chain(chain: &[CertificateDer<'_>], roots: &Roots) -> Option<Self> {
        let (own, between) = chain.split_first()?;
        let (_, own) = X509Certificate::from_der(own).ok()?;
        between.iter().chain(roots.certificates()).find_map(|candidate| {
            let (_, read) = X509Certificate::from_der(candidate).ok()?;
            let named = read.subject().as_raw() == own.issuer().as_raw();
            let signed = named && own.verify_signature(Some(read.public_key())).is_ok();
            signed.then(|| Self::of(candidate)).flatten()
        })
    }
}

/// What a node told of its TLS last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTls {
    /// The node.
    pub node_id: String,
    /// Who issued its certificate; `None`: it told nothing yet.
    pub issuer: Option<IssuerInfo>,
    /// What it trusts; `None`: it told nothing yet.
    pub trusts: Option<Roots>,
}

impl Authority {
    /// An authority with one root.
    pub fn new(root: KeptRoot) -> Self {
        Self { root, rotation: None, last_forced: 0 }
    }

    /// Is a rotation under way?
    pub fn is_rotating(&self) -> bool {
        self.rotation.is_some()
    }

    /// Has the swarm the present root's key? Else an external authority has it.
    pub fn has_key(&self) -> bool {
        self.root.key.is_some()
    }

    /// Has it the key of the root that is rotated to?
    pub fn next_has_key(&self) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| rotation.next.key.is_some())
    }

    /// Does this `ForceRotate` ask for a rotation?
    pub fn is_forced(&self, force_rotate: u64) -> bool {
        force_rotate > self.last_forced
    }

    /// The root that join tokens pin: the present one, until a rotation is done.
    pub fn pinned(&self) -> Result<Roots, RotationError> {
        self.root.roots()
    }

    /// The roots that everybody trusts: the present one, and the new one beside it.
    pub fn trusted(&self) -> Result<Roots, RotationError> {
        let roots = self.root.roots()?;
        match &self.rotation {
            Some(rotation) => Ok(roots.with(&rotation.next.roots()?)),
            None => Ok(roots),
        }
    }

    /// The root by whose key nodes' certificates should be: the new one from a rotation's first moment
    /// on.
    pub fn issuing(&self) -> Result<Roots, RotationError> {
        self.rotation.as_ref().map_or(&self.root, |rotation| &rotation.next).roots()
    }

    /// What issues: the new root's key from the rotation's first moment on.
    pub fn signer(&self, now: SystemTime) -> Result<Signer, RotationError> {
        let Some(rotation) = &self.rotation else {
            return Ok(match self.root.loaded(now)? {
                Some(root) => Signer::Own(Box::new(Issuer::new(&root)?)),
                None => Signer::External(Vec::new()),
            });
        };
        let cross = cross_signed(&rotation.cross_signed)?;
        Ok(match rotation.next.loaded(now)? {
            Some(next) => Signer::Own(Box::new(Issuer::crossed(&next, cross)?)),
            None => Signer::External(vec![cross]),
        })
    }

    /// Begins a rotation to `next`, or replaces the one that is under way. To the present root: the
    /// rotation ends, and new certificates are issued by it again. To the one that is being rotated
    /// to already: the rotation goes on, with the key as it is given now.
    ///
    /// `given` is a certificate that the present root's owner cross-signed, where that is not us.
    pub fn rotate(
        &self,
        next: KeptRoot,
        given: Option<&str>,
        force_rotate: u64,
        now: SystemTime,
    ) -> Result<Self, RotationError> {
        let last_forced = self.last_forced.max(force_rotate);
        let theirs = Roots::parse(&next.certificate, now)?;
        next.loaded(now)?;
        if Roots::parse(&next.certificate, now + SHORTEST).is_err() {
            return Err(RotationError::TooSoon);
        }
        if theirs == self.root.roots()? {
            return Ok(Self { root: next, rotation: None, last_forced });
        }
        if let Some(rotation) = &self.rotation
            && rotation.next.roots()? == theirs
        {
            let rotation = Rotation { next, cross_signed: rotation.cross_signed.clone() };
            return Ok(Self { root: self.root.clone(), rotation: Some(rotation), last_forced });
        }
        let crossed = match (self.root.loaded(now)?, given) {
            (Some(root), None) => pem::write(pem::CERTIFICATE, &root.cross_sign(&theirs, now)?),
            (_, Some(given)) => given.to_owned(),
            (None, None) => return Err(RotationError::NoKey),
        };
        if !is_cross_signed(&cross_signed(&crossed)?, &theirs, &self.root.roots()?) {
            return Err(RotationError::NotCrossSigned);
        }
        let rotation = Rotation { next, cross_signed: crossed };
        Ok(Self { root: self.root.clone(), rotation: Some(rotation), last_forced })
    }

    /// Whether a rotation to `next` needs a certificate that the present root's owner cross-signed: the
    /// swarm has not the key for that.
    pub fn needs_crossing(&self, next: &KeptRoot) -> Result<bool, RotationError> {
        let theirs = next.roots()?;
        let under_way = match &self.rotation {
            Some(rotation) => rotation.next.roots()? == theirs,
            None => false,
        };
        Ok(!self.has_key() && theirs != self.root.roots()? && !under_way)
    }

    /// The nodes that have not moved, in their order: their certificate is not by the new key, they
    /// do not trust the new root, or they told nothing. Empty when nothing is rotated.
    pub fn waiting(&self, nodes: &[NodeTls]) -> Result<Vec<String>, RotationError> {
        let Some(rotation) = &self.rotation else { return Ok(Vec::new()) };
        let next = rotation.next.roots()?;
        let wanted = next.certificates().first().and_then(IssuerInfo::of);
        let has_moved = |node: &NodeTls| {
            let trusts = node.trusts.as_ref();
            let trusts =
                trusts.is_some_and(|own| next.certificates().iter().all(|c| own.contains(c)));
            trusts && node.issuer.is_some() && node.issuer == wanted
        };
        Ok(nodes.iter().filter(|node| !has_moved(node)).map(|node| node.node_id.clone()).collect())
    }

    /// Ends the rotation, if all of these nodes have moved: the new root is the only one. The caller
    /// makes new join tokens.
    pub fn finish(&self, nodes: &[NodeTls]) -> Result<Self, RotationError> {
        let rotation = self.rotation.as_ref().ok_or(RotationError::NotRotating)?;
        let waiting = self.waiting(nodes)?;
        if !waiting.is_empty() {
            return Err(RotationError::Unfinished(waiting));
        }
        Ok(Self { root: rotation.next.clone(), rotation: None, last_forced: self.last_forced })
    }
}

/// Whether a certificate is the one root of `next` again, as an authority, signed by `present`.
pub(crate) fn is_cross_signed(cross: &CertificateDer<'_>, next: &Roots, present: &Roots) -> bool {
    let same = next.certificates().first().map(IssuerInfo::of) == Some(IssuerInfo::of(cross));
    let authority = X509Certificate::from_der(cross).is_ok_and(|(_, read)| read.is_ca());
    let by = IssuerInfo::of_chain(std::slice::from_ref(cross), present);
    let ours = present.certificates().first().and_then(IssuerInfo::of);
    same && authority && by.is_some() && by == ours
}

fn cross_signed(text: &str) -> Result<CertificateDer<'static>, RotationError> {
    let mut read = pem::read_certificates(text).map_err(|_| RotationError::NotCrossSigned)?;
    match (read.pop(), read.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(RotationError::NotCrossSigned),
    }
}
