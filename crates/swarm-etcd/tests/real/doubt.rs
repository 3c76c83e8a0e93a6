//! Writes that are carried out and whose answer is lost: what is told afterwards is true.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{Expect, KeyValue, StoreError, StoreOptions, Write};
use swarm_testkit::stores::{EtcdServer, Meter};

use crate::rig::{open, plain, server};

/// A client that is just now at the endpoint whose answers are then lost; a second one is left to
/// it.
async fn cut_off(server: &EtcdServer) -> (Arc<dyn KeyValue>, Meter) {
    let target = &server.hosts()[0];
    let meter = Meter::start(target).await.unwrap();
    let url = format!("etcd://{},{target}", meter.address());
    // Clients begin at a random endpoint.
    loop {
        let store = open(&url, &StoreOptions::default());
        store.get("pool/a").await.unwrap();
        if meter.connections() > 0 {
            store.get("pool/a").await.unwrap();
            meter.mute();
            return (store, meter);
        }
    }
}

#[tokio::test]
async fn a_leased_write_is_known_again() {
    let server = server(|_| {});
    let lease = plain(&server).grant(Duration::from_mins(1)).await.unwrap();
    let (store, _meter) = cut_off(&server).await;
    let write = Write::new("pool/lock", "me").expecting(Expect::Absent).leased(&lease);
    let revision = store.put(write).await.unwrap();
    assert_eq!(store.get("pool/lock").await.unwrap().unwrap().revision, revision);
}

#[tokio::test]
async fn a_write_that_could_be_anybodys_is_not_claimed() {
    let server = server(|_| {});
    let plain = plain(&server);
    let lost = |result: Result<(), StoreError>| match result {
        // On a machine that stood still for a second the endpoint was asked first, and left.
        Ok(()) => false,
        Err(error) => {
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
            assert!(error.to_string().contains("cannot be known"), "{error}");
            true
        }
    };
    loop {
        let revision = plain.put(Write::new("pool/epoch", "1")).await.unwrap();
        let (store, _meter) = cut_off(&server).await;
        let write = Write::new("pool/epoch", "2").expecting(Expect::Revision(revision));
        let was_lost = lost(store.put(write).await.map(|_| ()));
        assert_eq!(plain.get("pool/epoch").await.unwrap().unwrap().value, "2");
        if was_lost {
            break;
        }
    }
    loop {
        let revision = plain.put(Write::new("pool/epoch", "3")).await.unwrap();
        let (store, _meter) = cut_off(&server).await;
        let was_lost = lost(store.delete("pool/epoch", Expect::Revision(revision), None).await);
        assert_eq!(plain.get("pool/epoch").await.unwrap(), None);
        if was_lost {
            break;
        }
    }
}

#[tokio::test]
async fn a_write_without_conditions_is_done() {
    let server = server(|_| {});
    let (store, _meter) = cut_off(&server).await;
    let revision = store.put(Write::new("pool/a", "1")).await.unwrap();
    assert_eq!(store.get("pool/a").await.unwrap().unwrap().revision, revision);
    let (store, _meter) = cut_off(&server).await;
    store.delete("pool/a", Expect::Anything, None).await.unwrap();
    assert_eq!(store.get("pool/a").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_is_not_sent_to_an_endpoint_that_does_not_answer() {
    let server = server(|_| {});
    let (store, meter) = cut_off(&server).await;
    // Long enough not to count on its last answer any more.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let before = plain(&server).put(Write::new("pool/b", "1")).await.unwrap();
    let revision = store.put(Write::new("pool/a", "1")).await.unwrap();
    assert!(meter.connections() > 0);
    assert_eq!(revision.0, before.0 + 1, "it was written once, by the endpoint that answers");
}
