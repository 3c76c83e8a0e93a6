//! Leases are Consul's sessions: when they end, and who may have their keys then.

use std::time::{Duration, Instant};

use swarm_kv::{Change, Expect, StoreError, Write};
use swarm_testkit::stores::consul::{Config, ConsulServer};

use crate::opening::{next, plain, whole};

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_free_in_the_moment_its_lease_ends() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let (first, second) = (plain(&server.url("")), plain(&server.url("")));
    let lease = first.grant(Duration::from_secs(20)).await.unwrap();
    assert_eq!((lease.holds, lease.gone_after), (Duration::from_secs(10), Duration::from_secs(20)));
    let mut watch = second.watch("p");
    assert_eq!(whole(&mut watch).await, [""; 0]);
    first.put(Write::new("p/leader", "first").leased(&lease)).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(_))));

    // Taken over after it was given back …
    let own = second.grant(Duration::from_secs(20)).await.unwrap();
    let take = Write::new("p/leader", "second").expecting(Expect::Absent).leased(&own);
    let early = second.put(take.clone()).await;
    assert!(matches!(early, Err(StoreError::Conflict { .. })), "{early:?}");
    first.revoke(&lease).await.unwrap();
    second.put(take.clone()).await.unwrap();
    second.revoke(&own).await.unwrap();

    // … and after it ran out, which is neither too early nor too late.
    let mut watch = second.watch("p");
    assert_eq!(whole(&mut watch).await, [""; 0]);
    let granting = Instant::now();
    let lease = first.grant(Duration::from_secs(20)).await.unwrap();
    let granted = Instant::now();
    first.put(Write::new("p/leader", "first").leased(&lease)).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(_))));
    let own = second.grant(Duration::from_mins(1)).await.unwrap();
    let gone = next(&mut watch).await.unwrap();
    let (least, most) = (granted.elapsed(), granting.elapsed());
    assert_eq!(gone, Change::Deleted("p/leader".into()));
    second.put(take.leased(&own)).await.unwrap();
    assert!(least >= lease.holds, "it held for {least:?} only");
    assert!(most <= lease.gone_after + Duration::from_secs(1), "it was there for {most:?}");
    println!("a lease of 20 s was over after {most:?}");
    let late = first.put(Write::new("p/x", "").leased(&lease)).await;
    assert_eq!(late, Err(StoreError::LeaseLost { id: lease.id.clone() }));
    assert_eq!(first.renew(&lease).await, Err(StoreError::LeaseLost { id: lease.id }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_the_lease_of_its_last_write() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let mut leases = Vec::new();
    for _ in 0..2 {
        leases.push(store.grant(Duration::from_secs(20)).await.unwrap());
    }
    for name in ["freed", "taken", "kept"] {
        store.put(Write::new(format!("p/{name}"), "1").leased(&leases[0])).await.unwrap();
    }
    // Written by nobody's session, or by another's: the first one lets go of it.
    let freed = store.put(Write::new("p/freed", "1")).await.unwrap();
    store.put(Write::new("p/taken", "2").leased(&leases[1])).await.unwrap();
    store.revoke(&leases[0]).await.unwrap();
    let keys = async || -> Vec<String> {
        store.list("p").await.unwrap().into_iter().map(|item| item.key).collect()
    };
    assert_eq!(keys().await, ["p/freed", "p/taken"]);
    store.revoke(&leases[1]).await.unwrap();
    assert_eq!(keys().await, ["p/freed"]);
    // A revision names one writing: the same value again is another.
    let again = store.put(Write::new("p/freed", "1")).await.unwrap();
    assert!(again > freed);
    assert_eq!(store.get("p/freed").await.unwrap().map(|item| item.revision), Some(again));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_race_for_a_lock_and_one_has_it_each_time() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let stores = [plain(&server.url("")), plain(&server.url(""))];
    let mut leases = Vec::new();
    for store in &stores {
        leases.push(store.grant(Duration::from_mins(2)).await.unwrap());
    }
    for round in 0..50 {
        let write = |number: usize| {
            Write::new("p/leader", format!("{round} {number}"))
                .expecting(Expect::Absent)
                .leased(&leases[number])
        };
        let (a, b) = tokio::join!(stores[0].put(write(0)), stores[1].put(write(1)));
        let won = match (a, b) {
            (Ok(revision), Err(StoreError::Conflict { .. })) => (0, revision),
            (Err(StoreError::Conflict { .. }), Ok(revision)) => (1, revision),
            other => panic!("round {round}: {other:?}"),
        };
        let (winner, revision) = won;
        let held = stores[1 - winner].get("p/leader").await.unwrap().unwrap();
        assert_eq!((held.value, held.revision), (format!("{round} {winner}").into(), revision));
        stores[winner].delete("p/leader", Expect::Revision(revision), None).await.unwrap();
    }
}
