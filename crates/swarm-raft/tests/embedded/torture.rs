//! Random crashes, restarts and partitions while many clients count up one number: no increment
//! that was answered is lost or done twice, and no read is older than one before it.
//!
//! `SWARM_TORTURE_SEED` and `SWARM_TORTURE_ROUNDS` make it another, or longer.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use swarm_kv::{Expect, Item, KeyValue, StoreError, Write};
use swarm_raft::Embedded;

use crate::pool::{Pool, eventually};

const CLIENTS: usize = 6;
pub const KEY: &str = "d/counter";

/// What clients did.
#[derive(Debug, Default)]
pub struct History {
    /// Values whose writes were answered, in the order of the answers.
    written: Mutex<Vec<u64>>,
    /// Writes of which nobody knows whether they were done.
    unknown: AtomicU64,
    /// The largest value that any answer told of.
    seen: AtomicU64,
}

impl History {
    /// How many increments were answered.
    pub fn answered(&self) -> usize {
        self.written.lock().len()
    }

    /// At the end: no value was written twice, and the last one tells of every answer.
    pub fn check(&self, last: &Item) {
        let mut written = self.written.lock().clone();
        let answered = written.len() as u64;
        written.sort_unstable();
        written.dedup();
        assert_eq!(written.len() as u64, answered, "no value was written twice");
        let unknown = self.unknown.load(Ordering::SeqCst);
        let last: u64 = String::from_utf8_lossy(&last.value).parse().unwrap();
        println!("{answered} answered, {unknown} unknown, at last {last}");
        assert!(last >= answered && last <= answered + unknown, "{answered} + {unknown}: {last}");
    }
}

type Managers = Arc<RwLock<Vec<Option<Arc<Embedded>>>>>;

pub fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One increment through `store`.
pub async fn increment(store: &dyn KeyValue, history: &History) {
    let floor = history.seen.load(Ordering::SeqCst);
    let Ok(item) = store.get(KEY).await else { return };
    let (value, expect) = match &item {
        None => (0, Expect::Absent),
        Some(item) => {
            let text = String::from_utf8_lossy(&item.value);
            (text.parse().unwrap_or(u64::MAX), Expect::Revision(item.revision))
        }
    };
    assert!(value >= floor, "{value} was read after {floor} was answered");
    history.seen.fetch_max(value, Ordering::SeqCst);
    let next = value + 1;
    match store.put(Write::new(KEY, next.to_string()).expecting(expect)).await {
        Ok(_) => {
            history.written.lock().push(next);
            history.seen.fetch_max(next, Ordering::SeqCst);
        }
        Err(StoreError::Conflict { .. }) => {}
        Err(StoreError::Unreachable { .. } | StoreError::Unknown { .. }) => {
            history.unknown.fetch_add(1, Ordering::SeqCst);
        }
        Err(error) => unreachable!("nothing here is refused: {error}"),
    }
}

/// One disturbance, and its end.
async fn disturb(
    chance: &mut StdRng,
    managers: &Managers,
    addresses: &[String],
    folders: &[tempfile::TempDir],
) -> &'static str {
    let victim = chance.random_range(0..addresses.len());
    let lasting = Duration::from_millis(chance.random_range(50..1500));
    let kind = chance.random_range(0..4);
    if kind < 2 {
        let gone = managers.write()[victim].take();
        if let (Some(gone), 0) = (&gone, kind) {
            gone.shutdown().await;
        }
        // Without a shutdown it ends wherever it is.
        drop(gone);
        tokio::time::sleep(lasting).await;
        let back = crate::pool::open(&folders[victim], &addresses[victim]).await;
        managers.write()[victim] = Some(back);
        return if kind == 0 { "stopped" } else { "dropped" };
    }
    let all: Vec<_> = managers.read().iter().flatten().cloned().collect();
    let ids: Vec<_> = all.iter().map(|manager| manager.id()).collect();
    for (place, manager) in all.iter().enumerate() {
        let others = ids.iter().enumerate().filter(|(other, _)| {
            // A whole partition, or one where only the victim's own words are lost.
            *other != place && (place == victim || (kind == 2 && *other == victim))
        });
        let others: Vec<_> = others.map(|(_, id)| *id).collect();
        manager.cut(&others);
    }
    tokio::time::sleep(lasting).await;
    for manager in &all {
        manager.cut(&[]);
    }
    if kind == 2 { "cut off" } else { "muted" }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answered_increment_is_lost_or_doubled() {
    let seed = setting("SWARM_TORTURE_SEED", 7_u64);
    let rounds = setting("SWARM_TORTURE_ROUNDS", 10_usize);
    println!("seed {seed}, {rounds} rounds");
    let mut chance = StdRng::seed_from_u64(seed);
    let Pool { folders, managers } = Pool::of(3).await;
    let addresses: Vec<_> = managers.iter().map(|one| one.address().to_owned()).collect();
    let managers: Managers = Arc::new(RwLock::new(managers.into_iter().map(Some).collect()));
    let history = Arc::new(History::default());
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (managers, history) = (Arc::clone(&managers), Arc::clone(&history));
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut turn = client;
                while !over.load(Ordering::SeqCst) {
                    turn += 1;
                    let manager = managers.read()[turn % 3].clone();
                    match manager {
                        Some(manager) => increment(&*manager, &history).await,
                        None => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
            })
        })
        .collect();
    for _ in 0..rounds {
        let done = disturb(&mut chance, &managers, &addresses, &folders).await;
        let before = history.answered();
        eventually("work goes on", async || (history.answered() > before + 3).then_some(())).await;
        println!("{done}: {} answered", history.answered());
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let all: Vec<_> = managers.read().iter().flatten().cloned().collect();
    for manager in &all {
        let item = eventually("all answer", async || manager.get(KEY).await.ok()).await.unwrap();
        history.check(&item);
    }
    for manager in &all {
        manager.shutdown().await;
    }
}
