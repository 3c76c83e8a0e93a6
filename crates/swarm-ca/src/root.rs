//! The root: an ECDSA P-256 key and its certificate `CN=swarm-ca`, good for 20 years, as Docker makes
//! it; or a person's own, read from PEM and checked.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData as _, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;
use swarm_model::Secret;
use x509_parser::asn1_rs::Tag;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use crate::identity::{AUTHORITY, dates};
use crate::pair::Pair;
use crate::pem;
use crate::roots::{Roots, RootsError};

/// Certificates begin this long before they are issued, for clocks that are behind
/// (swarmkit `ca/certificates.go`: `CertBackdate`).
pub const BACKDATE: Duration = Duration::from_hours(1);

/// 20 years of 365 days (swarmkit `ca/certificates.go`: `RootCAExpiration` = 630720000 s).
pub(crate) const LIFE: Duration = Duration::from_hours(20 * 365 * 24);

/// Why there is no root, or it does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// The certificate is not taken.
    #[error(transparent)]
    Certificate(#[from] RootsError),
    /// Several, where one signs.
    #[error("the desired CA certificate cannot contain multiple certificates; there are {0}")]
    Several(usize),
    /// No key in PEM, or one with a passphrase.
    #[error(
        "the root's key cannot be read: give an unencrypted PEM key (ECDSA P-256 or P-384, \
         Ed25519, RSA)"
    )]
    Key,
    /// Of another certificate.
    #[error("certificate key mismatch: the key is not the root certificate's")]
    Mismatch,
    /// Certificates would name another issuer than the root, and nobody would accept them.
    #[error(
        "the root's subject repeats a field or is no plain text; make one with a simple subject"
    )]
    Subject,
    /// The library refuses.
    #[error("the root cannot sign: {0}")]
    Signing(#[from] rcgen::Error),
}

/// A root with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCa {
    certificate: CertificateDer<'static>,
    key: Secret,
}

impl RootCa {
    /// A new one.
    pub fn create(now: SystemTime) -> Result<Self, RootError> {
        let key = Pair::generate()?;
        let mut parameters = authority(now - BACKDATE, now + LIFE);
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, DnValue::PrintableString(AUTHORITY.try_into()?));
        parameters.distinguished_name = name;
        let certificate = parameters.self_signed(&key)?.der().clone();
        Ok(Self { certificate, key: key.to_pem() })
    }

    /// Reads one and checks it: a root, in date, with its own key.
    pub fn load(certificate: &str, key: &Secret, now: SystemTime) -> Result<Self, RootError> {
        Self::of(&Roots::parse(certificate, now)?, key, now)
    }

    /// The same for one that was checked when it came, and may have ended since.
    pub(crate) fn kept(
        certificate: &str,
        key: &Secret,
        now: SystemTime,
    ) -> Result<Self, RootError> {
        Self::of(&Roots::kept(certificate)?, key, now)
    }

    fn of(roots: &Roots, key: &Secret, now: SystemTime) -> Result<Self, RootError> {
        let [certificate] = roots.certificates() else {
            return Err(RootError::Several(roots.certificates().len()));
        };
        let pair = Pair::from_pem(key).map_err(|_| RootError::Key)?;
        let root = Self { certificate: certificate.clone(), key: key.clone() };
        if pair.subject_public_key_info() != root.read()?.public_key().raw {
            return Err(RootError::Mismatch);
        }
        // What this root signs has to name it byte for byte.
        root.cross_sign(&Self::create(now)?.roots()?, now)?;
        Ok(root)
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem::write(pem::CERTIFICATE, &self.certificate)
    }

    /// Its key in PEM.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// It alone, as roots to trust.
    pub fn roots(&self) -> Result<Roots, RootError> {
        Ok(Roots::checked(vec![self.certificate.clone()], None)?)
    }

    /// Signs the key and name of another root, so that who trusts only this one trusts what the other
    /// issues. The certificate ends with the earlier of both roots; if this one has ended already, with
    /// the other: who still trusts an ended root can only so be led away from it.
    pub fn cross_sign(
        &self,
        other: &Roots,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, RootError> {
        let [other] = other.certificates() else {
            return Err(RootError::Several(other.certificates().len()));
        };
        let theirs = read(other)?;
        let public = SubjectPublicKeyInfo::from_der(theirs.public_key().raw)?;
        let (_, their_end) = dates(&theirs).map_err(|_| unreadable())?;
        let (_, own_end) = self.dates()?;
        let end = if own_end > now { their_end.min(own_end) } else { their_end };
        let mut parameters = authority(now - BACKDATE, end);
        parameters.distinguished_name = name_of(theirs.subject())?;
        parameters.use_authority_key_identifier_extension = true;
        let signed = parameters.signed_by(&public, &self.issuer()?)?.der().clone();
        let made = read(&signed)?;
        let named = made.subject().as_raw() == theirs.subject().as_raw()
            && made.issuer().as_raw() == self.read()?.subject().as_raw();
        if named { Ok(signed) } else { Err(RootError::Subject) }
    }

    pub(crate) fn issuer(&self) -> Result<Issuer<'static, Pair>, RootError> {
        let key = Pair::from_pem(&self.key).map_err(|_| RootError::Key)?;
        Ok(Issuer::from_ca_cert_der(&self.certificate, key)?)
    }

    /// A request for a certificate of its key and name, in PEM.
    pub(crate) fn request(&self) -> Result<String, RootError> {
        let key = Pair::from_pem(&self.key).map_err(|_| RootError::Key)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = name_of(self.read()?.subject())?;
        Ok(pem::write(pem::REQUEST, parameters.serialize_request(&key)?.der()))
    }

    pub(crate) fn dates(&self) -> Result<(SystemTime, SystemTime), RootError> {
        dates(&self.read()?).map_err(|_| unreadable())
    }

    pub(crate) fn read(&self) -> Result<X509Certificate<'_>, RootError> {
        read(&self.certificate)
    }
}

fn unreadable() -> RootError {
    RootsError::Unreadable("it is no X.509 certificate".to_owned()).into()
}

fn read<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, RootError> {
    X509Certificate::from_der(certificate).map(|(_, read)| read).map_err(|_| unreadable())
}

/// A subject as rcgen writes it again: the same fields with the same kinds of text.
fn name_of(subject: &X509Name<'_>) -> Result<DistinguishedName, RootError> {
    let mut name = DistinguishedName::new();
    for field in subject.iter_attributes() {
        let kind = field.attr_type().iter().ok_or(RootError::Subject)?.collect();
        let text = field.as_str().map_err(|_| RootError::Subject)?;
        let value = match field.attr_value().tag() {
            Tag::PrintableString => DnValue::PrintableString(text.try_into()?),
            Tag::Ia5String => DnValue::Ia5String(text.try_into()?),
            _ => DnValue::Utf8String(text.to_owned()),
        };
        name.push(DnType::CustomDnType(kind), value);
    }
    Ok(name)
}

fn authority(not_before: SystemTime, not_after: SystemTime) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    // No limit to the length of the path: a rotation puts a cross-signed certificate between.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = not_before.into();
    parameters.not_after = not_after.into();
    parameters
}
