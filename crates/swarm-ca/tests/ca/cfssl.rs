//! CFSSL itself (Debian's `golang-cfssl`), which asks for a client's certificate: it signs for nodes, refuses
//! in its own words, and cross-signs the next root by a profile whose certificates are authorities.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use swarm_ca::external::DEADLINE;
use swarm_ca::rotation::KeptRoot;
use swarm_ca::{Authority, NodeKey, Role, RootCa};

use crate::cluster::{WORKER, now, root, subject};
use crate::external::client as client_of;
use crate::signing_server::{PATH, issuer};

/// Until it listens.
const SOON: Duration = Duration::from_secs(20);

/// A running server, which ends with the test.
struct Cfssl {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Cfssl {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn put(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Signs with this root's key, for clients that the root knows; whether what its profile `CA` signs are
/// authorities is its owner's.
fn start(root: &RootCa, makes_authorities: bool) -> Cfssl {
    let made = tempfile::tempdir().unwrap();
    let folder = made.path();
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &issuer(root)).unwrap();
    let node = json!({"usages": ["signing", "key encipherment", "server auth", "client auth"],
        "expiry": "2160h", "backdate": "1h"});
    let authority = json!({"usages": ["cert sign", "crl sign"], "expiry": "43800h", "backdate": "1h",
        "ca_constraint": {"is_ca": makes_authorities}});
    let config = json!({"signing": {"default": node, "profiles": {"CA": authority}}});
    let ca = put(folder, "ca.pem", &root.certificate_pem());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let process = Command::new("cfssl")
        .args(["serve", "-address", "127.0.0.1", "-port", &port, "-ca", &ca, "-mutual-tls-ca", &ca])
        .args(["-ca-key", &put(folder, "ca-key.pem", root.key().reveal())])
        .args(["-config", &put(folder, "config.json", &config.to_string())])
        .args(["-tls-cert", &put(folder, "cert.pem", &certificate.pem())])
        .args(["-tls-key", &put(folder, "key.pem", &key.serialize_pem())])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("cfssl runs: cargo xtask setup installs it");
    let begun = Instant::now();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        let said = std::fs::read_to_string(folder.join("log")).unwrap();
        assert!(begun.elapsed() < SOON, "it does not listen: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Cfssl { process, url: format!("https://127.0.0.1:{port}{PATH}"), _folder: made }
}

#[tokio::test]
async fn it_signs_for_nodes_and_cross_signs_the_next_root() {
    let root = root();
    let roots = root.roots().unwrap();
    let server = start(&root, true);
    let client = client_of(&root, &[&server.url], DEADLINE);
    let worker = subject(WORKER, Role::Worker);
    let key = NodeKey::generate().unwrap();
    let chain = client.sign(&key.request().unwrap(), &worker, &roots, &[], now()).await.unwrap();
    let signed = swarm_ca::Stored::new(key, &chain).unwrap().identity;
    assert_eq!(signed.subject, worker);

    let next = crate::cluster::root();
    let crossed = client.cross_sign(&next, &roots, now()).await.unwrap();
    let outside = Authority::new(KeptRoot::external(&roots).unwrap());
    let rotating = outside.rotate(KeptRoot::with_key(&next), Some(&crossed), 1, now()).unwrap();
    assert!(rotating.is_rotating());

    let timid = start(&root, false);
    let client = client_of(&root, &[&timid.url], DEADLINE);
    let refused = client.cross_sign(&next, &roots, now()).await.unwrap_err().to_string();
    assert!(refused.contains("is not the new root's key and name as an authority"), "{refused}");
}

#[tokio::test]
async fn whom_it_does_not_know_it_does_not_serve_and_the_words_say_so() {
    let (root, other) = (root(), root());
    let server = start(&root, true);
    let stranger = client_of(&other, &[&server.url], DEADLINE);
    let worker = subject(WORKER, Role::Worker);
    let request = NodeKey::generate().unwrap().request().unwrap();
    let roots = other.roots().unwrap();
    let refused = stranger.sign(&request, &worker, &roots, &[], now()).await.unwrap_err();
    assert!(refused.to_string().contains(&server.url), "{refused}");

    // The right client at the wrong place.
    let wrong = server.url.replace("/sign", "/info");
    let lost = client_of(&root, &[&wrong], DEADLINE);
    let refused = lost.sign(&request, &worker, &root.roots().unwrap(), &[], now()).await;
    let words = refused.unwrap_err().to_string();
    assert!(words.contains(&wrong), "{words}");
}
