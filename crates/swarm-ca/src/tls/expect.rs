//! What the other side of a connection has to be, and why it was refused.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::CertificateDer;

use crate::identity::{Identity, IdentityError, Role};
use crate::tls::admission::Admission;

/// What the other side has to be. Which address it has does not matter: a node is known by its
/// certificate.
#[derive(Debug, Clone)]
pub struct Expect {
    cluster_id: Option<String>,
    roles: Vec<Role>,
    node_id: Option<String>,
    admissions: Vec<Arc<dyn Admission>>,
}

impl Expect {
    /// A node of this cluster with one of these roles, whom `admission` lets in.
    pub fn new(cluster_id: &str, roles: &[Role], admission: Arc<dyn Admission>) -> Self {
        Self {
            cluster_id: Some(cluster_id.to_owned()),
            roles: roles.to_vec(),
            node_id: None,
            admissions: vec![admission],
        }
    }

    /// A manager of whatever cluster the roots are of: for one who joins and knows no more than the
    /// root that his token pinned.
    pub fn manager_of_root() -> Self {
        Self { cluster_id: None, roles: vec![Role::Manager], node_id: None, admissions: Vec::new() }
    }

    /// And it has to be this very node.
    #[must_use]
    pub fn node(self, node_id: &str) -> Self {
        Self { node_id: Some(node_id.to_owned()), ..self }
    }

    /// And these let it in, too.
    #[must_use]
    pub(crate) fn and(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admissions.push(admission);
        self
    }

    /// Checks a certificate whose chain was found good.
    pub(crate) fn check(
        &self,
        certificate: &CertificateDer<'_>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let identity = Identity::of(certificate)?;
        let subject = &identity.subject;
        if self.cluster_id.as_deref().is_some_and(|own| own != subject.cluster_id()) {
            return Err(Refusal::Cluster(subject.cluster_id().to_owned()));
        }
        if !self.roles.contains(&subject.role()) {
            return Err(Refusal::Role(subject.role()));
        }
        if self.node_id.as_deref().is_some_and(|node| node != subject.node_id()) {
            return Err(Refusal::Node(subject.node_id().to_owned()));
        }
        let admitted = self.admissions.iter().try_for_each(|one| one.admit(&identity, now));
        admitted.map_err(Refusal::Admission)?;
        Ok(identity)
    }
}

/// Why a certificate of the right root was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It names no node.
    #[error("the certificate names no node: {0}")]
    Identity(#[from] IdentityError),
    /// Another cluster under the same root.
    #[error("the certificate is of another cluster ({0})")]
    Cluster(String),
    /// It may not do this.
    #[error("the certificate is a {0}'s, which is not enough here")]
    Role(Role),
    /// Another node answers at this address.
    #[error("the certificate is of another node ({0})")]
    Node(String),
    /// Not let in.
    #[error("{0}")]
    Admission(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

/// The reason in an error of rustls, if it was we who refused.
pub fn refusal(error: &Error) -> Option<&Refusal> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => {
            reason.downcast_ref()
        }
        _ => None,
    }
}
