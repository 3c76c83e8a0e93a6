//! Several managers: what every store must do, through each of them; beginning alone, and all of
//! them going at once.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{KeyValue, StoreError, Write};
use swarm_raft::{Embedded, EmbeddedOptions, Member};
use swarm_store::{Transaction, When};
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

/// Two accounts between which every manager moves at the same time: what one gains the other loses,
/// whoever reads.
#[tokio::test(flavor = "multi_thread")]
async fn changes_made_together_are_seen_together_through_each_manager() {
    let pool = Pool::of(3).await;
    let number = |item: &swarm_kv::Item| -> u32 {
        String::from_utf8_lossy(&item.value).parse().expect("a number")
    };
    let first = Transaction {
        expects: vec![("d/left".into(), When::Absent), ("d/right".into(), When::Absent)],
        puts: vec![("d/left".into(), "30".into()), ("d/right".into(), "0".into())],
        deletes: Vec::new(),
    };
    pool.managers[1].transact(first.clone()).await.unwrap();
    let error = pool.managers[2].transact(first).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { key } if key == "d/left"), "{error}");
    let moving = pool.managers.iter().map(|manager| async move {
        let mut moved = 0;
        while moved < 10 {
            let both = manager.list("d").await.unwrap();
            let [left, right] = &both[..] else { panic!("{both:?}") };
            assert_eq!(number(left) + number(right), 30);
            let step = Transaction {
                expects: both
                    .iter()
                    .map(|one| (one.key.clone(), When::At(one.revision.0)))
                    .collect(),
                puts: vec![
                    ("d/left".into(), (number(left) - 1).to_string().into()),
                    ("d/right".into(), (number(right) + 1).to_string().into()),
                ],
                deletes: Vec::new(),
            };
            match manager.transact(step).await {
                Ok(_) => moved += 1,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    futures_util::future::join_all(moving).await;
    let both = pool.managers[0].list("d").await.unwrap();
    assert_eq!(both.iter().map(number).collect::<Vec<_>>(), [0, 30]);
    pool.shutdown().await;
}
