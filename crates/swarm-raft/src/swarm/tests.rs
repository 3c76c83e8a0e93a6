//! Managers of a swarm whose connections are pipes in memory: who is at the other end is the
//! transport's business, and tested where there are certificates.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use swarm_kv::{KeyValue as _, StoreError, Write};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{Embedded, EmbeddedOptions, Stream, Swarm, Transport};

mod changes;
mod damage;

const PATIENCE: Duration = Duration::from_secs(30);

/// Who answers where, and how long the way there takes.
#[derive(Debug, Default)]
struct Streets(Mutex<HashMap<String, Arc<Embedded>>>, Mutex<Duration>);

#[async_trait]
impl Transport for Streets {
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        let long = *self.1.lock();
        tokio::time::sleep(long).await;
        let there = self.0.lock().get(address).cloned();
        let there = there.ok_or_else(|| io::Error::other("nobody lives there"))?;
        let (here, stream) = tokio::io::duplex(64 << 10);
        there.take(Box::new(stream));
        Ok(Box::new(here))
    }
}

fn options(folder: &TempDir, streets: &Arc<Streets>, own: &str, join: &[&str]) -> EmbeddedOptions {
    let transport = Arc::clone(streets) as _;
    let join: Vec<_> = join.iter().map(|&address| address.to_owned()).collect();
    EmbeddedOptions {
        advertise: Some(own.to_owned()),
        swarm: Some(Swarm { transport, founds: join.is_empty(), join }),
        ..EmbeddedOptions::new(folder.path())
    }
}

async fn open(folder: &TempDir, streets: &Arc<Streets>, own: &str, join: &[&str]) -> Arc<Embedded> {
    let opened = Embedded::open(options(folder, streets, own, join)).await.unwrap();
    streets.0.lock().insert(own.to_owned(), Arc::clone(&opened));
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_join_replicate_and_tell_who_leads() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = open(&folders[0], &streets, "a:1", &[]).await;
    let mut lead = first.leadership();
    timeout(PATIENCE, lead.wait_for(|now| now.leads)).await.unwrap().unwrap();
    assert_eq!(lead.borrow().leader.as_deref(), Some("a:1"));
    // One address where nobody is does not hinder.
    let second = open(&folders[1], &streets, "b:1", &["z:1", "a:1"]).await;
    let third = open(&folders[2], &streets, "c:1", &["a:1"]).await;
    votes(&first, 3).await;

    let written = third.put(Write::new("swarm/x/1", "v")).await.unwrap();
    second.barrier().await.unwrap();
    let followed = second.follow_all("swarm/", None);
    assert!(followed.revision >= written.0);
    assert_eq!(followed.changes.len(), 1);
    let mut news = second.news();
    news.mark_unchanged();
    first.put(Write::new("swarm/x/2", "v")).await.unwrap();
    timeout(PATIENCE, news.changed()).await.unwrap().unwrap();

    // The leader ends: it does not lead, and another one does.
    let mut next = [second.leadership(), third.leadership()];
    streets.0.lock().remove("a:1");
    first.shutdown().await;
    assert!(!lead.borrow().leads);
    let [one, two] = &mut next;
    let led = async {
        tokio::select! {
            led = one.wait_for(|now| now.leads) => led.unwrap().clone(),
            led = two.wait_for(|now| now.leads) => led.unwrap().clone(),
        }
    };
    let led = timeout(PATIENCE, led).await.unwrap();
    assert!(matches!(led.leader.as_deref(), Some("b:1" | "c:1")), "{led:?}");
    for manager in [second, third] {
        manager.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_does_not_lead() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&folders[0], &streets, "a:1", &[]).await;
    let second = open(&folders[1], &streets, "b:1", &["a:1"]).await;
    votes(&first, 2).await;
    let mut lead = first.leadership();
    timeout(PATIENCE, lead.wait_for(|now| now.leads)).await.unwrap().unwrap();
    first.cut(&[second.id()]);
    second.cut(&[first.id()]);
    timeout(PATIENCE, lead.wait_for(|now| !now.leads)).await.unwrap().unwrap();
    assert!(matches!(first.barrier().await, Err(StoreError::Unreachable { .. })));
    first.cut(&[]);
    second.cut(&[]);
    let mut other = second.leadership();
    let led = async {
        tokio::select! {
            led = lead.wait_for(|now| now.leads) => led.map(drop),
            led = other.wait_for(|now| now.leads) => led.map(drop),
        }
    };
    timeout(PATIENCE, led).await.unwrap().unwrap();
    for manager in [first, second] {
        manager.shutdown().await;
    }
}

/// Three managers that vote; the first one founded the swarm.
async fn three(folders: &[TempDir; 3], streets: &Arc<Streets>) -> [Arc<Embedded>; 3] {
    let first = open(&folders[0], streets, "a:1", &[]).await;
    let second = open(&folders[1], streets, "b:1", &["a:1"]).await;
    let third = open(&folders[2], streets, "c:1", &["a:1"]).await;
    votes(&first, 3).await;
    [first, second, third]
}

/// As on a machine whose cores have other work: a connection takes longer than an election waits for a vote.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_leader_is_followed_also_where_connections_take_long() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third] = three(&folders, &streets).await;
    assert!(first.leadership().borrow().leads);
    *streets.1.lock() = Duration::from_millis(700);
    first.cut(&[second.id(), third.id()]);
    second.cut(&[first.id()]);
    third.cut(&[first.id()]);
    let [mut one, mut two] = [second.leadership(), third.leadership()];
    let led = async {
        tokio::select! {
            led = one.wait_for(|now| now.leads) => led.map(drop),
            led = two.wait_for(|now| now.leads) => led.map(drop),
        }
    };
    timeout(PATIENCE, led).await.unwrap().unwrap();
    for manager in [first, second, third] {
        manager.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_cut_off_and_comes_back_deposes_nobody() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third] = three(&folders, &streets).await;
    let before = first.leadership().borrow().clone();
    assert!(before.leads);
    third.cut(&[first.id(), second.id()]);
    first.cut(&[third.id()]);
    second.cut(&[third.id()]);
    // It stands for election several times: each time it asks both of them, who hear nothing.
    timeout(PATIENCE, third.asks_for_votes(8)).await.unwrap();
    first.put(Write::new("swarm/x/1", "v")).await.unwrap();
    for manager in [&first, &second, &third] {
        manager.cut(&[]);
    }
    let seen = async {
        while third.follow_all("swarm/", None).changes.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap();
    // Through the leader, whom it follows again.
    third.put(Write::new("swarm/x/2", "v")).await.unwrap();
    assert_eq!(*first.leadership().borrow(), before, "its term has not risen either");
    for manager in [third, second, first] {
        manager.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_s_store_is_not_a_swarm_s() {
    let streets = Arc::new(Streets::default());
    let folder = tempfile::tempdir().unwrap();
    Embedded::open(EmbeddedOptions::new(folder.path())).await.unwrap().shutdown().await;
    let opened = Embedded::open(options(&folder, &streets, "a:1", &[])).await;
    let Err(StoreError::Refused { reason, .. }) = opened else { panic!("{opened:?}") };
    assert!(reason.contains("a pool's store"), "{reason}");
    let folder = tempfile::tempdir().unwrap();
    open(&folder, &streets, "a:1", &[]).await.shutdown().await;
    let opened = Embedded::open(EmbeddedOptions::new(folder.path())).await;
    let Err(StoreError::Refused { reason, .. }) = opened else { panic!("{opened:?}") };
    assert!(reason.contains("a swarm's store"), "{reason}");
    let nowhere = EmbeddedOptions { advertise: None, ..options(&folder, &streets, "", &[]) };
    assert!(matches!(Embedded::open(nowhere).await, Err(StoreError::Option { .. })));
}

async fn votes(manager: &Embedded, count: usize) {
    let votes = async {
        loop {
            let members = manager.members().await;
            let there = members.iter().filter(|member| member.is_voter && member.reachable);
            if there.count() == count && members.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, votes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_comes_back_elsewhere_and_one_goes_on_alone() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&folders[0], &streets, "a:1", &[]).await;
    let second = open(&folders[1], &streets, "b:1", &["a:1"]).await;
    votes(&first, 2).await;
    first.put(Write::new("swarm/x/1", "v")).await.unwrap();
    let id = second.id();
    second.shutdown().await;
    streets.0.lock().remove("b:1");
    // Whom it joined once is not asked again.
    let second = open(&folders[1], &streets, "b:2", &["a:1"]).await;
    assert_eq!(second.id(), id);
    let known = async {
        while first.members().await.iter().all(|member| member.address != "b:2") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, known).await.unwrap();
    votes(&first, 2).await;

    // The first is lost for good.
    first.shutdown().await;
    streets.0.lock().clear();
    second.shutdown().await;
    let alone = EmbeddedOptions { alone: true, ..options(&folders[1], &streets, "b:2", &[]) };
    let second = Embedded::open(alone).await.unwrap();
    streets.0.lock().insert("b:2".to_owned(), Arc::clone(&second));
    assert_ne!(second.id(), id, "it is another one, whom the lost ones do not know");
    votes(&second, 1).await;
    second.put(Write::new("swarm/x/2", "v")).await.unwrap();
    assert_eq!(second.follow_all("swarm/", None).changes.len(), 1);
    assert!(second.get("swarm/x/1").await.unwrap().is_some());
    let folder = tempfile::tempdir().unwrap();
    let third = open(&folder, &streets, "c:1", &["b:2"]).await;
    votes(&second, 2).await;
    third.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_that_all_moved_find_each_other_where_they_are_told() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third] = three(&folders, &streets).await;
    first.put(Write::new("swarm/x/1", "v")).await.unwrap();
    streets.0.lock().clear();
    for manager in [third, second, first] {
        manager.shutdown().await;
    }
    // Of two others, each knows where one is.
    let first = open(&folders[0], &streets, "a:2", &["b:2"]).await;
    let second = open(&folders[1], &streets, "b:2", &["c:2"]).await;
    let third = open(&folders[2], &streets, "c:2", &["a:2"]).await;
    votes(&third, 3).await;
    // They answer where they said that they are before all have agreed on it.
    let agreed = async {
        loop {
            let mut addresses: Vec<_> =
                third.members().await.into_iter().map(|member| member.address).collect();
            addresses.sort();
            if addresses == ["a:2", "b:2", "c:2"] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, agreed).await.unwrap();
    assert!(second.get("swarm/x/1").await.unwrap().is_some());
    for manager in [first, second, third] {
        manager.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_much_of_the_log_stays_behind_a_snapshot_as_was_asked_for() {
    let streets = Arc::new(Streets::default());
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, &streets, "a:1", &[]).await;
    let mut lead = store.leadership();
    timeout(PATIENCE, lead.wait_for(|now| now.leads)).await.unwrap().unwrap();
    let write = async |count: u32| {
        for number in 0..count {
            store.put(Write::new(format!("d/{number}"), "x")).await.unwrap();
        }
    };
    let begins = async |from: u64| {
        let begun = async {
            while store.log_begins() < from {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, begun).await.unwrap();
        store.log_begins()
    };
    // More than there is: nothing goes.
    store.keep_snapshots(20, 0);
    write(60).await;
    assert_eq!(store.log_begins(), 0);
    // From now on ten.
    store.keep_behind(10);
    let first = begins(20).await;
    assert!(first <= 60, "{first}");
    write(60).await;
    let second = begins(first + 40).await;
    assert!(second <= 115, "{second}");
    store.shutdown().await;
    // What is left is enough.
    streets.0.lock().clear();
    let again = open(&folder, &streets, "a:1", &[]).await;
    assert_eq!(again.list("d").await.unwrap().len(), 60);
}
