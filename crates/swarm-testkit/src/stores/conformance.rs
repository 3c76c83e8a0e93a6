//! What every store must do, as one test that an adapter's author runs over the real server.
//!
//! Each check works below a directory of its own, so that one server serves many runs at once.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use swarm_kv::{
    Change, Expect, Guard, Item, KeyValue, Lease, Result as StoreResult, StoreError, Watch, Write,
};

/// How long a watch may take to show a change, on a machine whose cores have other work.
const SOON: Duration = Duration::from_secs(20);
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

/// A lease that was not renewed in time, by this side's own clock, may go, and shows nothing of the store: on a
/// machine that is that slow it is tried with longer ones.
async fn leases(store: &dyn KeyValue, other: &dyn KeyValue, dir: &str, ttl: Duration) {
    for (attempt, times) in [1, 2, 4, 8].into_iter().enumerate() {
        let tried = leases_of((store, other), &format!("{dir}-{attempt}"), ttl * times).await;
        if tried == Ok(()) {
            return;
        }
    }
    unreachable!("this machine is too slow to renew a lease of {:?}", ttl * 8);
}

/// This side was too late for what was to be shown.
#[derive(Debug, PartialEq, Eq)]
struct TooLate;

/// A lease, and when the last call that gave it its full time began.
struct Held {
    lease: Lease,
    since: Instant,
}

impl Held {
    async fn grant(store: &dyn KeyValue, ttl: Duration) -> Self {
        let since = Instant::now();
        let lease = ok(store.grant(ttl).await);
        assert!(lease.holds <= ttl && lease.gone_after >= ttl, "{lease:?}");
        Self { lease, since }
    }

    /// `Err` where it may have gone.
    fn in_time(&self) -> Result<(), TooLate> {
        if self.since.elapsed() < self.lease.holds { Ok(()) } else { Err(TooLate) }
    }

    /// What was asked of the store while it held.
    fn ok<T>(&self, result: StoreResult<T>) -> Result<T, TooLate> {
        match result {
            Err(StoreError::LeaseLost { .. }) => {
                self.in_time()?;
                unreachable!("{:?} was lost after {:?}", self.lease, self.since.elapsed())
            }
            result => Ok(ok(result)),
        }
    }

    /// Renews it while something is done.
    async fn renewed<T>(
        &mut self,
        store: &dyn KeyValue,
        work: impl Future<Output = T>,
    ) -> Result<T, TooLate> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.in_time()?;
                    return Ok(done);
                }
                () = tokio::time::sleep(self.lease.holds / 4) => {
                    let since = Instant::now();
                    self.ok(store.renew(&self.lease).await)?;
                    self.since = since;
                }
            }
        }
    }
}

async fn leases_of(
    (store, other): (&dyn KeyValue, &dyn KeyValue),
    dir: &str,
    ttl: Duration,
) -> Result<(), TooLate> {
    let mut watch = other.watch(dir);
    assert_eq!(next(&mut watch).await, Change::Whole(vec![]));
    let mut seen = Seen::default();
    let held_by = |value: &'static str, held: &Held| {
        Write::new(format!("{dir}/held"), value).leased(&held.lease)
    };
    ok(store.put(Write::new(format!("{dir}/free"), "y")).await);
    let mut held = Held::grant(store, ttl).await;
    held.ok(store.put(held_by("x", &held)).await)?;
    // Renewed, it stays; another client's view is what counts.
    let both = held.lease.gone_after + Duration::from_secs(1);
    let stays = async {
        let is_seen = seen.sees(&mut watch, &[("free", "y"), ("held", "x")], SOON).await;
        tokio::time::sleep(both).await;
        (is_seen, ok(other.get(&format!("{dir}/held")).await).is_some())
    };
    assert_eq!(held.renewed(store, stays).await?, (true, true), "a renewed lease holds");
    let lease = held.lease;
    ok(store.revoke(&lease).await);
    seen.until(&mut watch, &[("free", "y")]).await;
    let lost = store.renew(&lease).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    let lost = store.put(Write::new(format!("{dir}/held"), "x").leased(&lease)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    ok(store.revoke(&lease).await);
    // Who registers again after a crash takes the key over from the lease that nobody renews.
    let (old, mut new) = (Held::grant(store, ttl).await, Held::grant(other, ttl).await);
    old.ok(store.put(held_by("old", &old)).await)?;
    new.ok(other.put(held_by("new", &new)).await)?;
    ok(store.revoke(&old.lease).await);
    let stays = async {
        let is_seen = seen.sees(&mut watch, &[("free", "y"), ("held", "new")], SOON).await;
        (is_seen, quiet(&mut watch).await)
    };
    let stays = new.renewed(other, stays).await?;
    assert_eq!(stays, (true, true), "the old lease's end takes nothing of the new one's");
    ok(other.revoke(&new.lease).await);
    seen.until(&mut watch, &[("free", "y")]).await;
    // Not renewed, it goes in time and not too early.
    let held = Held::grant(store, ttl).await;
    let begun = Instant::now();
    held.ok(store.put(held_by("z", &held)).await)?;
    if !seen.sees(&mut watch, &[("free", "y"), ("held", "z")], SOON).await {
        held.in_time()?;
        unreachable!("what was written under a lease is not seen, but {:?}", seen.0);
    }
    // Its end is a write like that one, and seen as soon.
    let patience = held.lease.gone_after + Duration::from_secs(1) + 2 * begun.elapsed();
    seen.within(&mut watch, &[("free", "y")], patience).await;
    let lived = held.since.elapsed();
    assert!(lived >= held.lease.holds, "it held for {lived:?} only");
    Ok(())
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
        let is_seen = self.sees(watch, expected, limit).await;
        assert!(is_seen, "waited {limit:?} for {expected:?}, knew {:?}", self.0);
    }

    /// Whether that is seen in time.
    async fn sees(
        &mut self,
        watch: &mut Watch,
        expected: &[(&str, &str)],
        limit: Duration,
    ) -> bool {
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
                _ => return is_there(self),
            }
        }
        true
    }
}

fn ok<T>(result: StoreResult<T>) -> T {
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
