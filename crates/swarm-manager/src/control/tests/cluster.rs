//! The swarm as a whole.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use swarm_ca::{Authority, IssuerInfo, JoinToken, RootCa};
use swarm_model::Node;
use swarm_model::node::NodeState;

use super::{Rig, ask, read, refused};

async fn change(
    rig: &Rig,
    query: &str,
    edit: impl FnOnce(&mut Value),
) -> Result<Value, (u16, String)> {
    let mut shown = read(rig.control.inspect_swarm().await).await;
    let query = format!("version={}&{query}", shown["Version"]["Index"]);
    edit(&mut shown["Spec"]);
    match rig.control.update_swarm(ask(&query, shown["Spec"].to_string())).await {
        Ok(_) => Ok(read(rig.control.inspect_swarm().await).await),
        refusal => Err(refused(refusal)),
    }
}

#[tokio::test]
async fn it_is_shown_without_keys() {
    let rig = Rig::begun().await;
    let shown = read(rig.control.inspect_swarm().await).await;
    assert_eq!(shown["Spec"]["Name"], "default");
    assert_eq!(shown["DefaultAddrPool"], json!(["10.0.0.0/8"]));
    assert_eq!((&shown["SubnetSize"], &shown["DataPathPort"]), (&json!(24), &json!(4789)));
    assert_eq!(shown["RootRotationInProgress"], false);
    let root = shown["TLSInfo"]["TrustRoot"].as_str().unwrap();
    assert!(root.starts_with("-----BEGIN CERTIFICATE-----"), "{root}");
    assert!(shown["TLSInfo"]["CertIssuerSubject"].as_str().unwrap().starts_with('M'));
    for role in ["Worker", "Manager"] {
        assert!(shown["JoinTokens"][role].as_str().unwrap().starts_with("SWMTKN-1-"));
    }
    assert!(!shown.to_string().contains("PRIVATE KEY"));
    assert_eq!(refused(Rig::new().control.inspect_swarm().await).0, 503);
}

#[tokio::test]
async fn settings_and_tokens_change_apart() {
    let rig = Rig::begun().await;
    let before = read(rig.control.inspect_swarm().await).await;
    let after = change(&rig, "", |spec| {
        spec["Orchestration"]["TaskHistoryRetentionLimit"] = 2.into();
        spec["Dispatcher"]["HeartbeatPeriod"] = 0.into();
        spec["Raft"] = json!({"SnapshotInterval": 100, "KeepOldSnapshots": 2});
        spec["CAConfig"]["NodeCertExpiry"] = 7_200_000_000_000_i64.into();
    })
    .await
    .unwrap();
    assert_eq!(after["Spec"]["Orchestration"]["TaskHistoryRetentionLimit"], 2);
    assert_eq!(after["Spec"]["Dispatcher"], before["Spec"]["Dispatcher"]);
    assert_eq!(after["JoinTokens"], before["JoinTokens"]);
    let raft = &after["Spec"]["Raft"];
    assert_eq!((&raft["SnapshotInterval"], &raft["KeepOldSnapshots"]), (&json!(100), &json!(2)));
    assert_eq!(raft["ElectionTick"], before["Spec"]["Raft"]["ElectionTick"]);
    let after = change(&rig, "", |spec| spec["Raft"] = json!({})).await.unwrap();
    assert_eq!(after["Spec"]["Raft"]["KeepOldSnapshots"], 2, "what is not said stays");
    let after = change(&rig, "rotateWorkerToken=true", |_| ()).await.unwrap();
    let (old, new) = (&before["JoinTokens"], &after["JoinTokens"]);
    assert!(old["Worker"] != new["Worker"] && old["Manager"] == new["Manager"]);
    // The new token pins the same root.
    let digest = |token: &Value| token.as_str().unwrap().split('-').nth(2).unwrap().to_owned();
    assert_eq!(digest(&old["Worker"]), digest(&new["Worker"]));
}

/// The query, the change, and the refusal.
type Refusal = (&'static str, fn(&mut Value), u16, &'static str);

#[tokio::test]
async fn what_is_wrong_or_not_there_yet_is_refused() {
    let rig = Rig::begun().await;
    let refusals: [Refusal; 10] = [
        ("", |spec| spec["Name"] = "x".into(), 400, "modification of cluster name is not allowed"),
        (
            "",
            |spec| spec["CAConfig"]["NodeCertExpiry"] = 1.into(),
            400,
            "minimum certificate expiry time is: 1h0m0s",
        ),
        (
            "",
            |spec| spec["Dispatcher"]["HeartbeatPeriod"] = (-1).into(),
            400,
            "heartbeat time period cannot be a negative duration",
        ),
        (
            "",
            |spec| spec["CAConfig"]["SigningCAKey"] = "x".into(),
            400,
            "if a signing CA key is provided, the signing CA cert must also be provided",
        ),
        (
            "rotateManagerUnlockKey=true",
            |_| (),
            400,
            "cannot rotate because autolock is not turned on",
        ),
        (
            "",
            |spec| spec["Raft"]["HeartbeatTick"] = 10.into(),
            400,
            "election tick must be greater than heartbeat tick",
        ),
        (
            "",
            |spec| spec["Raft"]["HeartbeatTick"] = (-1).into(),
            400,
            "heartbeat tick must be greater than 0",
        ),
        (
            "",
            |spec| spec["Raft"]["ElectionTick"] = 1001.into(),
            400,
            "election tick must be at most 1000",
        ),
        (
            "",
            |spec| spec["Raft"] = json!({"ElectionTick": 1000, "HeartbeatTick": 101}),
            400,
            "heartbeat tick must be at most 100",
        ),
        ("rotateWorkerToken=x", |_| (), 400, "invalid value for rotateWorkerToken: x"),
    ];
    for (query, edit, status, words) in refusals {
        assert_eq!(change(&rig, query, edit).await.unwrap_err(), (status, words.to_owned()));
    }
    let none = refused(rig.control.update_swarm(ask("", "{}")).await);
    assert!(none.1.starts_with("invalid swarm version ''"), "{}", none.1);
    let stale = refused(rig.control.update_swarm(ask("version=999", "{}")).await);
    assert!(stale.1.ends_with("update out of sequence"), "{}", stale.1);
}

#[tokio::test]
async fn the_unlock_key_comes_changes_and_goes_with_autolock() {
    let rig = Rig::begun().await;
    let key = async || {
        let shown = read(rig.control.unlock_key().await).await;
        shown["UnlockKey"].as_str().unwrap().to_owned()
    };
    assert_eq!(key().await, "");
    let lock = |spec: &mut Value| spec["EncryptionConfig"]["AutoLockManagers"] = true.into();
    let shown = change(&rig, "", lock).await.unwrap();
    assert_eq!(shown["Spec"]["EncryptionConfig"]["AutoLockManagers"], true);
    let first = key().await;
    swarm_ca::UnlockKey::parse(&first).unwrap();
    assert!(!shown.to_string().contains(&first), "only /swarm/unlockkey tells it");
    change(&rig, "", |_| ()).await.unwrap();
    assert_eq!(key().await, first);
    change(&rig, "rotateManagerUnlockKey=true", |_| ()).await.unwrap();
    assert_ne!(key().await, first);
    let open = |spec: &mut Value| spec["EncryptionConfig"]["AutoLockManagers"] = false.into();
    change(&rig, "", open).await.unwrap();
    assert_eq!(key().await, "");
}

/// A node whose certificate is by the root that issues now, and that trusts these roots.
fn moved(authority: &Authority, id: &str) -> Node {
    let issuing = authority.issuing().unwrap();
    let issuer = IssuerInfo::of(&issuing.certificates()[0]).unwrap();
    let mut node = Node { id: id.into(), ..Node::default() };
    let info = json!({
        "TrustRoot": authority.trusted().unwrap().to_pem(),
        "CertIssuerSubject": STANDARD.encode(issuer.subject),
        "CertIssuerPublicKey": STANDARD.encode(issuer.public_key),
    });
    node.description.rest.insert("TLSInfo".to_owned(), info);
    node
}

#[tokio::test]
async fn a_root_rotation_ends_when_all_nodes_have_moved() {
    let rig = Rig::begun().await;
    let authority = || {
        rig.replica.read(|tables| {
            super::super::cluster::authority(tables.cluster.as_ref().unwrap()).unwrap()
        })
    };
    let old = moved(&authority(), "old");
    rig.put(&old).await;
    let before = read(rig.control.inspect_swarm().await).await;
    let during = change(&rig, "", |spec| spec["CAConfig"]["ForceRotate"] = 1.into()).await.unwrap();
    assert_eq!(during["RootRotationInProgress"], true);
    assert_eq!(during["JoinTokens"], before["JoinTokens"]);
    let issuer = |shown: &Value| shown["TLSInfo"]["CertIssuerPublicKey"].clone();
    assert_ne!(issuer(&during), issuer(&before));
    // The same number asks for nothing more.
    let same = change(&rig, "", |_| ()).await.unwrap();
    assert_eq!(issuer(&same), issuer(&during));
    assert!(!rig.control.end_rotation().await.unwrap(), "a node has not moved");
    assert!(rig.control.summary().awaited.is_empty(), "it is heard of");
    let mut silent = rig.replica.read(|tables| Node::clone(&tables.nodes["old"]));
    silent.status.state = NodeState::Down;
    rig.put(&silent).await;
    assert_eq!(rig.control.summary().awaited, ["old"]);
    let stop = tokio_util::sync::CancellationToken::new();
    let following = tokio::spawn(Arc::clone(&rig.control).follow_rotations(stop.clone()));
    let feed = rig.replica.feed();
    let version = rig.replica.read(|tables| tables.nodes["old"].version);
    rig.put(&Node { version, ..moved(&authority(), "old") }).await;
    while authority().is_rotating() {
        feed.changed().await;
    }
    stop.cancel();
    following.await.unwrap();
    let after = read(rig.control.inspect_swarm().await).await;
    assert_eq!(
        (issuer(&after), &after["RootRotationInProgress"]),
        (issuer(&during), &json!(false))
    );
    assert_ne!(after["TLSInfo"]["TrustRoot"], before["TLSInfo"]["TrustRoot"]);
    for role in ["Worker", "Manager"] {
        let token = JoinToken::parse(after["JoinTokens"][role].as_str().unwrap()).unwrap();
        assert_eq!(token.digest(), authority().pinned().unwrap().digest());
    }
}

#[tokio::test]
async fn a_root_of_one_s_own_is_taken_and_its_key_shown_to_nobody() {
    let rig = Rig::begun().await;
    let own = RootCa::create(SystemTime::now()).unwrap();
    let shown = change(&rig, "", |spec| {
        spec["CAConfig"]["SigningCACert"] = own.certificate_pem().into();
        spec["CAConfig"]["SigningCAKey"] = own.key().reveal().into();
    })
    .await
    .unwrap();
    assert_eq!(shown["RootRotationInProgress"], true);
    assert!(!shown.to_string().contains("PRIVATE KEY"));
    let issuer = IssuerInfo::of(own.certificate()).unwrap();
    assert_eq!(shown["TLSInfo"]["CertIssuerPublicKey"], STANDARD.encode(issuer.public_key));
    let wrong = change(&rig, "", |spec| {
        spec["CAConfig"]["SigningCACert"] = "x".into();
        spec["CAConfig"]["SigningCAKey"] = "hunter2".into();
    });
    let wrong = wrong.await.unwrap_err();
    assert!(wrong.0 == 400 && !wrong.1.contains("hunter2"), "{wrong:?}");
}
