//! Managers with `--tlsverify`: a replica shows the primary its own certificate.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use swarm_api::tls::{ServerFiles, ServerTls};
use swarm_backend::{Exchange, Reply};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, TlsClient, TlsFiles};
use swarm_memory::Memory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use crate::fake::{Fake, upgrading};
use crate::rig::{Manager, SOON, Sides};

/// One certificate of one CA for both sides, as `swarm manage` uses its files.
fn certificates(folder: &Path) -> (Sides, TlsFiles) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let pair = names.signed_by(&key, &authority).unwrap();
    let write = |name: &str, pem: String| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let (ca, cert) = (write("ca.pem", authority.pem()), write("cert.pem", pair.pem()));
    let key = write("key.pem", key.serialize_pem());
    let server = ServerTls::load(ServerFiles {
        cert: cert.clone(),
        key: key.clone(),
        verify_clients_with: Some(ca.clone()),
    });
    let files = TlsFiles { ca: Some(ca), cert: Some(cert), key: Some(key), verify: true };
    let client = TlsClient::load(files.clone()).unwrap();
    (Sides { server: Some(server.unwrap()), client: Some(client) }, files)
}

async fn pair(primary: Fake, sides: &Sides) -> (Arc<Memory>, Manager, Manager) {
    let store = Memory::new();
    let primary = Manager::with(&store, primary, sides.clone()).await;
    primary.leads().await;
    let replica = Manager::with(&store, Fake::describing(), sides.clone()).await;
    replica.follows(&primary.address()).await;
    (store, primary, replica)
}

fn client(manager: &Manager, files: TlsFiles) -> EngineClient {
    let address: EngineAddress = manager.address().parse().unwrap();
    let tls = Some(TlsClient::load(files).unwrap());
    EngineClient::new(address, ClientOptions { tls, ..ClientOptions::default() })
}

#[tokio::test]
async fn requests_and_upgrades_go_on_over_tls_that_both_sides_verify() {
    let folder = tempfile::tempdir().unwrap();
    let (sides, files) = certificates(folder.path());
    let (fake, mut engines) = upgrading();
    let (_store, _primary, replica) = pair(fake, &sides).await;
    let mut attach = swarm_engine::Outgoing::get("/containers/c/attach?stdin=1&stream=1");
    attach.method = http::Method::POST;
    attach.upgrade = Some("tcp".to_owned());
    let reply = client(&replica, files).send(attach, Some(SOON)).await.unwrap();
    assert_eq!(reply.status, 101);
    let mut client = reply.upgraded.unwrap().await.unwrap().compat();
    let (mut engine, ..) = engines.recv().await.unwrap();
    client.write_all(b"stdin").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = String::new();
    engine.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "stdin");
    engine.write_all(b"late output").await.unwrap();
    drop(engine);
    got.clear();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "late output");
}

#[tokio::test]
async fn a_primary_with_a_certificate_of_another_ca_is_not_believed() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (sides, files) = certificates(ours.path());
    let (stranger, _) = certificates(theirs.path());
    let store = Memory::new();
    let served =
        |who: &'static str| Fake::acting(move |_, _, _: Exchange| async move { Reply::ok(&who) });
    let primary = Manager::with(&store, served("stranger"), stranger).await;
    primary.leads().await;
    let replica = Manager::with(&store, served("replica"), sides).await;
    replica.follows(&primary.address()).await;
    let client = client(&replica, files);
    let who: String = client.get_json("/containers/json", SOON).await.unwrap();
    assert_eq!(who, "replica");
    let mut change = swarm_engine::Outgoing::get("/containers/c/start");
    change.method = http::Method::POST;
    let refused = swarm_engine::refusal(client.send(change, Some(SOON)).await.unwrap()).await;
    let words = refused.to_string();
    assert!(words.contains("cannot be reached (TLS: "), "{words}");
}
