//! What every store must do, as one test that an adapter's author runs over the real server.
//!
//! Each check works below a directory of its own, so that one server serves many runs at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use swarm_kv::{Change, Expect, Guard, Item, KeyValue, Result, StoreError, Watch, Write};

/// How long a watch may take to show a change, on a machine whose cores have other work.
const SOON: Duration = Duration::from_secs(20);
/// A lease that is written with, and renewed every third of it, is not lost where nobody runs for a second or two.
const RENEWED: Duration = Duration::from_secs(4);
/// A lease whose end is no subject outlives the check.
const LASTING: Duration = Duration::from_mins(1);
/// How long a watch must stay silent to count as having nothing to say.
const QUIET: Duration = Duration::from_millis(700);

/// Runs every check below `root`, which must be empty. `other` is a second client of the same
/// server. `ttl` is the shortest lease the store grants. Panics, as tests do, at the first failure.
pub async fn check(
    store: &Arc<dyn KeyValue>,
    other: &Arc<dyn KeyValue>,
    root: &str,
    ttl: Duration,
) {
    assert!(!store.describe().is_empty(), "a store can say what it is");
    values(&**store, &**other, &format!("{root}/values")).await;
    conditions(&**store, &**other, &format!("{root}/conditions")).await;
    guards(&**store, &**other, &format!("{root}/guards")).await;
    watches(&**store, &**other, &format!("{root}/watches")).await;
    leases(&**store, &**other, &format!("{root}/leases"), ttl).await;
    one_wins(store, other, &format!("{root}/race")).await;
}

async fn values(store: &dyn KeyValue, other: &dyn KeyValue, dir: &str) {
    assert_eq!(ok(store.list(dir).await), [], "a directory that is not there is empty");
    assert_eq!(ok(store.get(&format!("{dir}/a")).await), None);
    // Everything a node's address or an id can hold, and bytes of any kind.
    let keys = ["10.0.0.1:2375", "[2001:db8::1]:2375", "a-b_c.d:1", "b"];
    for (place, key) in keys.iter().enumerate() {
        let value = if place == 0 { vec![] } else { vec![0, 255, b'"', b'\n', 128] };
        ok(store.put(Write::new(format!("{dir}/{key}"), value)).await);
    }
    // What stands deeper, or beside under a longer name, is not in the directory.
    ok(store.put(Write::new(format!("{dir}/deep/er"), "x")).await);
    ok(store.put(Write::new(format!("{dir}x/a"), "x")).await);
    let listed = ok(other.list(dir).await);
    let mut expected = keys.map(|key| format!("{dir}/{key}")).to_vec();
    expected.sort();
    let names: Vec<_> = listed.iter().map(|item| item.key.clone()).collect();
    let names: Vec<_> = names.into_iter().filter(|key| *key != format!("{dir}/deep")).collect();
    assert_eq!(names, expected, "another client lists what was written, sorted");
    for item in &listed {
        assert_eq!(ok(store.get(&item.key).await).as_ref(), Some(item));
    }
    ok(store.delete(&format!("{dir}/b"), Expect::Anything, None).await);
    ok(store.delete(&format!("{dir}/b"), Expect::Anything, None).await);
    assert_eq!(ok(other.get(&format!("{dir}/b")).await), None, "what is deleted is gone");
    let large = vec![7_u8; 300_000];
    ok(store.put(Write::new(format!("{dir}/large"), large.clone())).await);
    assert_eq!(ok(other.get(&format!("{dir}/large")).await).map(|i| i.value.to_vec()), Some(large));
    let too_large = vec![0_u8; store.largest_value() + 1];
    let refused = store.put(Write::new(format!("{dir}/huge"), too_large)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}

async fn conditions(store: &dyn KeyValue, other: &dyn KeyValue, dir: &str) {
    let key = format!("{dir}/k");
    let first = ok(store.put(Write::new(&*key, "1").expecting(Expect::Absent)).await);
    let again = other.put(Write::new(&*key, "2").expecting(Expect::Absent)).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    let second = ok(other.put(Write::new(&*key, "2").expecting(Expect::Revision(first))).await);
    assert_ne!(first, second, "a new value has a new revision");
    let late = store.put(Write::new(&*key, "3").expecting(Expect::Revision(first))).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    let item = ok(store.get(&key).await);
    assert_eq!(item.map(|i| (i.value, i.revision)), Some(("2".into(), second)));
    let late = store.delete(&key, Expect::Revision(first), None).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    ok(store.delete(&key, Expect::Revision(second), None).await);
    let gone = store.put(Write::new(&*key, "4").expecting(Expect::Revision(second))).await;
    assert!(matches!(gone, Err(StoreError::Conflict { .. })), "{gone:?}");
    let gone = store.delete(&key, Expect::Revision(second), None).await;
    assert!(matches!(gone, Err(StoreError::Conflict { .. })), "{gone:?}");
}

async fn guards(store: &dyn KeyValue, other: &dyn KeyValue, dir: &str) {
    let epoch = format!("{dir}/epoch");
    let revision = ok(store.put(Write::new(&*epoch, "1")).await);
    let guard = Guard { key: epoch.clone(), revision };
    let key = format!("{dir}/k");
    let guarded = |value: &'static str| Write::new(&*key, value).guarded(Some(&guard));
    let made = ok(store.put(guarded("1").expecting(Expect::Absent)).await);
    ok(store.put(guarded("2").expecting(Expect::Revision(made))).await);
    let conflict = store.put(guarded("3").expecting(Expect::Absent)).await;
    assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{conflict:?}");
    ok(other.put(Write::new(&*epoch, "2")).await);
    let fenced = store.put(guarded("4")).await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    let fenced = store.delete(&key, Expect::Anything, Some(&guard)).await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    assert_eq!(ok(store.get(&key).await).map(|i| i.value), Some("2".into()), "nothing was written");
    let revision = ok(store.get(&epoch).await).map(|item| item.revision);
    let guard = Guard { key: epoch, revision: revision.unwrap_or(made) };
    ok(store.delete(&key, Expect::Anything, Some(&guard)).await);
    assert_eq!(ok(other.get(&key).await), None);
}

async fn watches(store: &dyn KeyValue, other: &dyn KeyValue, dir: &str) {
    let put = async |name: &str, value: &'static str| {
        ok(other.put(Write::new(format!("{dir}/{name}"), value)).await);
    };
    let mut watch = store.watch(dir);
    assert_eq!(next(&mut watch).await, Change::Whole(vec![]), "a watch begins with the whole");
    put("a", "1").await;
    put("b", "1").await;
    let mut seen = Seen::default();
    seen.until(&mut watch, &[("a", "1"), ("b", "1")]).await;
    put("a", "2").await;
    ok(other.delete(&format!("{dir}/b"), Expect::Anything, None).await);
    seen.until(&mut watch, &[("a", "2")]).await;
    put("deep/er", "1").await;
    put("c", "1").await;
    seen.until(&mut watch, &[("a", "2"), ("c", "1")]).await;
    assert!(quiet(&mut watch).await, "nothing more happened");
    let mut second = store.watch(dir);
    let Change::Whole(items) = next(&mut second).await else {
        unreachable!("a later watch begins with the whole too");
    };
    assert!(items.iter().any(|item| item.key == format!("{dir}/c")));
}

async fn leases(store: &dyn KeyValue, other: &dyn KeyValue, dir: &str, ttl: Duration) {
    let mut watch = other.watch(dir);
    assert_eq!(next(&mut watch).await, Change::Whole(vec![]));
    let mut seen = Seen::default();
    let asked = ttl.max(RENEWED);
    let lease = ok(store.grant(asked).await);
    assert!(lease.holds <= asked && lease.gone_after >= asked, "{lease:?}");
    ok(store.put(Write::new(format!("{dir}/held"), "x").leased(&lease)).await);
    ok(store.put(Write::new(format!("{dir}/free"), "y")).await);
    seen.until(&mut watch, &[("free", "y"), ("held", "x")]).await;
    // Renewed, it stays; another client's view is what counts.
    let renewals = Instant::now();
    while renewals.elapsed() < lease.gone_after + Duration::from_secs(1) {
        tokio::time::sleep(lease.holds / 3).await;
        ok(store.renew(&lease).await);
    }
    assert!(ok(other.get(&format!("{dir}/held")).await).is_some(), "a renewed lease holds");
    ok(store.revoke(&lease).await);
    seen.until(&mut watch, &[("free", "y")]).await;
    let lost = store.renew(&lease).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    let lost = store.put(Write::new(format!("{dir}/held"), "x").leased(&lease)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    ok(store.revoke(&lease).await);
    // Who registers again after a crash takes the key over from the lease that nobody renews.
    let lasting = ttl.max(LASTING);
    let (old, new) = (ok(store.grant(lasting).await), ok(other.grant(lasting).await));
    ok(store.put(Write::new(format!("{dir}/held"), "old").leased(&old)).await);
    ok(other.put(Write::new(format!("{dir}/held"), "new").leased(&new)).await);
    ok(store.revoke(&old).await);
    seen.until(&mut watch, &[("free", "y"), ("held", "new")]).await;
    assert!(quiet(&mut watch).await, "the old lease's end takes nothing of the new one's");
    ok(other.revoke(&new).await);
    seen.until(&mut watch, &[("free", "y")]).await;
    // Not renewed, it goes in time and not too early.
    let begun = Instant::now();
    let lease = ok(store.grant(asked).await);
    ok(store.put(Write::new(format!("{dir}/held"), "z").leased(&lease)).await);
    seen.until(&mut watch, &[("free", "y"), ("held", "z")]).await;
    let patience = lease.gone_after + SOON;
    seen.within(&mut watch, &[("free", "y")], patience).await;
    assert!(begun.elapsed() >= lease.holds, "it held for {:?} only", begun.elapsed());
}

async fn one_wins(store: &Arc<dyn KeyValue>, other: &Arc<dyn KeyValue>, dir: &str) {
    let writers = (0..16_u8).map(|number| {
        let store = Arc::clone(if number % 2 == 0 { store } else { other });
        let write = Write::new(format!("{dir}/lock"), vec![number]).expecting(Expect::Absent);
        async move { store.put(write).await.is_ok() }
    });
    let won = futures_util::future::join_all(writers).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "exactly one of many creates a key");
}

/// What a watcher has put together.
#[derive(Default)]
struct Seen(std::collections::BTreeMap<String, bytes::Bytes>);

impl Seen {
    fn take(&mut self, change: Change) {
        match change {
            Change::Whole(items) => {
                self.0 = items.into_iter().map(|Item { key, value, .. }| (key, value)).collect();
            }
            Change::Put(item) => drop(self.0.insert(item.key, item.value)),
            Change::Deleted(key) => drop(self.0.remove(&key)),
        }
        // A directory deeper down may show as an empty key of its own (ZooKeeper).
        self.0.retain(|key, _| !key.ends_with("/deep"));
    }

    async fn until(&mut self, watch: &mut Watch, expected: &[(&str, &str)]) {
        self.within(watch, expected, SOON).await;
    }

    async fn within(&mut self, watch: &mut Watch, expected: &[(&str, &str)], limit: Duration) {
        let is_there = |seen: &Self| {
            seen.0.len() == expected.len()
                && seen.0.iter().zip(expected).all(|((key, value), (name, text))| {
                    key.ends_with(&format!("/{name}")) && *value == text.as_bytes()
                })
        };
        let until = tokio::time::Instant::now() + limit;
        while !is_there(self) {
            match tokio::time::timeout_at(until, watch.next()).await {
                Ok(Some(Ok(change))) => self.take(change),
                other => assert!(
                    is_there(self),
                    "waited for {expected:?}, knew {:?}, then {other:?}",
                    self.0
                ),
            }
        }
    }
}

fn ok<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("the store failed: {error}"),
    }
}

async fn next(watch: &mut Watch) -> Change {
    match tokio::time::timeout(SOON, watch.next()).await {
        Ok(Some(Ok(change))) => change,
        other => unreachable!("a change was due within {SOON:?}, there was {other:?}"),
    }
}

async fn quiet(watch: &mut Watch) -> bool {
    tokio::time::timeout(QUIET, watch.next()).await.is_err()
}
