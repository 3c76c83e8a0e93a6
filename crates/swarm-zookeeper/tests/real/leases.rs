//! Leases are sessions: when they end, what keeps them, and who may have their keys then.

use std::time::{Duration, Instant};

use swarm_kv::{Change, Expect, StoreError, Write};
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};

use crate::opening::{eventually, next, plain, whole};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_what_the_server_bounds_it_to() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    for (ttl, holds, gone_after) in [
        // The server's shortest session is of 4 s, its longest of 40 s.
        (1, 1, 7_000),
        (4, 4, 10_000),
        (20, 15, 42_500),
        (180, 40, 240_000),
    ] {
        let gone_after = Duration::from_millis(gone_after);
        // A busy machine opens no session within a call's time now and then.
        let lease = eventually(async || store.grant(ttl * SECOND).await).await;
        assert_eq!((lease.holds, lease.gone_after), (holds * SECOND, gone_after));
        store.revoke(&lease).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_renews_ends_in_time_though_its_session_is_pinged() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let (store, other) = (plain(&server.url("")), plain(&server.url("")));
    let mut watch = other.watch("p");
    assert_eq!(whole(&mut watch).await, [""; 0]);
    let ttl = 6 * SECOND;
    let begun = Instant::now();
    let lease = store.grant(ttl).await.unwrap();
    store.put(Write::new("p/k", "1").leased(&lease)).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(_))));
    assert_eq!(next(&mut watch).await, Ok(Change::Deleted("p/k".into())));
    let ended = begun.elapsed();
    println!("a lease of {ttl:?} was over after {ended:?}");
    assert!(ended >= ttl && ended < ttl + 2 * SECOND, "{ended:?}");
    let lost = Err(StoreError::LeaseLost { id: lease.id.clone() });
    assert_eq!(store.renew(&lease).await, lost);
    let late = store.put(Write::new("p/k", "1").leased(&lease)).await;
    assert_eq!(late.map(drop), lost);
    store.revoke(&lease).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_lease_outlives_the_servers_longest_session() {
    // Ticks of 200 ms: sessions last 4 s at most, and the lease 20 s.
    let tick = Duration::from_millis(200);
    let server = ZooKeeperServer::start(Config { tick, ..Config::default() }).unwrap();
    let (store, other) = (plain(&server.url("")), plain(&server.url("")));
    let lease = store.grant(20 * SECOND).await.unwrap();
    assert_eq!(lease.holds, 4 * SECOND, "no more than the server's longest session");
    store.put(Write::new("p/k", "1").leased(&lease)).await.unwrap();
    let made = other.get("p/k").await.unwrap();
    let mut watch = other.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/k"]);
    // Renewed once in three of the server's longest sessions, twice.
    for _ in 0..2 {
        let told = tokio::time::timeout(12 * SECOND, next(&mut watch)).await;
        assert!(told.is_err(), "{told:?}");
        store.renew(&lease).await.unwrap();
    }
    let renewed = Instant::now();
    assert_eq!(other.get("p/k").await.unwrap(), made);
    // And then no more.
    assert_eq!(next(&mut watch).await, Ok(Change::Deleted("p/k".into())));
    let ended = renewed.elapsed();
    assert!(ended > 19 * SECOND && ended < 22 * SECOND, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_of_three_minutes_lives_past_forty_seconds() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let (store, other) = (plain(&server.url("")), plain(&server.url("")));
    let lease = store.grant(180 * SECOND).await.unwrap();
    store.put(Write::new("p/k", "1").leased(&lease)).await.unwrap();
    let mut watch = other.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/k"]);
    let told = tokio::time::timeout(50 * SECOND, next(&mut watch)).await;
    assert!(told.is_err(), "nothing happens to it within 50 s: {told:?}");
    store.renew(&lease).await.unwrap();
    store.revoke(&lease).await.unwrap();
    assert_eq!(next(&mut watch).await, Ok(Change::Deleted("p/k".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_the_lease_of_its_last_write() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let leases = [store.grant(20 * SECOND).await.unwrap(), store.grant(20 * SECOND).await.unwrap()];
    for name in ["freed", "taken", "kept", "bound"] {
        let write = Write::new(format!("p/{name}"), "1");
        let write = if name == "bound" { write } else { write.leased(&leases[0]) };
        store.put(write).await.unwrap();
    }
    // Written by nobody's session, by another's, and by its own.
    let freed = store.put(Write::new("p/freed", "1")).await.unwrap();
    store.put(Write::new("p/taken", "2").leased(&leases[1])).await.unwrap();
    let before = store.get("p/kept").await.unwrap().unwrap().revision;
    let kept = store
        .put(Write::new("p/kept", "2").expecting(Expect::Revision(before)).leased(&leases[0]))
        .await
        .unwrap();
    assert!(kept > before);
    store.put(Write::new("p/bound", "2").leased(&leases[1])).await.unwrap();
    let keys = async || -> Vec<String> {
        store.list("p").await.unwrap().into_iter().map(|item| item.key).collect()
    };
    store.revoke(&leases[0]).await.unwrap();
    assert_eq!(keys().await, ["p/bound", "p/freed", "p/taken"]);
    store.revoke(&leases[1]).await.unwrap();
    assert_eq!(keys().await, ["p/freed"]);
    // A revision names one writing: the same value again is another.
    let again = store.put(Write::new("p/freed", "1")).await.unwrap();
    assert!(again > freed);
    assert_eq!(store.get("p/freed").await.unwrap().map(|item| item.revision), Some(again));
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_end_with_the_store_that_holds_them() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let other = plain(&server.url(""));
    let mut watch = other.watch("p");
    assert_eq!(whole(&mut watch).await, [""; 0]);
    let begun = Instant::now();
    let store = plain(&server.url(""));
    let lease = store.grant(60 * SECOND).await.unwrap();
    store.put(Write::new("p/k", "1").leased(&lease)).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(_))));
    drop(store);
    assert_eq!(next(&mut watch).await, Ok(Change::Deleted("p/k".into())));
    assert!(begun.elapsed() < 20 * SECOND, "its session was closed, not waited for");
    // Only the store that granted a lease can keep it.
    assert_eq!(other.renew(&lease).await, Err(StoreError::LeaseLost { id: lease.id.clone() }));
    other.revoke(&lease).await.unwrap();
}
