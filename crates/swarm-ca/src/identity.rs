//! Who a certificate is of: read from its subject, `CN` = the node's id, `OU` = its role, `O` = the
//! cluster's id, as Docker writes them.
//!
//! Only reads. That the certificate was issued by a trusted root is for `tls` to say first: without
//! that, an identity is what anybody may have written.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

/// The root's common name, and the name under which managers serve as the authority.
pub(crate) const AUTHORITY: &str = "swarm-ca";

/// What a node may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Holds the store, and may call everything.
    Manager,
    /// Runs tasks.
    Worker,
}

impl Role {
    /// As a certificate says it, in `OU` and among its names.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Manager => "swarm-manager",
            Self::Worker => "swarm-worker",
        }
    }

    fn of_unit(unit: &str) -> Option<Self> {
        [Self::Manager, Self::Worker].into_iter().find(|role| role.unit() == unit)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manager => "manager",
            Self::Worker => "worker",
        })
    }
}

/// Why a certificate names no node. The texts stand in the middle of sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No X.509.
    #[error("it cannot be read as a certificate")]
    Unreadable,
    /// The field is there no time, or more than once, or is no text.
    #[error("its subject has not exactly one {0}")]
    Field(&'static str),
    /// Not 25 letters of base 36.
    #[error("its {0} is no id (25 letters of base 36)")]
    Id(&'static str),
    /// Another unit than the two.
    #[error("its OU is neither swarm-manager nor swarm-worker")]
    Role,
    /// A date before 1970, or the end before the begin.
    #[error("its dates make no sense")]
    Dates,
}

/// Whom a certificate is for: what an issuer is told to write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    node_id: String,
    role: Role,
    cluster_id: String,
}

impl Subject {
    /// Both ids are 25 letters of base 36.
    pub fn new(node_id: &str, role: Role, cluster_id: &str) -> Result<Self, IdentityError> {
        for (id, field) in [(node_id, "CN"), (cluster_id, "O")] {
            if !swarm_model::Id::is_id(id) {
                return Err(IdentityError::Id(field));
            }
        }
        Ok(Self { node_id: node_id.to_owned(), role, cluster_id: cluster_id.to_owned() })
    }

    /// The node's id.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The names beside the subject, in Docker's order: role, node, and for managers the authority,
    /// by which name Docker's nodes ask for certificates.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![self.role.unit().to_owned(), self.node_id.clone()];
        if self.role == Role::Manager {
            names.push(AUTHORITY.to_owned());
        }
        names
    }
}

/// Who a certificate is of, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Node, role and cluster.
    pub subject: Subject,
    /// From when on it is good; an hour before it was issued.
    pub not_before: SystemTime,
    /// Its end.
    pub not_after: SystemTime,
}

impl Identity {
    /// Reads a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (rest, read) =
            X509Certificate::from_der(certificate).map_err(|_| IdentityError::Unreadable)?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable);
        }
        let subject = read.subject();
        let node_id = only(subject.iter_common_name(), "CN")?;
        let unit = only(subject.iter_organizational_unit(), "OU")?;
        let cluster_id = only(subject.iter_organization(), "O")?;
        let role = Role::of_unit(unit).ok_or(IdentityError::Role)?;
        let (not_before, not_after) = dates(&read)?;
        Ok(Self { subject: Subject::new(node_id, role, cluster_id)?, not_before, not_after })
    }

    /// Has it ended?
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now > self.not_after
    }
}

fn only<'a>(
    mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
    field: &'static str,
) -> Result<&'a str, IdentityError> {
    match (values.next(), values.next()) {
        (Some(value), None) => value.as_str().map_err(|_| IdentityError::Field(field)),
        _ => Err(IdentityError::Field(field)),
    }
}

/// From when until when a certificate is good.
pub(crate) fn dates(
    certificate: &X509Certificate<'_>,
) -> Result<(SystemTime, SystemTime), IdentityError> {
    let time = |time: ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    };
    let validity = certificate.validity();
    match (time(validity.not_before), time(validity.not_after)) {
        (Some(begin), Some(end)) if begin < end => Ok((begin, end)),
        _ => Err(IdentityError::Dates),
    }
}
