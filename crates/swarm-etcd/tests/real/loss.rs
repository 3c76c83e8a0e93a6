//! Members that die, fall silent and come back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use swarm_kv::{Change, Expect, KeyValue, Revision, StoreError, Write};

use crate::rig::{LONG, next, next_whole, plain, server};

/// Tries until it is done; only a passing error may be in the way.
async fn until_done(store: &dyn KeyValue, write: Write) -> Revision {
    let begun = Instant::now();
    loop {
        match store.put(write.clone()).await {
            Ok(revision) => return revision,
            Err(error) => assert!(error.is_passing() && begun.elapsed() < LONG, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_restart_interrupts_a_watch_and_keeps_a_lease() {
    let mut server = server(|_| {});
    let store = plain(&server);
    let lease = store.grant(Duration::from_secs(30)).await.unwrap();
    store.put(Write::new("pool/held", "1").leased(&lease)).await.unwrap();
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    server.member(0).crash().unwrap();
    let error = next(&mut watch).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    let error = store.get("pool/held").await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    server.restart(0).unwrap();
    // The failure was told; the next is the whole, and then every change again.
    assert_eq!(next_whole(&mut watch).await, (vec!["pool/held".to_owned()], 0));
    store.renew(&lease).await.unwrap();
    assert!(store.renewed_ago("pool/held").await.unwrap().unwrap() <= Duration::from_secs(20));
    store.put(Write::new("pool/new", "1")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(item)) if item.key == "pool/new"));
    assert_eq!(store.renewed_ago("pool/new").await.unwrap(), None);
}

#[tokio::test]
async fn a_lease_that_etcd_forgot_is_lost() {
    let server = server(|_| {});
    let store = plain(&server);
    let lease = store.grant(Duration::from_millis(2500)).await.unwrap();
    assert_eq!(lease.holds, Duration::from_millis(2500));
    assert!(lease.gone_after >= Duration::from_secs(3), "etcd counts whole seconds");
    server.control(&["lease", "revoke", &lease.id]).unwrap();
    let error = store.renew(&lease).await.unwrap_err();
    assert_eq!(error, StoreError::LeaseLost { id: lease.id.clone() });
    let error = store.put(Write::new("pool/a", "1").leased(&lease)).await.unwrap_err();
    assert_eq!(error, StoreError::LeaseLost { id: lease.id.clone() });
    let short = store.grant(Duration::from_millis(100)).await.unwrap();
    assert_eq!(short.holds, Duration::from_millis(100));
    assert!(short.gone_after >= Duration::from_secs(2), "etcd has a minimum: {short:?}");
}

#[tokio::test]
async fn a_frozen_leader_is_left_within_the_deadline() {
    let mut server = server(|options| options.members = 3);
    // Several clients, so that some begin at the leader whatever it is.
    let stores: Vec<_> = (0..6).map(|_| plain(&server)).collect();
    for (number, store) in stores.iter().enumerate() {
        store.put(Write::new(format!("pool/{number}"), "before")).await.unwrap();
    }
    let lease = stores[0].grant(Duration::from_secs(30)).await.unwrap();
    let mut watches: Vec<_> = stores.iter().map(|store| store.watch("pool")).collect();
    for watch in &mut watches {
        assert!(matches!(next(watch).await, Ok(Change::Whole(items)) if items.len() == 6));
    }
    let leader = server.leader().unwrap();
    server.member(leader).freeze().unwrap();
    let frozen = Instant::now();
    let calls = stores.iter().enumerate().map(|(number, store)| async move {
        let begun = Instant::now();
        let expect = store.get(&format!("pool/{number}")).await.unwrap().unwrap().revision;
        let write = Write::new(format!("pool/{number}"), "after");
        store.put(write.expecting(Expect::Revision(expect))).await.unwrap();
        begun.elapsed()
    });
    let times = futures_util::future::join_all(calls).await;
    println!("read and conditional write past a frozen leader took {times:.1?}");
    stores[0].renew(&lease).await.unwrap();
    // Every watch knows all values in the end, those at the silent endpoint after moving away.
    for (store, watch) in stores.iter().zip(&mut watches) {
        let mut known = BTreeMap::new();
        while known.len() < 6 || known.values().any(|value| *value != "after") {
            assert!(frozen.elapsed() < LONG, "{known:?}");
            match next(watch).await {
                Ok(Change::Whole(items)) => {
                    known = items.into_iter().map(|item| (item.key, item.value)).collect();
                }
                Ok(Change::Put(item)) => drop(known.insert(item.key, item.value)),
                Ok(Change::Deleted(key)) => panic!("{key} was never deleted"),
                Err(error) => assert!(error.is_passing(), "{error}"),
            }
        }
        assert!(store.get("pool/0").await.unwrap().is_some());
    }
    println!("every watch knew every change {:.1?} after the freeze", frozen.elapsed());
    server.member(leader).thaw().unwrap();
    // What lay in the frozen member's queue was done by nobody: each value is the last one written.
    for (number, store) in stores.iter().enumerate() {
        let write = Write::new(format!("pool/{number}"), "last");
        let revision = until_done(&**store, write).await;
        let item = stores[0].get(&format!("pool/{number}")).await.unwrap().unwrap();
        assert_eq!((item.value.as_ref(), item.revision), (&b"last"[..], revision));
    }
}

#[tokio::test]
async fn a_member_without_the_others_is_left() {
    let mut server = server(|options| options.members = 3);
    let store = plain(&server);
    store.put(Write::new("pool/a", "1")).await.unwrap();
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    // One alone answers its port and has no quorum.
    server.member(0).crash().unwrap();
    server.member(1).crash().unwrap();
    let begun = Instant::now();
    let error = loop {
        // Until its leadership runs out, the one left may answer what it had in hand.
        match store.put(Write::new("pool/a", "2")).await {
            Err(error) => break error,
            Ok(_) => assert!(begun.elapsed() < LONG),
        }
    };
    assert!(error.is_passing(), "{error:?}");
    let error = store.get("pool/a").await.unwrap_err();
    assert!(error.is_passing(), "no answer without a quorum: {error:?}");
    server.launch(0).unwrap();
    let revision = until_done(&*store, Write::new("pool/a", "3")).await;
    assert_eq!(store.get("pool/a").await.unwrap().unwrap().revision, revision);
    loop {
        match next(&mut watch).await {
            Ok(Change::Whole(items)) if items[0].revision == revision => break,
            Ok(Change::Put(item)) if item.revision == revision => break,
            Ok(_) => {}
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
    }
}

#[tokio::test]
async fn all_members_go_and_come_back() {
    let mut server = server(|options| options.members = 3);
    let store = plain(&server);
    let lease = store.grant(Duration::from_mins(1)).await.unwrap();
    store.put(Write::new("pool/held", "1").leased(&lease)).await.unwrap();
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    for place in 0..3 {
        server.member(place).crash().unwrap();
    }
    assert!(next(&mut watch).await.unwrap_err().is_passing());
    let begun = Instant::now();
    assert!(store.get("pool/held").await.unwrap_err().is_passing());
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    for place in 0..3 {
        server.launch(place).unwrap();
    }
    let (keys, errors) = next_whole(&mut watch).await;
    assert_eq!((keys, errors), (vec!["pool/held".to_owned()], 0), "one failure is told once");
    until_done(&*store, Write::new("pool/a", "1")).await;
    store.renew(&lease).await.unwrap();
}

#[tokio::test]
async fn of_two_racing_clients_one_wins_each_round() {
    let server = server(|_| {});
    let (a, b) = (plain(&server), plain(&server));
    let mut current = a.put(Write::new("pool/counter", "0")).await.unwrap();
    for round in 0..100_u32 {
        let write = |name: &str| {
            let value = format!("{round} {name}");
            Write::new("pool/counter", value).expecting(Expect::Revision(current))
        };
        let (one, other) = tokio::join!(a.put(write("a")), b.put(write("b")));
        current = match (one, other) {
            (Ok(revision), Err(StoreError::Conflict { .. }))
            | (Err(StoreError::Conflict { .. }), Ok(revision)) => revision,
            both => panic!("round {round}: {both:?}"),
        };
        assert_eq!(b.get("pool/counter").await.unwrap().unwrap().revision, current);
    }
}
