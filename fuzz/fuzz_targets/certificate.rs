//! Certificates, requests and roots from strangers: read or refused, and what is read is whole.
//! `tls::verify::tests` and `request::tests` in swarm-ca run similar properties.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;
use swarm_ca::request::requested_key;
use swarm_ca::{Identity, IssuerInfo, Roots};

fuzz_target!(|input: (&[u8], &str)| {
    let (der, text) = input;
    let certificate = CertificateDer::from(der);
    if let Ok(identity) = Identity::of(&certificate) {
        assert_eq!(identity.subject.node_id().len(), 25);
        assert!(identity.not_before < identity.not_after);
        assert!(IssuerInfo::of(&certificate).is_some());
    }
    if let Ok(roots) = Roots::kept(text) {
        assert_eq!(Roots::kept(&roots.to_pem()), Ok(roots));
    }
    drop(requested_key(text));
});
