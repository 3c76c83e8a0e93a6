//! Servers that crash, freeze and come back, ways that are cut, and what becomes of watches and
//! leases then.

use std::time::{Duration, Instant};

use swarm_kv::{Change, StoreError, Write};
use swarm_testkit::stores::Meter;
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};

use crate::opening::{eventually, next, plain, whole};

const SECOND: Duration = Duration::from_secs(1);

/// The failure that a watch tells next, and the whole directory after it, without another failure
/// of the same kind between.
async fn failure_and_whole(watch: &mut swarm_kv::Watch) -> (StoreError, Vec<String>) {
    let failure = next(watch).await.unwrap_err();
    (failure, whole(watch).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_loses_neither_watch_nor_lease() {
    let mut server = ZooKeeperServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let lease = store.grant(40 * SECOND).await.unwrap();
    store.put(Write::new("p/leased", "1").leased(&lease)).await.unwrap();
    store.put(Write::new("p/plain", "1")).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/leased", "p/plain"]);

    for clean in [false, true] {
        let process = server.server(0);
        let ended = if clean { process.stop() } else { process.crash() };
        ended.unwrap();
        let begun = Instant::now();
        let error = store.get("p/plain").await.unwrap_err();
        assert!(error.is_passing() && begun.elapsed() < 6 * SECOND, "{error} {begun:?}");
        let (renewed, granted) = tokio::join!(store.renew(&lease), store.grant(5 * SECOND));
        assert!(matches!(renewed, Err(StoreError::Unreachable { .. })), "{renewed:?}");
        assert!(matches!(granted, Err(StoreError::Unreachable { .. })), "{granted:?}");
        server.restart(0).unwrap();

        let (failure, keys) = failure_and_whole(&mut watch).await;
        assert!(failure.is_passing(), "{failure}");
        assert_eq!(keys, ["p/leased", "p/plain"], "the server remembers its sessions");
        eventually(async || store.renew(&lease).await).await;
        let revision = eventually(async || store.put(Write::new("p/plain", "2")).await).await;
        match next(&mut watch).await.unwrap() {
            Change::Put(item) => assert_eq!(item.revision, revision),
            other => panic!("{other:?}"),
        }
    }
    store.revoke(&lease).await.unwrap();
    assert_eq!(next(&mut watch).await, Ok(Change::Deleted("p/leased".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_freezes_is_unreachable_in_time_and_good_when_it_thaws() {
    let mut server = ZooKeeperServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let lease = store.grant(40 * SECOND).await.unwrap();
    store.put(Write::new("p/leased", "1").leased(&lease)).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/leased"]);

    server.server(0).freeze().unwrap();
    let begun = Instant::now();
    let (got, put, renewed, watched) = tokio::join!(
        store.get("p/leased"),
        store.put(Write::new("p/k", "1")),
        store.renew(&lease),
        next(&mut watch),
    );
    for error in [got.map(drop), put.map(drop), renewed] {
        assert!(matches!(error, Err(StoreError::Unreachable { .. })), "{error:?}");
    }
    assert!(matches!(watched, Err(StoreError::Unreachable { .. })), "{watched:?}");
    println!("a frozen server was noticed by its watcher after {:?}", begun.elapsed());
    assert!(begun.elapsed() < 15 * SECOND, "{:?}", begun.elapsed());
    server.server(0).thaw().unwrap();

    let keys = whole(&mut watch).await;
    assert!(keys.contains(&"p/leased".to_owned()), "{keys:?}");
    eventually(async || store.renew(&lease).await).await;
    store.revoke(&lease).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_session_the_server_ended_is_lost_for_ever() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let way = Meter::start(&server.address(0)).await.unwrap();
    let (store, other) = (plain(&format!("zk://{}", way.address())), plain(&server.url("")));
    let lease = store.grant(8 * SECOND).await.unwrap();
    store.put(Write::new("p/leader", "1").leased(&lease)).await.unwrap();
    let mut own = store.watch("p");
    assert_eq!(whole(&mut own).await, ["p/leader"]);
    let mut watch = other.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/leader"]);

    way.cut();
    let begun = Instant::now();
    // As a holder who sees nothing wrong: the renewals fail, none says that the lease holds.
    let renewed = store.renew(&lease).await;
    assert!(matches!(renewed, Err(StoreError::Unreachable { .. })), "{renewed:?}");
    assert_eq!(next(&mut watch).await, Ok(Change::Deleted("p/leader".into())));
    let gone = begun.elapsed();
    println!("the key of a lease of 8 s was gone {gone:?} after its holder was cut off");
    assert!(gone <= 8 * SECOND + SECOND, "{gone:?}");
    let own_lease = other.grant(8 * SECOND).await.unwrap();
    other.put(Write::new("p/leader", "2").leased(&own_lease)).await.unwrap();
    way.heal();

    let lost = eventually(async || match store.renew(&lease).await {
        Err(StoreError::LeaseLost { id }) => Ok(id),
        Err(error) => Err(error),
        Ok(()) => panic!("a lease came back"),
    });
    assert_eq!(lost.await, lease.id);
    let late = store.put(Write::new("p/leader", "1").leased(&lease)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost { .. })), "{late:?}");
    store.revoke(&lease).await.unwrap();
    // Its own watch comes to know the new holder, with or without having noticed the cut.
    loop {
        let is_new = |item: &swarm_kv::Item| item.value == "2";
        match next(&mut own).await {
            Ok(Change::Whole(items)) if items.iter().any(is_new) => break,
            Ok(Change::Put(item)) if is_new(&item) => break,
            Ok(_) => {}
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
    }
    let held = eventually(async || store.get("p/leader").await).await.unwrap();
    assert_eq!(held.value, "2");
    assert!(other.renew(&own_lease).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_the_way_was_cut_is_told_when_it_is_mended() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let way = Meter::start(&server.address(0)).await.unwrap();
    let (store, other) = (plain(&format!("zk://{}", way.address())), plain(&server.url("")));
    other.put(Write::new("p/a", "1")).await.unwrap();
    other.put(Write::new("p/b", "1")).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/a", "p/b"]);
    way.cut();
    let failure = next(&mut watch).await.unwrap_err();
    assert!(failure.is_passing(), "{failure}");
    other.put(Write::new("p/a", "2")).await.unwrap();
    other.delete("p/b", swarm_kv::Expect::Anything, None).await.unwrap();
    other.put(Write::new("p/c", "1")).await.unwrap();
    // A failure that lasts is told once.
    let told = tokio::time::timeout(8 * SECOND, next(&mut watch)).await;
    assert!(told.is_err(), "{told:?}");
    way.heal();
    match next(&mut watch).await.unwrap() {
        Change::Whole(items) => {
            let seen: Vec<_> = items.iter().map(|item| (&*item.key, &*item.value)).collect();
            assert_eq!(seen, [("p/a", b"2".as_slice()), ("p/c", b"1")]);
        }
        other => panic!("{other:?}"),
    }
    other.put(Write::new("p/c", "2")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(item)) if item.key == "p/c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_an_unreachable_lease_is_tried_until_it_is_over() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let way = Meter::start(&server.address(0)).await.unwrap();
    let (store, other) = (plain(&format!("zk://{}", way.address())), plain(&server.url("")));
    let lease = store.grant(30 * SECOND).await.unwrap();
    store.put(Write::new("p/k", "1").leased(&lease)).await.unwrap();
    way.cut();
    for _ in 0..2 {
        let revoked = store.revoke(&lease).await;
        assert!(matches!(revoked, Err(StoreError::Unreachable { .. })), "{revoked:?}");
    }
    way.heal();
    eventually(async || store.revoke(&lease).await).await;
    assert_eq!(other.get("p/k").await.unwrap(), None);
}
