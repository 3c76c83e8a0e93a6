//! One manager's line to the store: cut, slow, or losing answers, while others' are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, Watch, Write};
use swarm_memory::Memory;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a call over a cut line takes to fail.
const DEADLINE: Duration = Duration::from_secs(5);

/// The line.
#[derive(Debug)]
pub struct Line {
    store: Arc<Memory>,
    cut: watch::Sender<bool>,
    slow: Mutex<Slow>,
    /// The watch tells nothing.
    mute: AtomicBool,
    /// The lease that was granted last.
    pub granted: Mutex<Option<Lease>>,
    /// What leases are said to outlive, at least.
    minimum: Duration,
}

#[derive(Debug)]
struct Slow {
    rng: StdRng,
    /// Longest delay of a call's way there, and of its way back.
    most: Duration,
}

impl Line {
    pub fn new(store: Arc<Memory>, seed: u64) -> Arc<Self> {
        Self::with_minimum(store, seed, Duration::ZERO)
    }

    pub fn with_minimum(store: Arc<Memory>, seed: u64, minimum: Duration) -> Arc<Self> {
        let slow = Slow { rng: StdRng::seed_from_u64(seed), most: Duration::ZERO };
        Arc::new(Self {
            store,
            cut: watch::Sender::new(false),
            slow: Mutex::new(slow),
            mute: AtomicBool::new(false),
            granted: Mutex::default(),
            minimum,
        })
    }

    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }

    pub fn slow(&self, most: Duration) {
        self.slow.lock().most = most;
    }

    /// No watch that is begun from now on shows anything, as one that has not come to it yet.
    pub fn mute(&self) {
        self.mute.store(true, Ordering::Relaxed);
    }

    /// Over the line, there and back; either way may fail.
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let whole = async {
            self.way().await;
            let answer = call.await;
            self.way().await;
            answer
        };
        timeout(DEADLINE, whole).await.unwrap_or_else(|_| Err(unreachable()))
    }

    /// One way; over a cut line it does not end.
    async fn way(&self) {
        let delay = {
            let mut slow = self.slow.lock();
            let most = slow.most;
            most.mul_f64(slow.rng.random_range(0.0..=1.0))
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let mut cut = self.cut.subscribe();
        if *cut.borrow_and_update() {
            std::future::pending::<()>().await;
        }
    }
}

fn unreachable() -> StoreError {
    StoreError::Unreachable { store: "line".to_owned(), reason: "the line is cut".to_owned() }
}

#[async_trait]
impl KeyValue for Line {
    fn describe(&self) -> String {
        "line".to_owned()
    }
    fn largest_value(&self) -> usize {
        self.store.largest_value()
    }
    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.call(self.store.get(key)).await
    }
    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.call(self.store.list(directory)).await
    }
    async fn put(&self, write: Write) -> Result<Revision> {
        self.call(self.store.put(write)).await
    }
    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.call(self.store.delete(key, expect, guard)).await
    }
    /// Silent while the line is cut, and whole again after.
    fn watch(&self, directory: &str) -> Watch {
        if self.mute.load(Ordering::Relaxed) {
            return Box::pin(futures_util::stream::pending());
        }
        let (store, directory) = (Arc::clone(&self.store), directory.to_owned());
        let cut = self.cut.subscribe();
        let begin = (store.watch(&directory), cut, false);
        Box::pin(futures_util::stream::unfold(begin, move |(mut inner, mut cut, mut told)| {
            let (store, directory) = (Arc::clone(&store), directory.clone());
            async move {
                loop {
                    if *cut.borrow_and_update() {
                        if !std::mem::replace(&mut told, true) {
                            return Some((Err(unreachable()), (inner, cut, told)));
                        }
                        cut.changed().await.ok()?;
                        continue;
                    }
                    if std::mem::take(&mut told) {
                        inner = store.watch(&directory);
                    }
                    tokio::select! {
                        change = inner.next() => return Some((change?, (inner, cut, told))),
                        _ = cut.changed() => {}
                    }
                }
            }
        }))
    }
    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        let mut lease = self.call(self.store.grant(ttl.max(self.minimum))).await?;
        lease.holds = ttl;
        *self.granted.lock() = Some(lease.clone());
        Ok(lease)
    }
    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.call(self.store.renew(lease)).await
    }
    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.call(self.store.revoke(lease)).await
    }
}
