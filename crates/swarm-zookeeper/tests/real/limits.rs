//! Races, sizes, and what the tree cannot do.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{Change, Expect, Guard, StoreError, Write};
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};
use swarm_zookeeper::LARGEST_VALUE;

use crate::opening::{next, plain, whole};

#[tokio::test(flavor = "multi_thread")]
async fn many_race_for_a_lock_and_one_has_it_each_time() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let stores = [plain(&server.url("")), plain(&server.url(""))];
    let mut leases = Vec::new();
    for store in &stores {
        leases.push(store.grant(Duration::from_secs(30)).await.unwrap());
    }
    for round in 0..50 {
        let write = |number: usize| {
            Write::new("p/leader", format!("{round} {number}"))
                .expecting(Expect::Absent)
                .leased(&leases[number])
        };
        let (a, b) = tokio::join!(stores[0].put(write(0)), stores[1].put(write(1)));
        let (winner, revision) = match (a, b) {
            (Ok(revision), Err(StoreError::Conflict { .. })) => (0, revision),
            (Err(StoreError::Conflict { .. }), Ok(revision)) => (1, revision),
            other => panic!("round {round}: {other:?}"),
        };
        let held = stores[1 - winner].get("p/leader").await.unwrap().unwrap();
        assert_eq!((held.value, held.revision), (format!("{round} {winner}").into(), revision));
        stores[winner].delete("p/leader", Expect::Revision(revision), None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unconditional_write_of_many_is_done_and_every_conditional_one_counts() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let stores = [plain(&server.url("")), plain(&server.url(""))];
    stores[0].put(Write::new("p/count", "0")).await.unwrap();
    let writers = (0..8_usize).map(|number| {
        let store = Arc::clone(&stores[number % 2]);
        tokio::spawn(async move {
            store.put(Write::new("p/any", format!("{number}"))).await.unwrap();
            // Adds one by comparing and setting.
            loop {
                let item = store.get("p/count").await.unwrap().unwrap();
                let count: u32 = str::from_utf8(&item.value).unwrap().parse().unwrap();
                let write = Write::new("p/count", format!("{}", count + 1));
                match store.put(write.expecting(Expect::Revision(item.revision))).await {
                    Ok(_) => return,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for writer in futures_util::future::join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(stores[1].get("p/count").await.unwrap().unwrap().value, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_write_and_its_guard_cannot_both_win() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let (old, new) = (plain(&server.url("")), plain(&server.url("")));
    for round in 0..50 {
        let revision = new.put(Write::new("p/epoch", format!("{round}"))).await.unwrap();
        let guard = Guard { key: "p/epoch".into(), revision };
        let (written, taken) = tokio::join!(
            old.put(Write::new("p/k", format!("{round}")).guarded(Some(&guard))),
            new.put(Write::new("p/epoch", "next").expecting(Expect::Revision(revision))),
        );
        let taken = taken.unwrap();
        match written {
            // Then it was first: transactions are numbered in their order.
            Ok(written) => assert!(written < taken, "{written:?} {taken:?}"),
            Err(error) => assert_eq!(error, StoreError::Fenced { key: "p/epoch".into() }),
        }
        let late = old.put(Write::new("p/k", "late").guarded(Some(&guard))).await;
        assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_value_is_taken_and_none_larger() {
    // It has to pass between servers too.
    let servers = ZooKeeperServer::start(Config { servers: 3, ..Config::default() }).unwrap();
    let store = plain(&servers.url(""));
    let lease = store.grant(Duration::from_secs(20)).await.unwrap();
    let key = format!("p/{}", "k".repeat(200));
    let value = vec![7_u8; LARGEST_VALUE];
    let guard = store.put(Write::new("p/epoch", "1")).await.unwrap();
    let guard = Guard { key: "p/epoch".into(), revision: guard };
    store.put(Write::new(&*key, value.clone())).await.unwrap();
    // Taken over by a lease, under a guard: the longest transaction there is.
    let write = Write::new(&*key, value.clone()).leased(&lease).guarded(Some(&guard));
    store.put(write).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap().unwrap().value.len(), LARGEST_VALUE);
    let huge = store.put(Write::new("p/k", vec![0; LARGEST_VALUE + 1])).await;
    assert!(matches!(huge, Err(StoreError::TooLarge { limit: LARGEST_VALUE, .. })), "{huge:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tree_cannot_do_is_refused_in_words() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let lease = store.grant(Duration::from_secs(20)).await.unwrap();
    store.put(Write::new("p/leased", "1").leased(&lease)).await.unwrap();
    store.put(Write::new("p/dir/k", "1")).await.unwrap();
    for (result, words) in [
        (store.put(Write::new("p/leased/below", "1")).await, "bound to a lease"),
        (store.put(Write::new("p/dir", "1").leased(&lease)).await, "has keys below it"),
        (store.put(Write::new("p/./k", "1")).await, "cannot be \".\""),
        (store.put(Write::new("zookeeper/k", "1")).await, "the server's own"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_no_key_until_it_is_given_a_value() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, [""; 0]);
    store.put(Write::new("p/dir/k", "1")).await.unwrap();
    assert_eq!(store.get("p/dir").await.unwrap(), None);
    assert_eq!(store.list("p").await.unwrap(), []);
    store.delete("p/dir", Expect::Anything, None).await.unwrap();
    let made = store.put(Write::new("p/dir", "").expecting(Expect::Absent)).await.unwrap();
    assert_eq!(store.get("p/dir").await.unwrap().map(|item| item.revision), Some(made));
    match next(&mut watch).await.unwrap() {
        Change::Put(item) => assert_eq!((&*item.key, item.revision), ("p/dir", made)),
        other => panic!("{other:?}"),
    }
    let refused = store.delete("p/dir", Expect::Anything, None).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    assert_eq!(store.list("").await.unwrap(), [], "the server's own tree is not shown");
}
