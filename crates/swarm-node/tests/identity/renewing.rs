//! Renewal: at once when another role or issuer is wished, and never for a removed node.

use std::time::{Duration, SystemTime};

use swarm_ca::rotation::{KeptRoot, Signer};
use swarm_ca::{Disk, Expiry, NodeKey, Role, RootCa, Stored, Subject};
use swarm_manager::Batch;
use swarm_manager::authority::{issuing, kept};
use swarm_model::node::Role as Wished;
use swarm_model::{Availability, Node};
use swarm_node::identity::{Ended, Joining, Own, RenewError, Wishes, join, keep_renewed, renew};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::joining::disk;
use crate::manager::{Manager, PATIENCE, eventually};

async fn joined(manager: &Manager, disk: Disk) -> Own {
    let addresses = vec![manager.address.clone()];
    let joining = Joining { addresses, availability: Availability::Active };
    join(manager.tokens().worker.reveal(), &joining, disk, None).await.unwrap()
}

async fn change(manager: &Manager, own: &Own, change: impl FnOnce(&mut Node)) {
    let id = own.identity().subject.node_id().to_owned();
    let mut node = manager.gate.replica.read(|tables| Node::clone(&tables.nodes[&*id]));
    change(&mut node);
    let mut batch = Batch::default();
    batch.put(&node).unwrap();
    manager.gate.replica.commit(batch).await.unwrap();
}

async fn remove(manager: &Manager, own: &Own) {
    let id = own.identity().subject.node_id().to_owned();
    let node = manager.gate.replica.read(|tables| Node::clone(&tables.nodes[&*id]));
    let mut cluster = manager.cluster();
    cluster.removed.insert(node.id.clone(), node.certificate_ends);
    let mut batch = Batch::default();
    batch.put(&cluster).unwrap();
    batch.delete(&node);
    manager.gate.replica.commit(batch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_and_another_root_are_followed_at_once() {
    let manager = Manager::found().await;
    let (_folder, disk) = disk();
    let own = joined(&manager, disk.clone()).await;
    let mut identities = own.watch();
    let (_managers, managers) = watch::channel(vec![manager.address.clone()]);
    let (wishes, wished) = watch::channel(Wishes::default());
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keep_renewed(own.clone(), managers, wished, stop.clone()));

    change(&manager, &own, |node| node.spec.role = Wished::Manager).await;
    wishes.send_modify(|wish| wish.role = Some(Role::Manager));
    let promoted = identities.wait_for(|now| now.subject.role() == Role::Manager);
    timeout(PATIENCE, promoted).await.unwrap().unwrap();

    // The root is rotated: both are trusted, and the new one issues.
    let now = SystemTime::now();
    let next = KeptRoot::with_key(&RootCa::create(now).unwrap());
    let rotated = kept(&manager.cluster()).unwrap().rotate(next, None, 1, now).unwrap();
    let before = own.issuer();
    manager.change(|cluster| cluster.authority = serde_json::to_value(&rotated).unwrap()).await;
    let trusted = rotated.trusted().unwrap();
    assert_eq!(trusted.certificates().len(), 2);
    wishes.send_modify(|wish| {
        wish.roots = trusted.to_pem();
        wish.issuer = issuing(&manager.cluster()).unwrap().to_string();
    });
    eventually("it is issued by the new root", async || (own.issuer() != before).then_some(()))
        .await;
    assert_eq!(own.live().roots(), trusted);
    // On disk, too; and whoever trusts the old root alone still takes it.
    let back = Own::load(disk, None).await.unwrap().unwrap();
    assert_eq!((back.identity(), back.issuer()), (own.identity(), own.issuer()));
    manager.reach(own.live(), swarm_rpc::CALLS).await.unwrap();

    remove(&manager, &own).await;
    wishes.send_modify(|wish| wish.role = Some(Role::Worker));
    let ended = timeout(PATIENCE, keeping).await.unwrap().unwrap();
    assert!(matches!(&ended, Ended::Removed(words) if words.contains("was removed")), "{ended:?}");
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_off_beyond_its_certificate_s_life_is_let_back_in() {
    let manager = Manager::found().await;
    let (_folder, disk) = disk();
    let own = joined(&manager, disk.clone()).await;
    let Signer::Own(issuer) = kept(&manager.cluster()).unwrap().signer(SystemTime::now()).unwrap()
    else {
        panic!("the key is here")
    };
    let subject = own.identity().subject;
    let subject = Subject::new(subject.node_id(), Role::Worker, subject.cluster_id()).unwrap();
    let key = NodeKey::generate().unwrap();
    let issued = SystemTime::now() - Duration::from_mins(90);
    let expiry = Expiry::new(Duration::from_hours(1)).unwrap();
    let chain = issuer.issue(&key.request().unwrap(), &subject, expiry, issued).unwrap();
    let ended = Stored::new(key, &chain).unwrap();
    disk.save(&ended, None).unwrap();

    let own = Own::load(disk, None).await.unwrap().unwrap();
    assert!(own.identity().is_expired(SystemTime::now()));
    let (_managers, managers) = watch::channel(vec![manager.address.clone()]);
    let (_wishes, wished) = watch::channel(Wishes::default());
    let (mut identities, stop) = (own.watch(), CancellationToken::new());
    let keeping = tokio::spawn(keep_renewed(own.clone(), managers, wished, stop.clone()));
    let fresh = identities.wait_for(|now| !now.is_expired(SystemTime::now()));
    timeout(PATIENCE, fresh).await.unwrap().unwrap();
    manager.reach(own.live(), swarm_rpc::CALLS).await.unwrap();
    stop.cancel();
    assert_eq!(timeout(PATIENCE, keeping).await.unwrap().unwrap(), Ended::Stopped);
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_renew_is_named() {
    let (manager, other) = (Manager::found().await, Manager::found().await);
    let (_folder, disk) = disk();
    let own = joined(&manager, disk).await;
    let before = own.identity();
    let error = renew(&own, std::slice::from_ref(&other.address)).await.unwrap_err();
    let RenewError::Failed(reasons) = &error else { panic!("{error}") };
    assert!(reasons[0].starts_with(&other.address), "{reasons:?}");
    assert!(reasons[0].contains("another swarm"), "{reasons:?}");
    let error = renew(&own, &[]).await.unwrap_err();
    assert!(error.to_string().contains("no manager's address is known"), "{error}");
    assert_eq!(own.identity(), before);
    renew(&own, &[other.address.clone(), manager.address.clone()]).await.unwrap();
    manager.shutdown().await;
    other.shutdown().await;
}
