//! What an idle pool of 1,000 nodes costs the store, counted on the way to a real server.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use swarm_kv::Write;
use swarm_testkit::stores::Meter;
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};

use crate::opening::{plain, whole};

/// The heads of IPv4 and TCP with time stamps, in bytes.
const HEADS: u64 = 52;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_of_a_thousand_nodes_stays_below_ten_kilobytes_per_second() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let writer = plain(&server.url(""));
    for number in 0..1000 {
        let key = format!("docker/swarm/nodes/10.0.{}.{}:2375", number / 250, number % 250);
        writer.put(Write::new(key, "")).await.unwrap();
    }
    let (agents, managers) = (
        Meter::start(&server.address(0)).await.unwrap(),
        Meter::start(&server.address(0)).await.unwrap(),
    );

    let agent = plain(&format!("zk://{}", agents.address()));
    let lease = agent.grant(Duration::from_mins(3)).await.unwrap();
    agent.put(Write::new("other/node", "").leased(&lease)).await.unwrap();
    let before = agents.bytes();
    for _ in 0..10 {
        agent.renew(&lease).await.unwrap();
    }
    let renewal = (agents.bytes() - before) / 10;

    let manager = plain(&format!("zk://{}", managers.address()));
    let mut watch = manager.watch("docker/swarm/nodes");
    assert_eq!(whole(&mut watch).await.len(), 1000);
    let listing = managers.bytes();
    let at_first = (agents.bytes(), agents.pieces(), managers.bytes(), managers.pieces());
    let begun = Instant::now();
    // While others write beside the directory, its watcher is told nothing and reads nothing.
    let beside = async {
        while begun.elapsed() < Duration::from_mins(1) {
            writer.put(Write::new("docker/swarm/leader", "x")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        told = watch.next() => panic!("an idle directory told {told:?}"),
        () = beside => {}
    }
    let seconds = begun.elapsed().as_secs();
    let agent_bytes = (agents.bytes() - at_first.0) * 1000 / seconds;
    let agent_pieces = (agents.pieces() - at_first.1) * 1000 / seconds;
    let manager_bytes = (managers.bytes() - at_first.2) * 1000 / seconds;
    println!("a renewal: {renewal} bytes; a listing of 1,000 nodes: {listing} bytes");
    println!("one kept lease: {agent_bytes} bytes and {agent_pieces} pieces per 1,000 s");
    println!("one idle watcher: {manager_bytes} bytes per 1,000 s");

    // One thousand leases, a renewal each per 60 s, and two managers that watch.
    let pool = agent_bytes + renewal * 1000 / 60 + 2 * manager_bytes / 1000;
    // Each piece has a head, and each second one is acknowledged by another packet.
    let wire = pool + (agent_pieces + 2 * 1000 / 60) * HEADS * 3 / 2;
    println!("an idle pool of 1,000 nodes: {pool} bytes/s, with all heads of packets {wire}");
    assert!(pool < 10_000, "{pool} bytes/s");

    // One node comes: it is read, and no other.
    let before = managers.bytes();
    writer.put(Write::new("docker/swarm/nodes/10.1.0.1:2375", "")).await.unwrap();
    watch.next().await.unwrap().unwrap();
    let change = managers.bytes() - before;
    println!("one new node of 1,000: {change} bytes to a watcher");
    assert!(change < 1000, "{change} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_nobody_uses_closes_its_session() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let way = Meter::start(&server.address(0)).await.unwrap();
    let store = plain(&format!("zk://{}", way.address()));
    assert_eq!(way.bytes(), 0, "opening it touches nothing");
    store.put(Write::new("p/k", "1")).await.unwrap();
    let begun = Instant::now();
    let mut last = (way.bytes(), Instant::now());
    // A session is pinged every few seconds: silence of 20 s is its end.
    while last.1.elapsed() < Duration::from_secs(20) {
        if way.bytes() != last.0 {
            last = (way.bytes(), Instant::now());
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "it is never closed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    store.put(Write::new("p/k", "2")).await.unwrap();
}
