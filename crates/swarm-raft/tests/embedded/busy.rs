//! Managers on a machine that has other work: all cores are taken, clients write and list as fast as they
//! can, and nobody is elected for that. Real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use swarm_kv::{KeyValue as _, Write};
use swarm_raft::Embedded;

use crate::pool::{Pool, eventually};

/// How long the leader has to stay.
const BUSY: Duration = Duration::from_secs(30);

/// How long each write takes on disks that are slow; a leader waits 1.2 s for words of the others.
const SLOW: Duration = Duration::from_millis(2_500);

/// Takes all cores until it is dropped.
struct Burner(Arc<AtomicBool>);

impl Burner {
    fn light() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(over)
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes and lists until it is over; it may fail while nobody leads.
async fn use_it(manager: Arc<Embedded>, over: Arc<AtomicBool>, name: String, done: Arc<AtomicU64>) {
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let write = Write::new(format!("d/{name}-{}", number % 50), vec![7; 2_000]);
        if manager.put(write).await.is_ok() && manager.list("d").await.is_ok() {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_leader_stays_and_a_lost_one_is_followed() {
    let mut pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let led = pool.managers[leader].leadership().borrow().clone();
    let burner = Burner::light();
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let lost = pool.managers.remove(leader);
    let clients = (0..8).map(|number| {
        let manager = Arc::clone(&pool.managers[number % 2]);
        tokio::spawn(use_it(manager, Arc::clone(&over), number.to_string(), Arc::clone(&done)))
    });
    let clients: Vec<_> = clients.collect();
    let until = Instant::now() + BUSY;
    while Instant::now() < until {
        let now = lost.leadership().borrow().clone();
        assert_eq!(now, led, "another election after {} writes", done.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let count = done.load(Ordering::Relaxed);
    println!("no election in {BUSY:?} of {count} writes and lists on busy cores");
    assert!(count > 100, "{count}");

    // As after a cut: nobody is told.
    let begun = Instant::now();
    drop(lost);
    let next = eventually("another one leads", async || {
        pool.managers.iter().position(|manager| manager.is_leader())
    })
    .await;
    pool.managers[next].put(Write::new("d/after", "1")).await.unwrap();
    println!("the busy leader lost: a write after {:.1?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    drop(burner);
    pool.shutdown().await;
}

/// What a follower says of the log waits for its disk; that it follows does not.
#[tokio::test(flavor = "multi_thread")]
async fn large_writes_to_slow_disks_cost_no_leadership() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let mut led = pool.managers[leader].leadership();
    let before = led.borrow_and_update().clone();
    // Longer than a leader waits for words of the others.
    for follower in [(leader + 1) % 3, (leader + 2) % 3] {
        pool.managers[follower].slow_disk(SLOW);
    }
    let writes = (0..8).map(|number| {
        let manager = Arc::clone(&pool.managers[leader]);
        let write = Write::new(format!("d/large-{number}"), vec![7; 1 << 20]);
        tokio::spawn(async move { manager.put(write).await })
    });
    let writes: Vec<_> = writes.collect();
    let lost = async {
        while led.changed().await.is_ok() {
            let now = led.borrow_and_update().clone();
            assert_eq!(now, before, "its words changed");
        }
    };
    // While the disks are at it; what is written in the end depends on how patient a call is.
    tokio::time::timeout(2 * SLOW, lost).await.expect_err("the store ended");
    for manager in &pool.managers {
        manager.slow_disk(Duration::ZERO);
    }
    for write in writes {
        // It may not be known in time, and then is there all the same.
        drop(write.await.unwrap());
    }
    for number in 0..8 {
        let key = format!("d/large-{number}");
        eventually("it is there", async || pool.managers[leader].get(&key).await.ok().flatten())
            .await;
    }
    assert_eq!(*led.borrow(), before, "and nobody else was elected");
    pool.shutdown().await;
}
