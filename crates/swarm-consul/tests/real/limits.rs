//! What is too much for a server: values, requests of one client, and how it is told.

use std::net::TcpStream;

use serde_json::json;
use swarm_consul::LARGEST_VALUE;
use swarm_kv::{Expect, Guard, StoreError, Write};
use swarm_testkit::stores::consul::{Config, ConsulServer};

use crate::opening::plain;

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_value_is_taken_with_all_conditions() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let store = plain(&server.url(""));
    let lease = store.grant(std::time::Duration::from_mins(1)).await.unwrap();
    let key = format!("p/{}", "k".repeat(500));
    let guard = Guard {
        revision: store.put(Write::new("p/epoch", "1")).await.unwrap(),
        key: "p/epoch".into(),
    };
    let write = Write::new(&*key, vec![7; LARGEST_VALUE]).leased(&lease).guarded(Some(&guard));
    let first = store.put(write.clone().expecting(Expect::Absent)).await.unwrap();
    store.put(write.expecting(Expect::Revision(first))).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap().unwrap().value.len(), LARGEST_VALUE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_less_says_how_much() {
    let more = json!({"limits": {"txn_max_req_len": 100_000, "kv_max_value_size": 100_000}});
    let server = ConsulServer::start(Config { more, ..Config::default() }).unwrap();
    let store = plain(&server.url(""));
    match store.put(Write::new("p/k", vec![7; 90_000])).await {
        Err(StoreError::TooLarge { key, size: 90_000, limit }) => {
            assert_eq!(key, "p/k");
            store.put(Write::new("p/k", vec![7; limit])).await.unwrap();
            assert!(limit > 70_000, "{limit}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_too_many_connections_is_unreachable_for_now() {
    let more = json!({"limits": {"http_max_conns_per_client": 3}});
    let server = ConsulServer::start(Config { more, ..Config::default() }).unwrap();
    let store = plain(&server.url(""));
    let held: Vec<_> = (0..3).map(|_| TcpStream::connect(server.address(0)).unwrap()).collect();
    let refused = store.get("p/k").await;
    // Consul 1.8 hangs up, newer ones answer 429: neither is final.
    assert!(matches!(refused, Err(StoreError::Unreachable { .. })), "{refused:?}");
    drop(held);
    crate::opening::eventually(async || store.get("p/k").await).await;
}
