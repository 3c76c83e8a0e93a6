//! Servers that crash, freeze, come back, and lose their leader, under a watch and a lease.

use std::time::{Duration, Instant};

use swarm_kv::{Change, StoreError, StoreOptions, Write};
use swarm_testkit::stores::consul::{Config, ConsulServer};

use crate::opening::{PATIENCE, eventually, next, open, plain, whole};

fn cluster() -> ConsulServer {
    ConsulServer::start(Config { servers: 3, ..Config::default() }).unwrap()
}

fn is_unreachable<T>(result: &swarm_kv::Result<T>) -> bool {
    matches!(result, Err(StoreError::Unreachable { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_once_and_everything_is_there_after_it() {
    let mut server = ConsulServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let lease = store.grant(Duration::from_mins(1)).await.unwrap();
    store.put(Write::new("p/held", "1").leased(&lease)).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/held"]);

    server.server(0).crash().unwrap();
    let told = next(&mut watch).await;
    assert!(is_unreachable(&told), "{told:?}");
    let put = store.put(Write::new("p/new", "1")).await;
    assert!(is_unreachable(&put), "{put:?}");
    assert!(put.unwrap_err().to_string().contains("cannot connect to 127."));
    assert!(is_unreachable(&store.renew(&lease).await));
    server.restart(0).unwrap();
    // Told once: what comes next is the whole directory.
    assert_eq!(whole(&mut watch).await, ["p/held"]);
    eventually(async || store.renew(&lease).await).await;
    store.put(Write::new("p/new", "1")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(item)) if item.key == "p/new"));

    // A clean stop is the same to its clients, and the lease outlives that too.
    server.server(0).stop().unwrap();
    assert!(is_unreachable(&next(&mut watch).await));
    server.restart(0).unwrap();
    assert_eq!(whole(&mut watch).await, ["p/held", "p/new"]);
    eventually(async || store.renew(&lease).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_costs_each_call_its_deadline_and_no_more() {
    let mut server = ConsulServer::start(Config::default()).unwrap();
    let deadline = Duration::from_secs(2);
    let store = open(&server.url(""), &StoreOptions { deadline, ..StoreOptions::default() });
    store.put(Write::new("p/a", "1")).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/a"]);
    let lease = store.grant(Duration::from_mins(2)).await.unwrap();
    server.server(0).freeze().unwrap();
    let begun = Instant::now();
    let get = store.get("p/a").await;
    let took = begun.elapsed();
    assert!(is_unreachable(&get) && took < deadline + Duration::from_secs(1), "{get:?} {took:?}");
    assert!(get.unwrap_err().to_string().contains("gave no answer within"));
    // A watch finds out too, long before its query's wait is over.
    assert!(is_unreachable(&next(&mut watch).await));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    server.server(0).thaw().unwrap();
    assert_eq!(whole(&mut watch).await, ["p/a"]);
    eventually(async || store.renew(&lease).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_when_one_is_gone_or_frozen() {
    let mut servers = cluster();
    let store = plain(&servers.url(""));
    let lease = store.grant(Duration::from_mins(2)).await.unwrap();
    store.put(Write::new("p/a", "1").leased(&lease)).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/a"]);

    // The first one of the URL is asked first; it is the leader or it is not.
    servers.server(0).crash().unwrap();
    let begun = Instant::now();
    eventually(async || store.put(Write::new("p/b", "1")).await).await;
    println!("written {:?} after a server's crash", begun.elapsed());
    until_known(&mut watch, "p/b").await;
    eventually(async || store.renew(&lease).await).await;
    servers.restart(0).unwrap();

    let leader = servers.leader().unwrap();
    servers.server(leader).freeze().unwrap();
    let begun = Instant::now();
    eventually(async || store.put(Write::new("p/c", "1")).await).await;
    println!("written {:?} after the leader froze", begun.elapsed());
    until_known(&mut watch, "p/c").await;
    servers.server(leader).thaw().unwrap();
    eventually(async || store.renew(&lease).await).await;
}

/// Waits until a watch tells of a key, whatever it tells before.
async fn until_known(watch: &mut swarm_kv::Watch, key: &str) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match next(watch).await {
            Ok(Change::Put(item)) if item.key == key => return,
            Ok(Change::Whole(items)) if items.iter().any(|item| item.key == key) => return,
            _ => {}
        }
    }
    panic!("{key} was never told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_it_says_so_and_goes_on_when_there_is_one() {
    let mut servers = cluster();
    let store = plain(&servers.url(""));
    store.put(Write::new("p/a", "1")).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/a"]);
    for number in [1, 2] {
        servers.server(number).crash().unwrap();
    }
    let until = Instant::now() + PATIENCE;
    loop {
        // A leader that is alone steps down in its own time.
        let put = store.put(Write::new("p/b", "1")).await;
        if put.as_ref().is_err_and(|error| error.to_string().contains("have no leader")) {
            assert!(is_unreachable(&put));
            break;
        }
        assert!(Instant::now() < until, "still {put:?}");
    }
    assert!(is_unreachable(&next(&mut watch).await));
    servers.launch(1).unwrap();
    servers.wait(1).unwrap();
    let _ = whole(&mut watch).await;
    eventually(async || store.put(Write::new("p/c", "1")).await).await;
    until_known(&mut watch, "p/c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_emptied_is_seen_as_it_is() {
    let mut server = ConsulServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    for round in 0..30 {
        store.put(Write::new("p/old", format!("{round}"))).await.unwrap();
    }
    let lease = store.grant(Duration::from_mins(1)).await.unwrap();
    let mut watch = store.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/old"]);
    server.server(0).crash().unwrap();
    assert!(is_unreachable(&next(&mut watch).await));
    let data = server.server(0).folder().join("data");
    std::fs::remove_dir_all(data).unwrap();
    server.restart(0).unwrap();
    assert_eq!(whole(&mut watch).await, [""; 0]);
    // Its indices have begun anew, below those that were known.
    store.put(Write::new("p/new", "1")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(item)) if item.key == "p/new"));
    assert!(matches!(store.renew(&lease).await, Err(StoreError::LeaseLost { .. })));
}
