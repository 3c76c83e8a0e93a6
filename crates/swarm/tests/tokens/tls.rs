//! Tokens over TLS: a private authority, client certificates, and what is said when they are wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use swarm_api::tls::{ServerFiles, ServerTls};
use swarm_discovery::{Discovery, DiscoveryOptions, Entry};

use crate::rig::Rig;

/// Writes an authority and two certificates of it: `ca.pem`, `server.pem`, `client.pem`, and keys.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &ca).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_with_a_certificate_are_let_in() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let tls = ServerTls::load(ServerFiles {
        cert: at("server.pem").into(),
        key: at("server-key.pem").into(),
        verify_clients_with: Some(at("ca.pem").into()),
    })
    .unwrap();
    let rig = Rig::start(Some(Arc::new(move || tls.current()))).await;
    let (ca, cert, key) = (at("ca.pem"), at("client.pem"), at("client-key.pem"));
    let whole = [("token.cacertfile", &*ca), ("token.certfile", &*cert), ("token.keyfile", &*key)];

    let options: DiscoveryOptions =
        whole.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let site = swarm_discovery::Site::parse(&rig.url()).unwrap();
    let options = swarm_discovery::TokenOptions::parse(&options).unwrap();
    let token = swarm_discovery::TokenService::new(site, options).create().await.unwrap();
    let backend = rig.backend(&token, &whole);
    let entry: Entry = "a:1".parse().unwrap();
    backend.register(&entry, Duration::from_mins(1)).await.unwrap();
    assert_eq!(backend.fetch().await.unwrap(), std::slice::from_ref(&entry));
    // Classic's longer form names the service in the URL, and means HTTPS.
    let url = format!("token://{}/v1/{token}", rig.address);
    let options = whole
        .iter()
        .map(|(key, value)| (key.replace("token", "kv"), (*value).to_owned()))
        .collect();
    assert_eq!(Discovery::parse(&url, &options).unwrap().fetch().await.unwrap(), [entry]);

    let other = tempfile::tempdir().unwrap();
    write_certificates(other.path());
    let wrong_ca = other.path().join("ca.pem").display().to_string();
    let missing = at("missing.pem");
    for (options, words) in [
        (&whole[..1], "client certificates needs token.certfile"),
        (&[("token.cacertfile", &*wrong_ca)], "invalid peer certificate"),
        (&[], "invalid peer certificate"),
        (&[("token.cacertfile", &*missing)], "missing.pem: cannot read it"),
        (&[("token.cacertfile", &*key)], "there is no certificate in it"),
    ] {
        let error = rig.backend(&token, options).fetch().await.unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains(&token), "{error}");
    }
    let options = [("token.url".to_owned(), format!("http://{}", rig.address))].into();
    let plain = Discovery::parse(&format!("token://{token}"), &options).unwrap();
    let error = plain.fetch().await.unwrap_err().to_string();
    let words = "refused (400): Client sent an HTTP request to an HTTPS server.";
    assert!(error.ends_with(words), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_to_a_plain_service_is_told() {
    let rig = Rig::start(None).await;
    let options = [("token.url".to_owned(), format!("https://{}", rig.address))].into();
    let backend = Discovery::parse("token://x", &options).unwrap();
    let error = backend.fetch().await.unwrap_err().to_string();
    assert!(error.contains("its address begins with http://"), "{error}");
}
