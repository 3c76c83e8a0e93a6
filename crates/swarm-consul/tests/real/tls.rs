//! TLS: the conformance test with client certificates and a token, and each way it goes wrong.

use std::time::Duration;

use swarm_kv::{Secret, StoreError, StoreOptions};
use swarm_testkit::stores::consul::{Config, ConsulServer, Tls};
use swarm_testkit::stores::{Authority, Impostor, Manner, Pair, Validity, conformance};

use crate::opening::{open, plain};

fn server(authority: &Authority, pair: &Pair, clients_too: bool, acl: bool) -> ConsulServer {
    let Pair { cert, key } = pair.clone();
    let tls = Tls { ca: authority.file(), cert, key, clients_too };
    ConsulServer::start(Config { tls: Some(tls), acl, ..Config::default() }).unwrap()
}

fn options(ca: &Authority, pair: Option<&Pair>) -> StoreOptions {
    StoreOptions {
        ca: Some(ca.file()),
        cert: pair.map(|pair| pair.cert.clone()),
        key: pair.map(|pair| pair.key.clone()),
        ..StoreOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_and_a_token_it_passes() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path()).unwrap();
    let issue = |name| ours.issue(name, Validity::Current).unwrap();
    let server = server(&ours, &issue("server"), true, true);
    let rules = r#"key_prefix "docker/swarm" { policy = "write" }
        session_prefix "" { policy = "write" }"#;
    let token = Some(Secret::new(server.token("pool", rules).unwrap()));
    let options = StoreOptions { token, ..options(&ours, Some(&issue("client"))) };
    let (store, other) = (open(&server.url(""), &options), open(&server.url(""), &options));
    conformance::check(&store, &other, "docker/swarm", Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] =
        ["ours", "theirs"].map(|name| Authority::new(&folder.path().join(name)).unwrap());
    let good = ours.issue("server", Validity::Current).unwrap();
    let stale = ours.issue("stale", Validity::Expired).unwrap();
    let stranger = theirs.issue("stranger", Validity::Current).unwrap();
    let strict = server(&ours, &good, true, false);
    let expired = server(&ours, &stale, false, false);
    for (server, ca, cert, words) in [
        (&strict, &theirs, None, "not from an authority of kv.cacertfile"),
        (&strict, &ours, None, "does not accept our certificate"),
        (&strict, &ours, Some(&stranger), "does not accept our certificate"),
        (&strict, &ours, Some(&stale), "does not accept our certificate"),
        (&expired, &ours, None, "its certificate has expired"),
    ] {
        let store = open(&server.url(""), &options(ca, cert));
        let error = store.get("k").await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // TLS on one side only.
    let error = plain(&strict.url("")).get("k").await.unwrap_err();
    assert!(error.to_string().contains("speaks TLS at this port"), "{error}");
    let http = strict.url("").replace(":8501", ":8500");
    let reset = Impostor::start(Manner::Reset).await.unwrap();
    for url in [http, format!("consul://{}", reset.address())] {
        let error = open(&url, &options(&ours, None)).get("k").await.unwrap_err();
        assert!(error.to_string().contains("does not speak TLS at this port"), "{error}");
    }
}
