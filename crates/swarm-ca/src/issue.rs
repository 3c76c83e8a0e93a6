//! Issuing node certificates, in Docker's form.
//!
//! `CN` = node, `OU` = role, `O` = cluster; the same names as DNS names; for servers and clients. Of
//! a request only the key counts.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;

use crate::identity::Subject;
use crate::pair::Pair;
use crate::pem;
use crate::request::{RequestError, requested_key};
use crate::root::{BACKDATE, LIFE, RootCa, RootError};

/// Why no certificate was issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The root's time is over.
    #[error("the root certificate has expired: no certificate can be issued; rotate the root")]
    Expired,
    /// Shorter than an hour.
    #[error("minimum certificate expiry time is: 1h0m0s")]
    TooShort,
    /// The library refuses.
    #[error("no certificate can be issued: {0}")]
    Making(#[from] rcgen::Error),
}

/// How long certificates are good (`--cert-expiry`): at least an hour, by default 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(Duration);

impl Expiry {
    /// The shortest there is.
    pub const SHORTEST: Duration = Duration::from_hours(1);
    /// The longest: as long as a new root lasts. A longer one would only be cut off.
    const LONGEST: Duration = LIFE;

    /// Checked: shorter ones are refused, as Docker does.
    pub fn new(expiry: Duration) -> Result<Self, IssueError> {
        if expiry < Self::SHORTEST {
            return Err(IssueError::TooShort);
        }
        Ok(Self(expiry.min(Self::LONGEST)))
    }
}

impl Default for Expiry {
    fn default() -> Self {
        Self(Duration::from_hours(90 * 24))
    }
}

/// What issues: a root's key, and what goes with each certificate.
#[derive(Debug)]
pub struct Issuer {
    inner: rcgen::Issuer<'static, Pair>,
    dates: (SystemTime, SystemTime),
    between: Vec<CertificateDer<'static>>,
}

impl Issuer {
    /// Issues under one root.
    pub fn new(root: &RootCa) -> Result<Self, IssueError> {
        Ok(Self { inner: root.issuer()?, dates: root.dates()?, between: Vec::new() })
    }

    /// Issues under a new root, and gives its cross-signed certificate along: who trusts either root
    /// accepts the chain.
    pub fn crossed(
        root: &RootCa,
        cross_signed: CertificateDer<'static>,
    ) -> Result<Self, IssueError> {
        Ok(Self { between: vec![cross_signed], ..Self::new(root)? })
    }

    /// What goes along in each chain.
    pub fn between(&self) -> &[CertificateDer<'static>] {
        &self.between
    }

    /// A certificate for the request's key and this subject: a chain in PEM, without the root.
    pub fn issue(
        &self,
        request: &str,
        subject: &Subject,
        expiry: Expiry,
        now: SystemTime,
    ) -> Result<String, IssueError> {
        self.issue_to(request, subject, expiry, (now, now))
    }

    /// As [`Issuer::issue`], for one whose clock shows the second of these, where ours shows the first. The
    /// certificate begins by the earlier one: whichever of both clocks is ahead, it can be used at once
    /// there and wherever the clock is right. How long it lasts is ours to say.
    pub fn issue_to(
        &self,
        request: &str,
        subject: &Subject,
        expiry: Expiry,
        (now, theirs): (SystemTime, SystemTime),
    ) -> Result<String, IssueError> {
        let public = requested_key(request)?;
        // None outlives its root: it would be refused from that day on, and looked good.
        let end = (now + expiry.0).min(self.dates.1);
        if end <= now {
            return Err(IssueError::Expired);
        }
        // Who is behind the root's beginning does not trust that either.
        let begin = now.min(theirs.max(self.dates.0)) - BACKDATE;
        let parameters = parameters(subject, begin, end)?;
        let mut chain = vec![parameters.signed_by(&public, &self.inner)?.der().clone()];
        chain.extend(self.between.iter().cloned());
        Ok(pem::write_certificates(&chain))
    }
}

fn parameters(
    subject: &Subject,
    not_before: SystemTime,
    not_after: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut name = DistinguishedName::new();
    for (kind, text) in [
        (DnType::OrganizationName, subject.cluster_id()),
        (DnType::OrganizationalUnitName, subject.role().unit()),
        (DnType::CommonName, subject.node_id()),
    ] {
        name.push(kind, DnValue::PrintableString(text.try_into()?));
    }
    let mut parameters = CertificateParams::new(subject.names())?;
    parameters.distinguished_name = name;
    parameters.not_before = not_before.into();
    parameters.not_after = not_after.into();
    parameters.is_ca = IsCa::ExplicitNoCa;
    // TLS 1.3 needs the first alone; the second is there because Docker's have it.
    parameters.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}
