//! The roots somebody trusts: one, or both while the root is being rotated, or the several of a
//! company's own authority. And the digest by which a join token pins them.

use std::fmt;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::identity::dates;
use crate::pem;

/// More roots than any cluster has; each costs time in every handshake.
const MOST: usize = 16;

/// The SHA-256 of roots in PEM.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    fn of(pem: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, pem.as_bytes()).as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

/// In hex.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks(2);
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("a digest is 64 letters of hex");
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).map_err(|_| "a digest is hex")?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| "a digest is hex")?;
        }
        Ok(Self(bytes))
    }
}

/// Why roots are not taken. The texts stand in the middle of sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// No PEM of certificates.
    #[error("the root certificates cannot be read: {0}")]
    Unreadable(String),
    /// More than 16.
    #[error("there are more than {MOST} root certificates")]
    TooMany,
    /// It may not sign certificates.
    #[error("root certificate {0} is not an authority's (basic constraints and key usage say so)")]
    NoAuthority(usize),
    /// An intermediate, or damaged.
    #[error(
        "root certificate {0} is not signed by its own key; give the root, not an intermediate"
    )]
    NotSelfSigned(usize),
    /// Its time has not come, or is over.
    #[error("root certificate {0} is {1}; do both machines' clocks tell the same time?")]
    Dates(usize, &'static str),
    /// The token pins another root.
    #[error("remote CA does not match fingerprint. Expected: {expected:?}, but it shows {shown:?}")]
    OtherCluster {
        /// What the token says.
        expected: Digest,
        /// What came.
        shown: Digest,
    },
}

/// Root certificates, each checked, in their order, without repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Reads and checks roots in PEM.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, RootsError> {
        let certificates = pem::read_certificates(text).map_err(RootsError::Unreadable)?;
        Self::checked(certificates, Some(now))
    }

    /// Reads roots that were checked when they came, and may have ended since: what was trusted stays
    /// so until it is rotated away, or a cluster whose root has ended could not be mended.
    pub fn kept(text: &str) -> Result<Self, RootsError> {
        Self::checked(pem::read_certificates(text).map_err(RootsError::Unreadable)?, None)
    }

    pub(crate) fn checked(
        certificates: Vec<CertificateDer<'static>>,
        now: Option<SystemTime>,
    ) -> Result<Self, RootsError> {
        if certificates.len() > MOST {
            return Err(RootsError::TooMany);
        }
        let mut roots = Self(Vec::with_capacity(certificates.len()));
        for (place, certificate) in (1..).zip(certificates) {
            check(place, &certificate, now)?;
            if !roots.contains(&certificate) {
                roots.0.push(certificate);
            }
        }
        Ok(roots)
    }

    /// Of roots in PEM that a stranger gave, those that a join token pins: all, if the whole text has
    /// the digest, else the one certificate that has it. Others beside that one (as during a rotation)
    /// are not taken on the stranger's word; they come again over a connection that the first one
    /// has proven.
    pub fn pinned(text: &str, expected: Digest, now: SystemTime) -> Result<Self, RootsError> {
        let mut certificates = pem::read_certificates(text).map_err(RootsError::Unreadable)?;
        let shown = Digest::of(&pem::write_certificates(&certificates));
        if shown != expected {
            certificates.retain(|one| Digest::of(&pem::write(pem::CERTIFICATE, one)) == expected);
        }
        if certificates.is_empty() {
            return Err(RootsError::OtherCluster { expected, shown });
        }
        Self::checked(certificates, Some(now))
    }

    /// Their text.
    pub fn to_pem(&self) -> String {
        pem::write_certificates(&self.0)
    }

    /// What a join token pins.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_pem())
    }

    /// The certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// Is this one of them?
    pub fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.iter().any(|one| one == certificate)
    }

    /// These, and the others after them.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(others.0.iter().filter(|other| !self.contains(other)).cloned());
        all
    }

    /// As rustls takes them.
    pub(crate) fn store(&self) -> Result<RootCertStore, rustls::Error> {
        let mut store = RootCertStore::empty();
        self.0.iter().try_for_each(|root| store.add(root.clone()))?;
        Ok(store)
    }
}

fn check(
    place: usize,
    certificate: &CertificateDer<'_>,
    now: Option<SystemTime>,
) -> Result<(), RootsError> {
    let unreadable = |what: &str| RootsError::Unreadable(format!("certificate {place}: {what}"));
    let (rest, read) = X509Certificate::from_der(certificate)
        .map_err(|_| unreadable("it is no X.509 certificate"))?;
    if !rest.is_empty() {
        return Err(unreadable("something follows it"));
    }
    let usage = read.key_usage().map_err(|_| unreadable("its key usage is given twice"))?;
    if !read.is_ca() || usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(RootsError::NoAuthority(place));
    }
    if read.subject() != read.issuer() || read.verify_signature(None).is_err() {
        return Err(RootsError::NotSelfSigned(place));
    }
    let (begin, end) = dates(&read).map_err(|error| unreadable(&error.to_string()))?;
    if now.is_some_and(|now| now < begin) {
        return Err(RootsError::Dates(place, "not valid yet"));
    }
    if now.is_some_and(|now| now > end) {
        return Err(RootsError::Dates(place, "expired"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = Digest(std::array::from_fn(|place| u8::try_from(place * 8).unwrap()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "0", &"g".repeat(64), &"é".repeat(32), &"0".repeat(66)] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
