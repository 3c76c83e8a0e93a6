//! Renewal: at once when another role or issuer is wished, and never for a removed node.

use std::time::{Duration, SystemTime};

use swarm_ca::rotation::{KeptRoot, Signer};
use swarm_ca::{Disk, Expiry, Identity, NodeKey, Role, RootCa, Stored, Subject};
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

/// The same node with a certificate of so many hours that was issued so long ago.
async fn aged(manager: &Manager, own: &Own, disk: Disk, hours: u64, ago: Duration) -> Own {
    let Signer::Own(issuer) = kept(&manager.cluster()).unwrap().signer(SystemTime::now()).unwrap()
    else {
        panic!("the key is here")
    };
    let subject = own.identity().subject;
    let subject = Subject::new(subject.node_id(), Role::Worker, subject.cluster_id()).unwrap();
    let key = NodeKey::generate().unwrap();
    let issued = SystemTime::now() - ago;
    let expiry = Expiry::new(Duration::from_hours(hours)).unwrap();
    let chain = issuer.issue(&key.request().unwrap(), &subject, expiry, issued).unwrap();
    disk.save(&Stored::new(key, &chain).unwrap(), None).unwrap();
    Own::load(disk, None).await.unwrap().unwrap()
}

/// The swarm wishes from now on that certificates last so long.
async fn expiry(manager: &Manager, life: Duration) {
    let nanos = i64::try_from(life.as_nanos()).unwrap();
    manager.change(|cluster| cluster.spec.ca_config.node_cert_expiry = nanos).await;
}

/// How long a certificate is good from now on.
fn left(identity: &Identity) -> Duration {
    identity.not_after.duration_since(SystemTime::now()).unwrap_or_default()
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
    let own = aged(&manager, &own, disk, 1, Duration::from_mins(90)).await;
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
async fn a_certificate_that_lasts_too_long_now_is_renewed_and_a_short_one_in_its_own_time() {
    let manager = Manager::found().await;
    let (_folder, disk) = disk();
    let own = joined(&manager, disk.clone()).await;
    let (day, two_hours) = (Duration::from_hours(24), Duration::from_hours(2));
    let own = aged(&manager, &own, disk.clone(), 90 * 24, Duration::from_mins(100)).await;
    assert!(left(&own.identity()) > 89 * day);
    let mut identities = own.watch();
    let (_managers, managers) = watch::channel(vec![manager.address.clone()]);
    let (wishes, wished) = watch::channel(Wishes::default());
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keep_renewed(own.clone(), managers, wished, stop.clone()));
    expiry(&manager, two_hours).await;
    wishes.send_modify(|wish| wish.life = Some(two_hours));
    let short = identities.wait_for(|now| left(now) <= two_hours);
    let short = timeout(PATIENCE, short).await.unwrap().unwrap().clone();
    assert!(left(&short) > Duration::from_mins(110), "{:?}", left(&short));

    // Back: it is young, and is kept until something else asks for another.
    expiry(&manager, 90 * day).await;
    wishes.send_modify(|wish| wish.life = Some(90 * day));
    wishes.send_modify(|wish| wish.issuer = issuing(&manager.cluster()).unwrap().to_string());
    change(&manager, &own, |node| node.spec.role = Wished::Manager).await;
    assert_eq!(own.identity(), short);
    wishes.send_modify(|wish| wish.role = Some(Role::Manager));
    let long = identities.wait_for(|now| left(now) > 89 * day);
    let long = timeout(PATIENCE, long).await.unwrap().unwrap().clone();
    assert_eq!(long.subject.role(), Role::Manager, "renewed once, for the role");
    stop.cancel();
    assert_eq!(timeout(PATIENCE, keeping).await.unwrap().unwrap(), Ended::Stopped);

    // One of an hour is renewed in time, whatever is wished meanwhile.
    let own = aged(&manager, &own, disk, 1, Duration::from_mins(45)).await;
    let mut identities = own.watch();
    let (_managers, managers) = watch::channel(vec![manager.address.clone()]);
    let wish = Wishes { life: Some(90 * day), ..Wishes::default() };
    let (_wishes, wished) = watch::channel(wish);
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keep_renewed(own.clone(), managers, wished, stop.clone()));
    let long = identities.wait_for(|now| left(now) > 89 * day);
    timeout(PATIENCE, long).await.unwrap().unwrap();
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
