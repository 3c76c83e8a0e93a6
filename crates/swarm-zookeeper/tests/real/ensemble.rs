//! Three servers, of which one is away: the store goes on, and what was written stays written.

use std::time::{Duration, Instant};

use swarm_kv::{Change, Expect, StoreOptions, Write};
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};

use crate::opening::{eventually, next, open, plain, whole};

const SECOND: Duration = Duration::from_secs(1);

fn three() -> ZooKeeperServer {
    ZooKeeperServer::start(Config { servers: 3, ..Config::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_frozen_or_gone_is_passed_over() {
    let mut servers = three();
    let follower = (0..3).find(|number| Some(*number) != servers.leader()).unwrap();
    servers.server(follower).freeze().unwrap();
    let gone = swarm_testkit::stores::free_port().unwrap();
    let url = format!("{},127.0.0.1:{gone}", servers.url("").trim_end_matches('/'));
    // Whichever order they are tried in, the first call of each store is answered.
    for _ in 0..6 {
        let begun = Instant::now();
        let store = open(&url, &StoreOptions::default());
        store.put(Write::new("p/k", "1")).await.unwrap();
        let lease = store.grant(10 * SECOND).await.unwrap();
        store.renew(&lease).await.unwrap();
        store.revoke(&lease).await.unwrap();
        assert!(begun.elapsed() < 10 * SECOND, "{:?}", begun.elapsed());
    }
    servers.server(follower).thaw().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_may_crash_in_turn_and_nothing_is_lost() {
    let mut servers = three();
    let url = servers.url("");
    let (store, other) = (plain(&url), plain(&url));
    let lease = store.grant(40 * SECOND).await.unwrap();
    store.put(Write::new("p/leased", "x").leased(&lease)).await.unwrap();
    let mut watch = other.watch("p");
    assert_eq!(whole(&mut watch).await, ["p/leased"]);
    let mut revision = store.put(Write::new("p/count", "0")).await.unwrap();
    // The leader is among them.
    for number in 0..3_usize {
        servers.server(number).crash().unwrap();
        let crashed = Instant::now();
        // What may have been written is found out by reading.
        revision = eventually(async || {
            let item = store.get("p/count").await?.unwrap();
            if item.revision != revision {
                return Ok(item.revision);
            }
            let write = Write::new("p/count", format!("{}", number + 1));
            store.put(write.expecting(Expect::Revision(revision))).await
        })
        .await;
        println!("after the crash of server {number} written after {:?}", crashed.elapsed());
        eventually(async || store.renew(&lease).await).await;
        // The watcher gets to know it, with or without having been at the server that crashed.
        loop {
            match next(&mut watch).await {
                Ok(Change::Whole(items)) => {
                    assert!(items.iter().any(|item| item.key == "p/leased"), "{items:?}");
                    if items.iter().any(|item| item.revision == revision) {
                        break;
                    }
                }
                Ok(Change::Put(item)) if item.revision == revision => break,
                Ok(Change::Deleted(key)) => panic!("{key} was lost"),
                _ => {}
            }
        }
        servers.restart(number).unwrap();
    }
    let item = other.get("p/count").await.unwrap().unwrap();
    assert_eq!((item.value, item.revision), ("3".into(), revision));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_it_is_said_so() {
    let mut servers = three();
    let leader = servers.leader().unwrap();
    let others: Vec<_> = (0..3).filter(|number| *number != leader).collect();
    let store = plain(&servers.url(""));
    store.put(Write::new("p/k", "1")).await.unwrap();
    for number in &others {
        servers.server(*number).crash().unwrap();
    }
    let begun = Instant::now();
    loop {
        // It answers until the leader has noticed it.
        let Err(error) = store.get("p/k").await else { continue };
        assert!(error.is_passing(), "{error}");
        if error.to_string().contains("most of its ensemble must run") {
            break;
        }
        assert!(begun.elapsed() < 60 * SECOND, "{error}");
    }
    for number in others {
        servers.launch(number).unwrap();
    }
    let item = eventually(async || store.get("p/k").await).await.unwrap();
    assert_eq!(item.value, "1");
}
