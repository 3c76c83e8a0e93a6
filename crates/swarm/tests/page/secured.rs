//! Who sees the page, and how it is kept to itself.

use std::process::Output;
use std::sync::Arc;

use base64::Engine as _;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::daemon::Daemon;
use crate::rig::{Rig, SOON, ask, get, page_of};

const TOKEN: &str = "0123456789abcdef-0123";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_token_is_for_this_machine_and_only_shows() {
    let rig = Rig::of(1, 0).await;
    for path in ["/", "/main.js", "/style.css", "/icon.svg"] {
        let (status, head) = get(&rig.page, path, &[("Want", "head")]).await;
        let head = head.to_lowercase();
        assert_eq!(status, 200, "{path}");
        for header in ["content-security-policy: default-src 'none'", "nosniff", "no-referrer"] {
            assert!(head.contains(header), "{path}: {header}: {head}");
        }
    }
    let (status, _) = get(&rig.page, "/../Cargo.toml", &[]).await;
    assert_eq!(status, 404);
    for host in ["evil.example", "evil.example:80"] {
        let (status, body) = get(&rig.page, "/api/state", &[("Host", host)]).await;
        assert!(status == 403 && body.contains("--ui-token-file"), "{body}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/api/state", "/api/plan?rebalance=1&apply=1", "/api/containers/x", "/"] {
            let (status, body) = ask(method, &rig.page, path, &[]).await;
            let told = body.contains("only shows") && body.contains("--ui-write");
            assert!(status == 405 && told, "{method} {path}: {body}");
        }
    }
    let state = rig.state(|_| true).await;
    assert!(state["key"].is_null(), "nothing to act with: {state}");
    let (status, body) = ask("HEAD", &rig.page, "/", &[]).await;
    assert_eq!((status, body.as_str()), (200, ""));
}

fn refused(arguments: &[&str]) -> Output {
    assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("swarm"))
        .args([&["manage", "-H", "tcp://127.0.0.1:0"], arguments, &["127.0.0.1:1"]].concat())
        .env_clear()
        .timeout(SOON)
        .output()
        .unwrap()
}

#[test]
fn beyond_this_machine_it_is_refused_in_words() {
    let output = refused(&["--ui", "0.0.0.0:0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    for words in ["TLS and a token are missing", "--tlscert FILE", "--ui-token-file FILE"] {
        assert!(said.contains(words), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "short").unwrap();
    let output = refused(&["--ui", "127.0.0.1:0", "--ui-token-file", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("at least 16 characters"), "{said}");
    assert!(!said.contains("short"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_and_a_token_whoever_knows_it_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (file("c", &cert.pem()), file("k", &signing_key.serialize_pem()));
    let token = file("t", TOKEN);
    // It asks no certificate of a browser, also where the API asks one of its clients.
    let arguments = [
        "manage",
        "-H",
        "tcp://127.0.0.1:0",
        "--tlsverify",
        "--tlscacert",
        &certificate,
        "--tlscert",
        &certificate,
        "--tlskey",
        &key,
        "--ui",
        "0.0.0.0:0",
        "--ui-token-file",
        &token,
        "127.0.0.1:1",
    ];
    let daemon = Daemon::start(&arguments, &[]);
    let page = page_of(&daemon, "https").await.replace("0.0.0.0", "127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let ask = async |authorization: Option<String>| {
        let stream = TcpStream::connect(&page).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        let header = authorization.map(|text| format!("Authorization: {text}\r\n"));
        let request =
            format!("GET / HTTP/1.0\r\nHost: pool.example\r\n{}\r\n", header.unwrap_or_default());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap();
        answer
    };
    let basic =
        |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    for wrong in [None, Some(basic("swarm:wrong-wrong-wrong-wrong")), Some("Bearer x".to_owned())] {
        let answer = ask(wrong).await;
        assert!(answer.contains(" 401 ") && answer.contains("www-authenticate: Basic"), "{answer}");
    }
    for right in [basic(&format!("swarm:{TOKEN}")), format!("Bearer {TOKEN}")] {
        let answer = ask(Some(right)).await;
        assert!(answer.contains(" 200 ") && answer.contains("<title>swarm</title>"), "{answer}");
    }
    assert!(!daemon.log().contains(TOKEN));
}
