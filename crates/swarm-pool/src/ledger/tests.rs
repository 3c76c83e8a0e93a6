//! A ledger over the in-process store and its faults.

use swarm_kv::{Expect, Write};
use swarm_memory::Memory;
use swarm_model::{Availability, EngineRecord, EngineRef, FORMAT};

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

fn record(name: &str) -> EngineRecord {
    EngineRecord {
        format: FORMAT,
        engine: EngineRef { id: name.into(), name: name.into() },
        address: format!("{name}:2375"),
        cpus: 1,
        memory: 1,
        labels: BTreeMap::default(),
        availability: Availability::Active,
        gone: false,
        created: 0,
        updated: 0,
    }
}

fn ledger(store: &Arc<Memory>, guard: Option<Guard>) -> Arc<Ledger<EngineRecord>> {
    Ledger::new(Arc::clone(store) as _, "pool/engines".into(), Arc::new(move || Ok(guard.clone())))
}

#[tokio::test(start_paused = true)]
async fn changes_are_kept_and_found_again() {
    let store = Memory::new();
    let first = ledger(&store, None);
    let number = first.set("a", record("a"));
    first.stored("a", number).await.unwrap();
    for cpus in 0..50 {
        first.change("a", |record| record.cpus = cpus);
    }
    let number = first.change("a", |record| record.availability = Availability::Drain).unwrap();
    assert_eq!(first.change("a", |record| record.cpus = 49), None, "nothing changed");
    first.stored("a", number).await.unwrap();
    first.stored("b", first.set("b", record("b"))).await.unwrap();
    first.stored("b", first.delete("b")).await.unwrap();

    let second = ledger(&store, None);
    second.load().await.unwrap();
    assert_eq!(second.len(), 1);
    let found = second.get("a").unwrap();
    assert_eq!(second.named("a"), Some(Arc::clone(&found)));
    assert_eq!(second.named("b"), None);
    assert_eq!((found.cpus, found.availability), (49, Availability::Drain));
}

#[tokio::test(start_paused = true)]
async fn an_outage_loses_nothing() {
    let store = Memory::new();
    let ledger = ledger(&store, None);
    let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
    store.fail(Some(down.clone()));
    let number = ledger.set("a", record("a"));
    assert_eq!(ledger.stored("a", number).await, Err(down));
    assert!(ledger.get("a").is_some(), "readers see it all the same");
    store.fail(None);
    let number = ledger.change("a", |record| record.cpus = 7).unwrap();
    while ledger.stored("a", number).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kept = store.get("pool/engines/a").await.unwrap().unwrap();
    assert_eq!(EngineRecord::parse(&kept.value).unwrap().cpus, 7);
}

/// What was not kept in time was refused to the client, and its write is on its way all the same.
#[tokio::test(start_paused = true)]
async fn a_first_write_that_comes_late_does_not_bring_back_what_was_deleted() {
    let store = Memory::new();
    let ledger = ledger(&store, None);
    store.fail(Some(StoreError::Unreachable { store: "memory".into(), reason: "test".into() }));
    ledger.stored("a", ledger.set("a", record("a"))).await.unwrap_err();
    let number = ledger.delete("a");
    store.fail(None);
    while ledger.stored("a", number).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((ledger.get("a"), ledger.named("a")), (None, None));
    for pause in [1, 20] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        store.put(Write::new("pool/engines/a", record("a").to_json())).await.unwrap();
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(store.get("pool/engines/a").await.unwrap(), None);
    assert_eq!(ledger.len(), 0, "and it is not watched for ever");
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_was_replaced_writes_nothing() {
    let store = Memory::new();
    let revision = store.put(Write::new("pool/epoch", "1")).await.unwrap();
    let guard = Guard { key: "pool/epoch".into(), revision };
    let ledger = ledger(&store, Some(guard));
    ledger.stored("a", ledger.set("a", record("a"))).await.unwrap();
    store.put(Write::new("pool/epoch", "2")).await.unwrap();
    let number = ledger.change("a", |record| record.cpus = 9).unwrap();
    let refused = ledger.stored("a", number).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    let kept = store.get("pool/engines/a").await.unwrap().unwrap();
    assert_eq!(EngineRecord::parse(&kept.value).unwrap().cpus, 1);
}

#[tokio::test(start_paused = true)]
async fn a_value_of_another_is_written_over_and_garbage_is_left_alone() {
    let store = Memory::new();
    let ledger = ledger(&store, None);
    // As of a write of ours whose answer was lost.
    store.put(Write::new("pool/engines/a", record("a").to_json())).await.unwrap();
    ledger.stored("a", ledger.set("a", record("new"))).await.unwrap();
    store.put(Write::new("pool/engines/x", "no record").expecting(Expect::Absent)).await.unwrap();
    ledger.load().await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger.get("a").unwrap().address, "new:2375");
    assert!(store.get("pool/engines/x").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_when_the_term_ends_is_not_told_that_it_is_kept() {
    let store = Memory::new();
    let ledger = ledger(&store, None);
    ledger.stored("a", ledger.set("a", record("a"))).await.unwrap();
    let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
    store.fail(Some(down));
    let lost = |refused: Result<(), StoreError>| {
        assert!(matches!(refused, Err(StoreError::NotPrimary { .. })), "{refused:?}");
    };
    for again in [false, true] {
        let number = ledger.change("a", |record| record.cpus += 1).unwrap();
        ledger.clear();
        if again {
            // It leads again, and has read what the store has.
            store.fail(None);
            ledger.load().await.unwrap();
        }
        lost(ledger.stored("a", number).await);
        if !again {
            store.fail(None);
            ledger.load().await.unwrap();
        }
    }
    assert_eq!(ledger.get("a").unwrap().cpus, 1);
    ledger.stored("a", ledger.change("a", |record| record.cpus = 3).unwrap()).await.unwrap();
}
