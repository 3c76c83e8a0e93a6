//! What an idle pool costs the store: leases renewed and one watcher.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use swarm_kv::{Change, StoreOptions, Write};
use swarm_testkit::stores::Meter;

use crate::rig::{next, open, server};

/// Clients in the measurement; each is an engine's agent, with a connection of its own.
const NODES: u64 = 20;
/// Renewals by each of them.
const RENEWALS: u64 = 5;
/// What the figure is scaled to: a pool, and how often its engines renew.
const POOL: u64 = 1000;
const PERIOD: u64 = 60;
/// The most an idle pool may say to its store and be told, in bytes a second.
const LIMIT: u64 = 10_000;
/// TCP, IP and Ethernet around each packet.
const FRAME: u64 = 66;

#[tokio::test]
async fn an_idle_pool_costs_less_than_ten_kilobytes_a_second() {
    let server = server(|_| {});
    let target = &server.hosts()[0];
    let agents = Meter::start(target).await.unwrap();
    let url = format!("etcd://{}", agents.address());
    let stores: Vec<_> = (0..NODES).map(|_| open(&url, &StoreOptions::default())).collect();
    let leases = join_all(stores.iter().enumerate().map(|(number, store)| async move {
        let lease = store.grant(Duration::from_mins(3)).await.unwrap();
        let key = format!("pool/nodes/10.0.0.{number}:2375");
        store.put(Write::new(key, "").leased(&lease)).await.unwrap();
        // The first renewal teaches both sides' header tables.
        store.renew(&lease).await.unwrap();
        lease
    }))
    .await;

    let watcher = Meter::start(target).await.unwrap();
    let store = open(&format!("etcd://{}", watcher.address()), &StoreOptions::default());
    let mut watch = store.watch("pool/nodes");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(items)) if items.len() == 20));
    let (watched, watching) = (watcher.bytes(), Instant::now());

    let (bytes, pieces) = (agents.bytes(), agents.pieces());
    for _ in 0..RENEWALS {
        join_all(stores.iter().zip(&leases).map(|(store, lease)| async move {
            store.renew(lease).await.unwrap();
        }))
        .await;
    }
    // Long enough for several pings of the watch.
    let silent =
        tokio::time::timeout(Duration::from_secs(20), futures_util::StreamExt::next(&mut watch));
    assert!(silent.await.is_err(), "renewals are no changes");

    assert_eq!(agents.connections(), NODES, "an agent keeps its one connection");
    let renewals = NODES * RENEWALS;
    let per_renewal = (agents.bytes() - bytes) / renewals;
    let pieces = (agents.pieces() - pieces).div_ceil(renewals);
    let per_second = |bytes_of_one: u64| bytes_of_one * POOL / PERIOD;
    let seconds = watching.elapsed().as_secs().max(1);
    let watching = (watcher.bytes() - watched) / seconds;
    let pool = per_second(per_renewal) + watching;
    let framed = per_second(per_renewal + pieces * 2 * FRAME) + watching;
    println!(
        "a renewal: {per_renewal} bytes in {pieces} pieces; a watcher: {watching} B/s; {POOL} nodes \
         renewed each {PERIOD} s: {pool} B/s of payload, at most {framed} B/s with all headers"
    );
    assert!(pool < LIMIT, "{pool} B/s");
}
