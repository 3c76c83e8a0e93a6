//! Docker's form: a token, a root and a node certificate that Docker 28.2 made, beside ours.

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use swarm_ca::{
    Digest, Expiry, Identity, IssueError, Issuer, IssuerInfo, JoinToken, NodeKey, Role, RootCa,
    RootError, Roots, RootsError, Secret,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::cluster::{CLUSTER, HOUR, MANAGER, WORKER, subject};

const TOKEN: &str = include_str!("data/docker-token");
const ROOT: &str = include_str!("data/docker-root.pem");
const NODE: &str = include_str!("data/docker-node.pem");

/// Some hours after Docker made them: 2026-11-27.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(498_825)
}

/// What a certificate says, key and serial number left out; ids by their names.
fn form(certificate: &[u8]) -> String {
    let (_, read) = X509Certificate::from_der(certificate).unwrap();
    let life = read.validity().not_after.timestamp() - read.validity().not_before.timestamp();
    let mut lines = vec![
        format!("version {}", read.version().0 + 1),
        format!("subject {} by {}", read.subject(), read.issuer()),
        format!("signed {}", read.signature_algorithm.algorithm),
        format!("key {}", read.public_key().algorithm.algorithm),
        format!("life {life} s"),
    ];
    let mut extensions: Vec<_> = read
        .extensions()
        .iter()
        .map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(_) => "SKI".to_owned(),
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(_) => "AKI".to_owned(),
            parsed => format!("{parsed:?} critical={}", extension.critical),
        })
        .collect();
    extensions.sort();
    lines.extend(extensions);
    lines.join("\n").replace(CLUSTER, "CLUSTER").replace(MANAGER, "NODE")
}

#[test]
fn docker_s_token_pins_docker_s_root() {
    let token = JoinToken::parse(TOKEN).unwrap();
    assert_eq!(token.to_text().reveal(), TOKEN.trim());
    let roots = Roots::pinned(ROOT, token.digest(), then()).unwrap();
    assert_eq!(roots.digest(), token.digest());
    assert_eq!(roots.to_pem(), ROOT, "the same text, which the digest is of");
    let digest = "sha256:08b5b6fcc92240fdbd0d441fb6ddfd26c1e82aea8fbdcf4856392afba1f5a917";
    assert_eq!(format!("{:?}", token.digest()), digest);
}

#[test]
fn docker_s_certificate_is_read() {
    let node = CertificateDer::from_pem_slice(NODE.as_bytes()).unwrap();
    let identity = Identity::of(&node).unwrap();
    assert_eq!(identity.subject, subject(MANAGER, Role::Manager));
    assert!(!identity.is_expired(then()) && identity.is_expired(then() + 90 * 24 * HOUR));
    let roots = Roots::parse(ROOT, then()).unwrap();
    let issuer = IssuerInfo::of_chain(&[node], &roots);
    assert_eq!(issuer, IssuerInfo::of(&roots.certificates()[0]));
}

#[test]
fn our_certificates_have_docker_s_form() {
    let root = RootCa::create(then()).unwrap();
    let issuer = Issuer::new(&root).unwrap();
    let request = NodeKey::generate().unwrap().request().unwrap();
    let manager = subject(MANAGER, Role::Manager);
    let chain = issuer.issue(&request, &manager, Expiry::default(), then()).unwrap();
    let ours = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let docker_s = CertificateDer::from_pem_slice(NODE.as_bytes()).unwrap();
    assert_eq!(form(&ours), form(&docker_s));

    let docker_s = CertificateDer::from_pem_slice(ROOT.as_bytes()).unwrap();
    // Ours begins an hour earlier, for clocks that are behind.
    let form_of_ours = form(root.certificate()).replace("630723600 s", "630720000 s");
    assert_eq!(form_of_ours, form(&docker_s));

    let worker = issuer.issue(&request, &subject(WORKER, Role::Worker), Expiry::default(), then());
    let worker = CertificateDer::from_pem_slice(worker.unwrap().as_bytes()).unwrap();
    let (_, read) = X509Certificate::from_der(&worker).unwrap();
    let names = format!("{:?}", read.subject_alternative_name().unwrap().unwrap().value);
    assert!(names.contains("swarm-worker") && names.contains(WORKER), "{names}");
    assert!(!names.contains("swarm-ca"), "a worker is never taken for an authority: {names}");
    assert_eq!(Identity::of(&worker).unwrap().subject.role(), Role::Worker);
}

#[test]
fn the_names_in_a_request_do_not_count() {
    let mut parameters = rcgen::CertificateParams::new(vec!["swarm-manager".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "swarm-manager");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let request = parameters.serialize_request(&key).unwrap().pem().unwrap();
    let root = RootCa::create(then()).unwrap();
    let worker = subject(WORKER, Role::Worker);
    let issued = Issuer::new(&root).unwrap().issue(&request, &worker, Expiry::default(), then());
    let issued = CertificateDer::from_pem_slice(issued.unwrap().as_bytes()).unwrap();
    assert_eq!(Identity::of(&issued).unwrap().subject, worker);
    let (_, read) = X509Certificate::from_der(&issued).unwrap();
    assert!(!read.is_ca());
    let names = format!("{:?}", read.subject_alternative_name().unwrap().unwrap().value);
    assert!(!names.contains("swarm-manager"), "{names}");
}

#[test]
fn a_certificate_begins_by_the_earlier_of_two_clocks_and_ends_by_the_issuer_s() {
    let root = RootCa::create(then()).unwrap();
    let issuer = Issuer::new(&root).unwrap();
    let request = NodeKey::generate().unwrap().request().unwrap();
    let subject = subject(WORKER, Role::Worker);
    let day = 24 * HOUR;
    let now = then() + 30 * day;
    for (theirs, begins) in [
        (now, now),
        (now - 2 * HOUR, now - 2 * HOUR),
        (now + 2 * HOUR, now),
        (now - 3 * day, now - 3 * day),
        // The root itself is not valid there.
        (SystemTime::UNIX_EPOCH, then() - HOUR),
    ] {
        let chain = issuer.issue_to(&request, &subject, Expiry::default(), (now, theirs)).unwrap();
        let own = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        let identity = Identity::of(&own).unwrap();
        assert_eq!(identity.not_before, begins - HOUR, "{theirs:?}");
        assert_eq!(identity.not_after, now + 90 * day);
    }
}

#[test]
fn no_certificate_is_too_short_or_outlives_its_root() {
    assert_eq!(Expiry::new(Duration::from_mins(59)), Err(IssueError::TooShort));
    let root = RootCa::create(then()).unwrap();
    let issuer = Issuer::new(&root).unwrap();
    let request = NodeKey::generate().unwrap().request().unwrap();
    let end = then() + Duration::from_hours(20 * 365 * 24);
    let subject = subject(MANAGER, Role::Manager);
    let late = issuer.issue(&request, &subject, Expiry::default(), end - HOUR).unwrap();
    let late = CertificateDer::from_pem_slice(late.as_bytes()).unwrap();
    assert_eq!(Identity::of(&late).unwrap().not_after, end);
    assert_eq!(issuer.issue(&request, &subject, Expiry::default(), end), Err(IssueError::Expired));
}

#[test]
fn a_token_takes_no_other_root_and_no_stranger_beside_its_own() {
    let (own, other) = (RootCa::create(then()).unwrap(), RootCa::create(then()).unwrap());
    let pinned = own.roots().unwrap().digest();
    let error = Roots::pinned(&other.certificate_pem(), pinned, then()).unwrap_err();
    assert!(matches!(error, RootsError::OtherCluster { .. }));
    assert!(error.to_string().contains("does not match fingerprint"), "{error}");
    let both = other.certificate_pem() + &own.certificate_pem();
    assert_eq!(Roots::pinned(&both, pinned, then()), Ok(own.roots().unwrap()));
    let whole = Roots::parse(&both, then()).unwrap();
    assert_eq!(Roots::pinned(&both, whole.digest(), then()), Ok(whole));
    assert!(Roots::pinned("nothing", Digest([0; 32]), then()).is_err());
}

#[test]
fn a_root_of_a_person_s_own_is_checked() {
    let (one, other) = (RootCa::create(then()).unwrap(), RootCa::create(then()).unwrap());
    let pem = one.certificate_pem();
    assert_eq!(RootCa::load(&pem, one.key(), then()), Ok(one.clone()));
    assert_eq!(RootCa::load(&pem, other.key(), then()), Err(RootError::Mismatch));
    assert_eq!(RootCa::load(&pem, &Secret::new("no key"), then()), Err(RootError::Key));
    let two = format!("{pem}{}", other.certificate_pem());
    assert_eq!(RootCa::load(&two, one.key(), then()), Err(RootError::Several(2)));
    let early = RootCa::load(&pem, one.key(), then() - 2 * HOUR).unwrap_err();
    assert!(early.to_string().contains("not valid yet"), "{early}");
    let late = RootCa::load(&pem, one.key(), then() + 9_000 * 24 * HOUR).unwrap_err();
    assert!(late.to_string().contains("expired"), "{late}");
    let cross = one.cross_sign(&other.roots().unwrap(), then()).unwrap();
    let cross = Roots::parse(&pem_of(&cross), then()).unwrap_err();
    assert_eq!(cross, RootsError::NotSelfSigned(1));
    assert_eq!(Roots::parse(NODE, then()), Err(RootsError::NoAuthority(1)));
    assert_eq!(Roots::parse(&pem.repeat(2), then()), one.roots().map_err(|_| unreachable!()));
    assert!(!format!("{one:?}").contains("PRIVATE"), "keys are never shown");
}

#[test]
fn a_root_with_a_rich_subject_and_another_kind_of_key_works_or_is_refused() {
    let made = |units: &[&str]| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CountryName, "NO");
        for (kind, text) in units.iter().enumerate() {
            let kind = if kind == 0 {
                rcgen::DnType::OrganizationalUnitName
            } else {
                // The same field once more, by its number, as other tools write it.
                rcgen::DnType::CustomDnType(vec![2, 5, 4, 11])
            };
            parameters.distinguished_name.push(kind, *text);
        }
        let certificate = parameters.self_signed(&key).unwrap().pem();
        RootCa::load(&certificate, &Secret::new(key.serialize_pem()), then())
    };
    let root = made(&["Sikkerhet"]).unwrap();
    let docker_s = RootCa::create(then()).unwrap();
    assert!(docker_s.cross_sign(&root.roots().unwrap(), then()).is_ok());
    assert!(root.cross_sign(&docker_s.roots().unwrap(), then()).is_ok());
    assert_eq!(made(&["one", "two"]).unwrap_err(), RootError::Subject);
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
