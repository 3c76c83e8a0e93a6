//! TLS: the conformance test with client certificates and a token, and each way it goes wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use swarm_kv::{Secret, StoreError, StoreOptions};
use swarm_testkit::stores::conformance;
use swarm_testkit::stores::consul::{Config, ConsulServer, Tls};

use crate::opening::{open, plain};

/// An authority whose certificate is `NAME.pem` in a folder, and what it signs there.
struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.pem")), issuer.pem()).unwrap();
        Self { folder: folder.to_owned(), issuer }
    }

    /// `NAME.pem` and `NAME-key.pem`, good until the end of `year`.
    fn sign(&self, name: &str, year: i32) {
        let key = KeyPair::generate().unwrap();
        // Consul asks itself by the names of its configuration: any loopback address will do here.
        let mut params = CertificateParams::new(loopback()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.folder.join(format!("{name}.pem")), cert.pem()).unwrap();
        fs::write(self.folder.join(format!("{name}-key.pem")), key.serialize_pem()).unwrap();
    }
}

/// The names a test's servers may have: their addresses are known only once they run.
fn loopback() -> Vec<String> {
    let [.., high, low] = std::process::id().to_be_bytes();
    (64..192).map(|given| format!("127.{given}.{high}.{low}")).collect()
}

fn server(folder: &Path, cert: &str, clients_too: bool, acl: bool) -> ConsulServer {
    let tls = Tls {
        ca: folder.join("ours.pem"),
        cert: folder.join(format!("{cert}.pem")),
        key: folder.join(format!("{cert}-key.pem")),
        clients_too,
    };
    ConsulServer::start(Config { tls: Some(tls), acl, ..Config::default() }).unwrap()
}

fn options(folder: &Path, ca: &str, cert: Option<&str>) -> StoreOptions {
    StoreOptions {
        ca: Some(folder.join(format!("{ca}.pem"))),
        cert: cert.map(|cert| folder.join(format!("{cert}.pem"))),
        key: cert.map(|cert| folder.join(format!("{cert}-key.pem"))),
        ..StoreOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_and_a_token_it_passes() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    ours.sign("server", 2099);
    ours.sign("client", 2099);
    let server = server(folder.path(), "server", true, true);
    let rules = r#"key_prefix "docker/swarm" { policy = "write" }
        session_prefix "" { policy = "write" }"#;
    let token = Some(Secret::new(server.token("pool", rules).unwrap()));
    let options = StoreOptions { token, ..options(folder.path(), "ours", Some("client")) };
    let (store, other) = (open(&server.url(""), &options), open(&server.url(""), &options));
    conformance::check(&store, &other, "docker/swarm", Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) =
        (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "theirs"));
    ours.sign("server", 2099);
    ours.sign("stale", 2021);
    theirs.sign("stranger", 2099);
    let strict = server(folder.path(), "server", true, false);
    let expired = server(folder.path(), "stale", false, false);
    for (server, ca, cert, words) in [
        (&strict, "theirs", None, "not from an authority of kv.cacertfile"),
        (&strict, "ours", None, "does not accept our certificate"),
        (&strict, "ours", Some("stranger"), "does not accept our certificate"),
        (&strict, "ours", Some("stale"), "does not accept our certificate"),
        (&expired, "ours", None, "its certificate has expired"),
    ] {
        let store = open(&server.url(""), &options(folder.path(), ca, cert));
        let error = store.get("k").await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // TLS on one side only.
    let error = plain(&strict.url("")).get("k").await.unwrap_err();
    assert!(error.to_string().contains("speaks TLS at this port"), "{error}");
    let http = strict.url("").replace(":8501", ":8500");
    let error = open(&http, &options(folder.path(), "ours", None)).get("k").await.unwrap_err();
    assert!(error.to_string().contains("does not speak TLS at this port"), "{error}");
}
