//! The store in this process does what every store must, under a paused clock too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use swarm_kv::{Change, KeyValue, StoreError, Write};
use swarm_memory::Memory;
use swarm_testkit::stores::conformance;

#[tokio::test]
async fn it_does_what_every_store_must() {
    let memory = Memory::new();
    let other: Arc<dyn KeyValue> = Arc::new(Memory::clone(&memory));
    let memory: Arc<dyn KeyValue> = memory;
    conformance::check(&memory, &other, "check", Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn leases_follow_a_paused_clock() {
    let memory = Memory::new();
    let lease = memory.grant(Duration::from_hours(1)).await.unwrap();
    memory.put(Write::new("d/k", "v").leased(&lease)).await.unwrap();
    tokio::time::advance(Duration::from_mins(59)).await;
    assert_eq!(memory.renewed_ago("d/k").await.unwrap(), Some(Duration::from_mins(59)));
    memory.renew(&lease).await.unwrap();
    tokio::time::advance(Duration::from_mins(59)).await;
    assert!(memory.get("d/k").await.unwrap().is_some(), "it was renewed");
    let mut watch = memory.watch("d");
    assert!(matches!(watch.next().await, Some(Ok(Change::Whole(items))) if items.len() == 1));
    // The paused clock runs to the lease's end by itself.
    assert_eq!(watch.next().await, Some(Ok(Change::Deleted("d/k".to_owned()))));
    assert!(matches!(memory.renew(&lease).await, Err(StoreError::LeaseLost { .. })));
    assert_eq!(memory.renewed_ago("d/k").await.unwrap(), None);
}

#[tokio::test]
async fn a_fault_is_told_once_and_watches_begin_anew_after_it() {
    let memory = Memory::new();
    memory.put(Write::new("d/a", "1")).await.unwrap();
    let mut watch = memory.watch("d");
    assert!(matches!(watch.next().await, Some(Ok(Change::Whole(_)))));
    let fault = StoreError::Unreachable { store: "memory://".into(), reason: "a test".into() };
    memory.fail(Some(fault.clone()));
    assert_eq!(watch.next().await, Some(Err(fault.clone())));
    assert_eq!(memory.get("d/a").await, Err(fault.clone()));
    assert_eq!(memory.put(Write::new("d/b", "1")).await, Err(fault.clone()));
    assert_eq!(memory.grant(Duration::from_secs(1)).await, Err(fault.clone()));
    memory.fail(Some(fault));
    assert_eq!(watch.next().now_or_never(), None, "a fault that lasts is told once");
    memory.fail(None);
    let Some(Ok(Change::Whole(items))) = watch.next().await else {
        unreachable!("after a fault a watch begins with the whole");
    };
    assert_eq!(items.len(), 1, "what failed was not written");
}
