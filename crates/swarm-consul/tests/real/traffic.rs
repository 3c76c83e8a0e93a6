//! What an idle pool of 1,000 nodes costs the store, counted on the wire to a real server.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use swarm_kv::Write;
use swarm_testkit::stores::Meter;
use swarm_testkit::stores::consul::{Config, ConsulServer};

use crate::opening::{open, plain, whole, with_token};

/// A counting way to `server`, and the URL by which it is used.
async fn counting(server: &ConsulServer) -> (String, Meter) {
    let meter = Meter::start(&server.address(0)).await.unwrap();
    (format!("consul://{}", meter.address()), meter)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_of_a_thousand_nodes_stays_below_ten_kilobytes_per_second() {
    let server = ConsulServer::start(Config { acl: true, ..Config::default() }).unwrap();
    let options = with_token(server.management_token());
    let (url, count) = counting(&server).await;
    let store = open(&url, &options);
    let lease = store.grant(Duration::from_mins(3)).await.unwrap();
    store.renew(&lease).await.unwrap();
    let before = count.bytes();
    for _ in 0..100 {
        store.renew(&lease).await.unwrap();
    }
    let renewal = (count.bytes() - before) / 100;

    for number in 0..1000 {
        let key = format!("docker/swarm/nodes/10.0.{}.{}:2375", number / 250, number % 250);
        store.put(Write::new(key, "")).await.unwrap();
    }
    let (url, count) = counting(&server).await;
    let watcher = open(&url, &options);
    let mut watch = watcher.watch("docker/swarm/nodes");
    assert_eq!(whole(&mut watch).await.len(), 1000);
    let listing = count.bytes();
    // While others write beside the directory, its watcher is told nothing and reads nothing.
    let beside = async {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            store.put(Write::new("docker/swarm/leader", "x")).await.unwrap();
            store.renew(&lease).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        told = watch.next() => panic!("an idle directory told {told:?}"),
        () = beside => {}
    }
    let idle = count.bytes() - listing;
    // The blocking query itself once in nine minutes with its answer, and the pulse.
    let watching = idle / 30 + listing / (9 * 60);
    let renewals = renewal * 1000 / 60;
    println!("one renewal: {renewal} bytes; 1,000 nodes at one per 60 s: {renewals} bytes/s");
    println!(
        "a listing of 1,000 nodes: {listing} bytes; one idle watcher of it: {watching} bytes/s"
    );
    // Two managers that watch four directories each, all as large as that of the nodes.
    let pool = renewals + 2 * 4 * watching;
    println!("an idle pool of 1,000 nodes with two managers: {pool} bytes/s");
    assert!(pool < 10_000, "{pool} bytes/s");
    assert!(idle < listing, "nothing is read again while nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_an_empty_directory_is_silent_too() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let (url, count) = counting(&server).await;
    let (watcher, writer) = (plain(&url), plain(&server.url("")));
    let mut watch = watcher.watch("p/none");
    assert_eq!(whole(&mut watch).await, [""; 0]);
    tokio::select! {
        told = watch.next() => panic!("an empty directory told {told:?}"),
        () = async {
            for round in 0..100 {
                writer.put(Write::new("q/other", format!("{round}"))).await.unwrap();
                writer.put(Write::new(format!("p/nonesuch{round}"), "1")).await.unwrap();
            }
        } => {}
    }
    let bytes = count.bytes();
    println!("an empty directory's watcher: {bytes} bytes over 200 writes beside it");
    assert!(bytes < 200 * 100, "{bytes} bytes: an answer takes more, and there was one per write");
}
