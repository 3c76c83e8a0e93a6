//! TLS listeners: with and without client verification, plain HTTP sent to one, reload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fake::{Fake, Running, UPGRADE, parse, read_head, request, run_on, upgrading};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use swarm_api::tls::{ServerFiles, ServerTls, TlsError};
use swarm_api::{Listener, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, folder: &Path) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        let paths = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
        std::fs::write(&paths.0, cert.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }

    fn write(&self, path: PathBuf) -> PathBuf {
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }
}

/// A client that trusts `ca` and shows `identity`.
fn connector(ca: &Path, identity: Option<&(PathBuf, PathBuf)>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(cert).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap(),
    };
    TlsConnector::from(Arc::new(config))
}

async fn ask(server: &Running, connector: &TlsConnector) -> std::io::Result<u16> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, server.connect().await).await?;
    stream.write_all(&request("GET /info", &[], b"")).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(parse(&answer).status.as_u16())
}

async fn run_tls(files: ServerFiles) -> (Running, Arc<ServerTls>) {
    let tls = ServerTls::load(files).unwrap();
    let listener = Listener::tcp("127.0.0.1:0", Some(Arc::clone(&tls))).await.unwrap();
    (run_on(listener, Fake::describing(), ServerOptions::default()), tls)
}

#[tokio::test]
async fn only_verified_clients_are_let_in_where_verification_is_on() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let ca = ours.write(folder.path().join("ca.pem"));
    let (cert, key) = ours.issue("localhost", folder.path());
    let friend = ours.issue("friend", folder.path());
    let stranger = theirs.issue("stranger", folder.path());
    let verify_clients_with = Some(ca.clone());
    let (server, _) = run_tls(ServerFiles { cert, key, verify_clients_with }).await;
    assert_eq!(ask(&server, &connector(&ca, Some(&friend))).await.unwrap(), 200);
    assert!(ask(&server, &connector(&ca, None)).await.is_err());
    assert!(ask(&server, &connector(&ca, Some(&stranger))).await.is_err());
    assert_eq!(ask(&server, &connector(&ca, Some(&friend))).await.unwrap(), 200);
}

#[tokio::test]
async fn without_verification_every_client_is_let_in_and_plain_http_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.write(folder.path().join("ca.pem"));
    let (cert, key) = authority.issue("localhost", folder.path());
    let (server, _) = run_tls(ServerFiles { cert, key, verify_clients_with: None }).await;
    assert_eq!(ask(&server, &connector(&ca, None)).await.unwrap(), 200);
    let answer = server.get("/info").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.message(), "Client sent an HTTP request to an HTTPS server.");
}

#[tokio::test]
async fn an_upgrade_over_tls_keeps_the_half_close() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.write(folder.path().join("ca.pem"));
    let (cert, key) = authority.issue("localhost", folder.path());
    let tls = ServerTls::load(ServerFiles { cert, key, verify_clients_with: None }).unwrap();
    let listener = Listener::tcp("127.0.0.1:0", Some(tls)).await.unwrap();
    let (fake, mut engines) = upgrading();
    let server = run_on(listener, fake, ServerOptions::default());
    let name = ServerName::try_from("localhost").unwrap();
    let stream = server.connect().await;
    let mut client = connector(&ca, None).connect(name, stream).await.unwrap();
    let attach = request("POST /containers/c/attach?stdin=1", &UPGRADE, b"");
    client.write_all(&attach).await.unwrap();
    assert_eq!(read_head(&mut client).await.status, 101);
    let (mut engine, ..) = engines.recv().await.unwrap();
    client.write_all(b"input").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = String::new();
    engine.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "input");
    engine.write_all(b"output").await.unwrap();
    drop(engine);
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "output");
}

#[tokio::test]
async fn a_reload_takes_the_new_files_and_a_failed_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let old_ca = old.write(folder.path().join("old.pem"));
    let new_ca = new.write(folder.path().join("new.pem"));
    let (cert, key) = old.issue("localhost", folder.path());
    let files = ServerFiles { cert: cert.clone(), key, verify_clients_with: None };
    let (server, tls) = run_tls(files).await;
    assert_eq!(ask(&server, &connector(&old_ca, None)).await.unwrap(), 200);

    std::fs::write(&cert, "no certificate").unwrap();
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::Empty { .. }), "{error}");
    assert!(error.to_string().contains("localhost.pem"), "{error}");
    assert_eq!(ask(&server, &connector(&old_ca, None)).await.unwrap(), 200);

    new.issue("localhost", folder.path());
    tls.reload().unwrap();
    assert_eq!(ask(&server, &connector(&new_ca, None)).await.unwrap(), 200);
    assert!(ask(&server, &connector(&old_ca, None)).await.is_err());
}

#[test]
fn what_cannot_be_loaded_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost", folder.path());
    let (_, other) = authority.issue("other", folder.path());
    let load = |cert: &Path, key: &Path, verify: Option<&str>| {
        let verify_clients_with = verify.map(|file| folder.path().join(file));
        ServerTls::load(ServerFiles {
            cert: cert.to_owned(),
            key: key.to_owned(),
            verify_clients_with,
        })
        .unwrap_err()
        .to_string()
    };
    assert!(load(Path::new("/no/cert.pem"), &key, None).contains("/no/cert.pem"));
    assert!(load(&cert, Path::new("/no/key.pem"), None).contains("/no/key.pem"));
    assert!(load(&cert, &cert, None).contains("server key"));
    assert!(load(&cert, &other, None).contains("other-key.pem"));
    assert!(load(&cert, &key, Some("missing-ca.pem")).contains("missing-ca.pem"));
}
