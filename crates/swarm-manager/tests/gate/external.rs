//! An external authority that really signs: named in the settings, rotated to, asked for every
//! certificate from then on.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use swarm_backend::{ApiError, Exchange, full};
use swarm_ca::{IssuerInfo, RootCa, Roots};
use swarm_docker::Query;
use swarm_manager::dispatcher::LogSource;
use swarm_manager::{Batch, Control};

use swarm_manager::dispatcher::logs::{LogEvent, LogOptions, LogSelector, LogsError};
use tokio::sync::mpsc;

use crate::cluster::root;
use crate::manager::Manager;
use crate::signing_server::{Conduct, start_for};

/// A change of `CAConfig`.
type Edit<'a> = Box<dyn FnOnce(&mut Value) + 'a>;

struct NoLogs;

#[async_trait]
impl LogSource for NoLogs {
    async fn logs(
        &self,
        _: LogSelector,
        _: LogOptions,
    ) -> Result<mpsc::Receiver<LogEvent>, LogsError> {
        panic!("nobody asks for logs")
    }
}

async fn shown(control: &Control) -> Value {
    let body = control.inspect_swarm().await.unwrap().body.collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

async fn change(control: &Control, edit: impl FnOnce(&mut Value)) -> Result<(), ApiError> {
    let mut swarm = shown(control).await;
    edit(&mut swarm["Spec"]["CAConfig"]);
    let mut exchange = Exchange::get("/");
    exchange.query = Query::parse(&format!("version={}", swarm["Version"]["Index"]));
    exchange.body = full(swarm["Spec"].to_string());
    control.update_swarm(exchange).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_is_rotated_to_an_external_authority() {
    let manager = Manager::found().await;
    let control = Control::new(Arc::clone(&manager.gate.replica), NoLogs);
    control.identify(Arc::clone(&manager.gate.live));
    let present = manager.gate.live.roots();
    let theirs = root();
    let server = start_for(&theirs, &present.certificates()[0], Conduct::Sign).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("https://{}/sign", closed.local_addr().unwrap());
    drop(closed);
    let entry =
        |url: &str| json!([{"Protocol": "cfssl", "URL": url, "CACert": theirs.certificate_pem()}]);

    // What cannot be is refused before anything is changed.
    let cert = theirs.certificate_pem();
    let refusals: [(Edit<'_>, &str); 5] = [
        (
            Box::new(|ca| ca["ExternalCAs"] = json!([{"Protocol": "acme", "URL": nobody}])),
            "invalid protocol",
        ),
        (
            Box::new(|ca| ca["ExternalCAs"] = json!([{"Protocol": "cfssl", "URL": "http://ca"}])),
            "https://",
        ),
        (
            Box::new(|ca| ca["ExternalCAs"] = json!([{"URL": nobody, "CACert": "x"}])),
            "its CA certificate",
        ),
        (
            Box::new(|ca| ca["SigningCACert"] = cert.clone().into()),
            "corresponding to the desired CA certificate",
        ),
        (
            Box::new(|ca| {
                ca["SigningCACert"] = cert.clone().into();
                ca["ExternalCAs"] = entry(&nobody);
            }),
            "no external CA answers",
        ),
    ];
    for (edit, words) in refusals {
        let refused = change(&control, edit).await.unwrap_err();
        assert!(refused.status() == 400 && refused.message.contains(words), "{refused:?}");
    }
    // One that is named for another root than the present one is not asked yet.
    change(&control, |ca| ca["ExternalCAs"] = entry(&server.url)).await.unwrap();
    manager.issued(&manager.tokens().worker).await.unwrap();
    assert!(server.asked.lock().unwrap().is_empty());

    change(&control, |ca| ca["SigningCACert"] = theirs.certificate_pem().into()).await.unwrap();
    let during = shown(&control).await;
    assert_eq!(during["RootRotationInProgress"], true);
    assert_eq!(during["Spec"]["CAConfig"]["ExternalCAs"], entry(&server.url));
    let (live, stored) = manager.issued(&manager.tokens().worker).await.unwrap();
    assert_eq!(server.asked.lock().unwrap().len(), 1);
    let trusted = Roots::kept(&present.to_pem()).unwrap().with(&theirs.roots().unwrap());
    let issuer = IssuerInfo::of_chain(&stored.chain, &trusted);
    assert_eq!(issuer, IssuerInfo::of(theirs.certificate()));
    // By the cross-signed certificate that goes along, whoever trusts the old root alone takes it.
    manager.reach(&live, swarm_rpc::CALLS).await.unwrap();

    // And away from it again, when it is the only root: it cross-signs the next one.
    all_moved(&manager, &theirs).await;
    assert!(control.end_rotation().await.unwrap());
    let other = root();
    let refused = change(&control, |ca| {
        ca["SigningCACert"] = other.certificate_pem().into();
        let other =
            json!({"Protocol": "cfssl", "URL": server.url, "CACert": other.certificate_pem()});
        ca["ExternalCAs"].as_array_mut().unwrap().push(other);
    });
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.status(), 400, "{refused:?}");
    server.asked.lock().unwrap().clear();
    change(&control, |ca| ca["ForceRotate"] = 1.into()).await.unwrap();
    assert_eq!(server.asked.lock().unwrap()[0]["profile"], "CA");
    let during = shown(&control).await;
    assert_eq!(during["RootRotationInProgress"], true);
    let (live, stored) = manager.issued(&manager.tokens().worker).await.unwrap();
    assert_eq!(server.asked.lock().unwrap().len(), 1, "the swarm signs by its new key");
    assert_eq!(stored.chain.len(), 2, "the cross-signed certificate goes along");
    assert!(IssuerInfo::of_chain(&stored.chain, &theirs.roots().unwrap()).is_some());
    drop(live);
    manager.shutdown().await;
}

/// As if each node had told that it has moved to this root.
async fn all_moved(manager: &Manager, root: &RootCa) {
    let issuer = IssuerInfo::of(root.certificate()).unwrap();
    let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let info = json!({
        "TrustRoot": root.certificate_pem(),
        "CertIssuerSubject": text(&issuer.subject),
        "CertIssuerPublicKey": text(&issuer.public_key),
    });
    let mut batch = Batch::default();
    let nodes =
        manager.gate.replica.read(|tables| tables.nodes.values().cloned().collect::<Vec<_>>());
    for node in nodes {
        let mut node = swarm_model::Node::clone(&node);
        node.description.rest.insert("TLSInfo".to_owned(), info.clone());
        batch.put(&node).unwrap();
    }
    manager.gate.replica.commit(batch).await.unwrap();
}
