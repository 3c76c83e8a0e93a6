//! TLS: whom we believe, who believes us, and new certificates at run time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use swarm_engine::{ClientOptions, EngineClient, EngineError, TlsClient, TlsFiles};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::hijack::{half_close, open, play};
use crate::script::{LONG, SHORT, Script, head, ok};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Each with a name of its own: two of one name would be told apart by their signatures only.
fn authority() -> Authority {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

struct Pair {
    cert: rcgen::Certificate,
    key: KeyPair,
}

fn issue(by: &Authority, name: &str, until: i32) -> Pair {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    Pair { cert: params.signed_by(&key, by).unwrap(), key }
}

/// An engine that shows `pair` and, when `clients` is given, wants a certificate from there.
async fn engine(pair: Pair, clients: Option<&Authority>) -> Script {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = pair.key.serialize_der().try_into().unwrap();
    let config = builder.with_single_cert(vec![pair.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Script::new(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while head(&mut stream).await.is_some() {
                if stream.write_all(ok("[1]").as_bytes()).await.is_err() {
                    return;
                }
                stream.flush().await.unwrap();
            }
        }
    })
    .await
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(ca: Option<&Authority>, pair: Option<&Pair>) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        if let Some(ca) = ca {
            std::fs::write(files.path("ca.pem"), ca.pem()).unwrap();
        }
        if let Some(pair) = pair {
            std::fs::write(files.path("cert.pem"), pair.cert.pem()).unwrap();
            std::fs::write(files.path("key.pem"), pair.key.serialize_pem()).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self, verify: bool) -> TlsClient {
        let some = |name: &str| Some(self.path(name)).filter(|path| path.exists());
        let files =
            TlsFiles { ca: some("ca.pem"), cert: some("cert.pem"), key: some("key.pem"), verify };
        TlsClient::load(files).unwrap()
    }
}

fn client(script: &Script, tls: &TlsClient) -> EngineClient {
    script.client_with(ClientOptions { tls: Some(tls.clone()), ..ClientOptions::default() })
}

async fn ask(client: &EngineClient) -> Result<Vec<u8>, EngineError> {
    client.get_json("/x", LONG).await
}

#[track_caller]
fn is_tls(result: Result<Vec<u8>, EngineError>, part: &str) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EngineError::Tls(_)) && error.is_connection(), "{error:?}");
    assert!(text.contains(part), "{text}");
}

#[tokio::test]
async fn both_sides_verify_each_other_and_connections_are_kept() {
    let ca = authority();
    let script = engine(issue(&ca, "127.0.0.1", 2100), Some(&ca)).await;
    let files = Files::new(Some(&ca), Some(&issue(&ca, "manager", 2100)));
    let client = client(&script, &files.tls(true));
    for _ in 0..3 {
        assert_eq!(ask(&client).await.unwrap(), [1]);
    }
    assert_eq!(script.connections(), 1);
    client.ping(LONG).await.unwrap();
    client.ping(LONG).await.unwrap();
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_certificate_that_is_wrong_is_refused_with_its_reason() {
    let (ca, other) = (authority(), authority());
    let files = Files::new(Some(&ca), None);
    for (pair, part) in [
        (issue(&other, "127.0.0.1", 2100), "UnknownIssuer"),
        (issue(&ca, "127.0.0.1", 2001), "expired"),
        (issue(&ca, "node-2", 2100), "not valid for name"),
    ] {
        let script = engine(pair, None).await;
        let client = client(&script, &files.tls(true));
        is_tls(ask(&client).await, part);
        assert!(matches!(client.ping(LONG).await, Err(EngineError::Tls(_))));
    }
}

#[tokio::test]
async fn an_engine_that_wants_our_certificate_and_gets_none_says_so() {
    let (ca, other) = (authority(), authority());
    let script = engine(issue(&ca, "127.0.0.1", 2100), Some(&ca)).await;
    let none = Files::new(Some(&ca), None);
    is_tls(ask(&client(&script, &none.tls(true))).await, "CertificateRequired");
    let foreign = Files::new(Some(&ca), Some(&issue(&other, "manager", 2100)));
    is_tls(ask(&client(&script, &foreign.tls(true))).await, "alert");
}

#[tokio::test]
async fn without_verification_anyone_is_believed_but_the_certificate_is_shown() {
    let (ca, other) = (authority(), authority());
    let script = engine(issue(&other, "elsewhere", 2001), Some(&ca)).await;
    let files = Files::new(None, Some(&issue(&ca, "manager", 2100)));
    assert_eq!(ask(&client(&script, &files.tls(false))).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_reload_takes_new_files_and_a_bad_one_changes_nothing() {
    let (old, new) = (authority(), authority());
    let script = engine(issue(&new, "127.0.0.1", 2100), None).await;
    let files = Files::new(Some(&old), None);
    let tls = files.tls(true);
    let client = client(&script, &tls);
    is_tls(ask(&client).await, "UnknownIssuer");
    std::fs::write(files.path("ca.pem"), new.pem()).unwrap();
    tls.reload().unwrap();
    ask(&client).await.unwrap();
    std::fs::write(files.path("ca.pem"), "not PEM").unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("ca.pem") && error.contains("no certificate in PEM"), "{error}");
    client.close_idle();
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn files_that_make_no_sense_are_named() {
    let ca = authority();
    let (one, two) = (issue(&ca, "a", 2100), issue(&ca, "b", 2100));
    let files = Files::new(Some(&ca), Some(&one));
    std::fs::write(files.path("other.pem"), two.key.serialize_pem()).unwrap();
    let load = |ca: Option<&str>, cert: Option<&str>, key: Option<&str>, verify| {
        let path = |name: Option<&str>| name.map(|name| files.path(name));
        let files = TlsFiles { ca: path(ca), cert: path(cert), key: path(key), verify };
        TlsClient::load(files).unwrap_err().to_string()
    };
    let missing = load(Some("none.pem"), None, None, true);
    assert!(missing.contains("none.pem") && missing.contains("cannot read it"), "{missing}");
    assert!(load(None, None, None, true).contains("--tlscacert"));
    assert!(load(None, Some("cert.pem"), None, false).contains("--tlskey"));
    let swapped = load(None, Some("key.pem"), Some("cert.pem"), false);
    assert!(swapped.contains("key.pem: there is no certificate"), "{swapped}");
    let mismatch = load(None, Some("cert.pem"), Some("other.pem"), false);
    assert!(mismatch.contains("cert.pem with key"), "{mismatch}");
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_runs_into_the_connect_deadline() {
    let script = Script::silent().await;
    let tls = Files::new(None, None).tls(false);
    let options = ClientOptions { tls: Some(tls), connect_deadline: SHORT, ..Default::default() };
    let error = script.client_with(options).get_bytes("/x", 1, LONG).await.unwrap_err();
    assert!(matches!(error, EngineError::Deadline { what: "connection", .. }), "{error:?}");
}

#[tokio::test]
async fn a_plain_engine_behind_a_tls_client_is_a_tls_error() {
    let script = Script::new(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let tls = Files::new(None, None).tls(false);
    is_tls(ask(&client(&script, &tls)).await, "");
}

#[tokio::test]
async fn half_close_is_kept_over_tls() {
    let ca = authority();
    let pair = issue(&ca, "127.0.0.1", 2100);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![pair.cert.der().clone()],
            pair.key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let script = Script::new(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let switch = "HTTP/1.1 101 UPGRADED\r\nContent-Type: \
                          application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n\
                          Upgrade: tcp\r\n\r\n";
            play(stream, switch).await;
        }
    })
    .await;
    let tls = Files::new(Some(&ca), None).tls(true);
    half_close(open(&client(&script, &tls)).await).await;
}
