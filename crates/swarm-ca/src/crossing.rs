//! Asking an external authority to cross-sign a new root: how a swarm whose root's key is outside leaves
//! that root (swarmkit `ca/external.go`: `CrossSignRootCA`).
//!
//! The request is CFSSL's, for the profile `CA`, with the new root's subject and its basic constraints,
//! since a server takes neither from the request for a certificate. What comes back is checked like any
//! stranger's word.

use std::fmt::Write as _;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use serde::Serialize;
use serde_json::{Map, Value, json};
use x509_parser::oid_registry::{
    OID_X509_COMMON_NAME, OID_X509_COUNTRY_NAME, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_LOCALITY_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT,
    OID_X509_STATE_OR_PROVINCE_NAME, Oid,
};
use x509_parser::prelude::{X509Certificate, X509Name};

use crate::external::{ExternalCa, ExternalError};
use crate::identity::dates;
use crate::pem;
use crate::root::RootCa;
use crate::roots::Roots;
use crate::rotation::is_cross_signed;

/// The server's settings for authorities go by this name.
const PROFILE: &str = "CA";
/// The fields of CFSSL's `names`.
const NAMES: [(&str, &Oid<'static>); 5] = [
    ("C", &OID_X509_COUNTRY_NAME),
    ("ST", &OID_X509_STATE_OR_PROVINCE_NAME),
    ("L", &OID_X509_LOCALITY_NAME),
    ("O", &OID_X509_ORGANIZATION_NAME),
    ("OU", &OID_X509_ORGANIZATIONAL_UNIT),
];

#[derive(Serialize)]
struct CrossRequest {
    certificate_request: String,
    subject: Value,
    profile: &'static str,
    extensions: Vec<Extension>,
}

#[derive(Serialize)]
struct Extension {
    id: String,
    critical: bool,
    /// DER, in hex.
    value: String,
}

impl ExternalCa {
    /// Has `next` cross-signed by the root `present`, whose key the authorities have: a certificate in
    /// PEM.
    pub async fn cross_sign(
        &self,
        next: &RootCa,
        present: &Roots,
        now: SystemTime,
    ) -> Result<String, ExternalError> {
        let theirs = next.read()?;
        let asked = CrossRequest {
            certificate_request: next.request()?,
            subject: subject(theirs.subject()),
            profile: PROFILE,
            extensions: constraints(&theirs),
        };
        let next = next.roots()?;
        self.any(&asked, |chain| check(chain, &next, present, now)).await
    }
}

fn check(
    chain: Vec<CertificateDer<'static>>,
    next: &Roots,
    present: &Roots,
    now: SystemTime,
) -> Result<String, String> {
    let Some(cross) = chain.into_iter().next() else { return Err("it signed nothing".to_owned()) };
    if !is_cross_signed(&cross, next, present) {
        return Err(
            "what it signed is not the new root's key and name as an authority, under the present root"
                .to_owned(),
        );
    }
    let (_, read) = x509_parser::parse_x509_certificate(&cross).map_err(|_| "it is damaged")?;
    let (begin, end) = dates(&read).map_err(|error| error.to_string())?;
    if now < begin || end <= now {
        return Err("what it signed is not in date".to_owned());
    }
    Ok(pem::write(pem::CERTIFICATE, &cross))
}

/// A subject as CFSSL takes it: the common name, and objects of which the first has the first of each
/// field.
fn subject(of: &X509Name<'_>) -> Value {
    let texts = |kind: &Oid<'_>| {
        let of_kind = of.iter_attributes().filter(|field| field.attr_type() == kind);
        of_kind.filter_map(|field| field.as_str().ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    let common = texts(&OID_X509_COMMON_NAME).into_iter().next().unwrap_or_default();
    let mut names: Vec<Map<String, Value>> = Vec::new();
    for (field, kind) in NAMES {
        for (place, text) in texts(kind).into_iter().enumerate() {
            if names.len() <= place {
                names.push(Map::new());
            }
            if let Some(name) = names.get_mut(place) {
                name.insert(field.to_owned(), text.into());
            }
        }
    }
    json!({ "CN": common, "names": names })
}

fn constraints(root: &X509Certificate<'_>) -> Vec<Extension> {
    let extensions = root.extensions().iter();
    let constraints = extensions.filter(|one| one.oid == OID_X509_EXT_BASIC_CONSTRAINTS);
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    constraints
        .map(|one| Extension {
            id: one.oid.to_id_string(),
            critical: one.critical,
            value: hex(one.value),
        })
        .collect()
}
