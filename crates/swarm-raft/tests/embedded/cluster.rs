//! Several managers: what every store must do, through each of them; beginning alone, and all of
//! them going at once.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{KeyValue, Write};
use swarm_raft::{Embedded, EmbeddedOptions, Member};
use swarm_testkit::stores::conformance;

use crate::pool::{Pool, eventually, folder, join, open, options};

#[tokio::test(flavor = "multi_thread")]
async fn three_managers_do_what_every_store_must_through_each_of_them() {
    let pool = Pool::of(3).await;
    for (place, manager) in pool.managers.iter().enumerate() {
        let store: Arc<dyn KeyValue> = Arc::clone(manager) as _;
        let other: Arc<dyn KeyValue> = Arc::clone(&pool.managers[(place + 1) % 3]) as _;
        let root = format!("check{place}");
        conformance::check(&store, &other, &root, Duration::from_secs(1)).await;
    }
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_began_alone_takes_in_others_later() {
    let (first, second) = (folder(), folder());
    let alone = Embedded::open(EmbeddedOptions::new(first.path())).await.unwrap();
    assert_eq!(alone.address(), "");
    alone.put(Write::new("d/k", "1")).await.unwrap();
    alone.shutdown().await;
    drop(alone);
    let listening = open(&first, "127.0.0.1:0").await;
    let token = listening.tokens().await.unwrap().manager;
    let joined = join(&second, &[&listening], &token).await.unwrap();
    eventually("both vote", async || {
        let members = joined.members().await;
        let there = |member: &Member| member.is_voter && member.reachable;
        (members.len() == 2 && members.iter().all(there)).then_some(())
    })
    .await;
    assert_eq!(joined.get("d/k").await.unwrap().unwrap().value, "1");
    // One of several is not opened without being reached.
    listening.shutdown().await;
    drop(listening);
    let error = Embedded::open(EmbeddedOptions::new(first.path())).await.unwrap_err().to_string();
    assert!(error.contains("--store-listen: this pool has 2 managers"), "{error}");
    joined.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_go_at_once_and_come_back_with_everything() {
    let mut pool = Pool::of(3).await;
    let lease = pool.managers[0].grant(Duration::from_mins(1)).await.unwrap();
    pool.managers[1].put(Write::new("d/leased", "x").leased(&lease)).await.unwrap();
    for number in 0..50 {
        let write = Write::new(format!("d/{number:02}"), vec![5; 3000]);
        pool.managers[number % 3].put(write).await.unwrap();
    }
    // A watch that is left behind does not keep a folder.
    let left = pool.managers[0].watch("d");
    let addresses: Vec<_> = pool.managers.iter().map(|one| one.address().to_owned()).collect();
    pool.managers.clear();
    for (folder, address) in pool.folders.iter().zip(&addresses) {
        pool.managers.push(open(folder, address).await);
    }
    drop(left);
    for manager in &pool.managers {
        let there = eventually("it answers", async || manager.list("d").await.ok()).await;
        assert_eq!(there.len(), 51);
    }
    pool.managers[2].renew(&lease).await.unwrap();
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_quorum_for_good_goes_on_alone() {
    let mut pool = Pool::of(3).await;
    for number in 0..50 {
        pool.managers[0].put(Write::new(format!("d/{number:02}"), "x")).await.unwrap();
    }
    let all_applied = async || (pool.managers[2].list("d").await.ok()?.len() == 50).then_some(());
    eventually("it has everything", all_applied).await;
    let tokens = pool.managers[2].tokens().await.unwrap();
    for manager in pool.managers.drain(..) {
        manager.shutdown().await;
    }
    // The folders of the others are gone.
    let kept = pool.folders.pop().unwrap();
    let alone = eventually("its folder is free", async || {
        let mut options = options(kept.path(), "127.0.0.1:0").await;
        options.alone = true;
        Embedded::open(options).await.ok()
    })
    .await;
    assert_eq!(alone.members().await.len(), 1);
    assert_eq!(alone.list("d").await.unwrap().len(), 50);
    assert_eq!(alone.tokens().await.unwrap(), tokens);
    alone.put(Write::new("d/new", "x")).await.unwrap();
    // It is a pool like any other from then on.
    let second = folder();
    let joined = join(&second, &[&alone], &tokens.manager).await.unwrap();
    eventually("it is filled", async || (joined.list("d").await.ok()?.len() == 51).then_some(()))
        .await;
    alone.shutdown().await;
    let (address, id) = (alone.address().to_owned(), alone.id());
    drop(alone);
    let again = open(&kept, &address).await;
    assert_eq!(again.id(), id);
    eventually("both answer", async || again.put(Write::new("d/k", "x")).await.ok()).await;
    joined.shutdown().await;
    again.shutdown().await;
}
