//! A pool with 30,000 intents of 2 KB: a new manager is filled by a snapshot, the log is cut, memory
//! and disk stay in bounds. Prints the figures that docs/benchmarks.md tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use swarm_kv::{KeyValue as _, Write};
use swarm_raft::Embedded;

use crate::pool::{self, Pool, eventually};

const KEYS: usize = 30_000;
const SIZE: usize = 2000;

/// Resident memory of this process, in MiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() / 1024
}

/// The median and the worst of a hundred single writes.
async fn latency(manager: &Embedded) -> (Duration, Duration) {
    let mut took = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        manager.put(Write::new("d/latency", vec![1; SIZE])).await.unwrap();
        took.push(begun.elapsed());
    }
    took.sort();
    (took[50], took[99])
}

async fn fill(manager: &Arc<Embedded>) {
    let writes = stream::iter(0..KEYS).map(|number| async move {
        manager.put(Write::new(format!("intents/{number:05}"), vec![3; SIZE])).await
    });
    writes
        .buffer_unordered(128)
        .for_each(|written| async move { assert!(written.is_ok(), "{written:?}") })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_manager_is_filled_with_a_large_state() {
    let before = memory();
    let mut pool = Pool::of(1).await;
    let first = Arc::clone(&pool.managers[0]);
    println!("a write alone: median and worst {:?}", latency(&first).await);
    let begun = Instant::now();
    fill(&first).await;
    println!("{KEYS} writes of {SIZE} bytes, 128 at a time: {:?}", begun.elapsed());
    assert_eq!(first.list("intents").await.unwrap().len(), KEYS);
    let records = pool.folders[0].path().join("store.redb");
    let on_disk = || std::fs::metadata(&records).unwrap().len() >> 20;
    println!("one manager: {} MiB of memory, {} MiB on disk", memory() - before, on_disk());
    // Overwriting goes on for long, and the disk does not grow with it.
    for _ in 0..2 {
        fill(&first).await;
    }
    println!("all written three times: {} MiB, {} MiB on disk", memory() - before, on_disk());
    assert!(on_disk() < 1000, "the log is cut: {} MiB", on_disk());
    // As a crash leaves it: copied while it is open, once nothing is written any more.
    let written = || std::fs::metadata(&records).unwrap().modified().unwrap();
    eventually("a snapshot is finished", async || {
        let before = written();
        tokio::time::sleep(Duration::from_millis(500)).await;
        (written() == before).then_some(())
    })
    .await;
    let crashed = pool::folder();
    for file in std::fs::read_dir(pool.folders[0].path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), crashed.path().join(file.file_name())).unwrap();
    }
    let begun = Instant::now();
    let options = pool::options(crashed.path(), "127.0.0.1:0").await;
    let copy = Embedded::open(options).await.unwrap();
    println!("opened with all of it after a crash in {:?}", begun.elapsed());
    assert_eq!(copy.list("intents").await.unwrap().len(), KEYS);
    copy.shutdown().await;
    let begun = Instant::now();
    let second = pool.grow().await;
    eventually("it is filled", async || {
        (second.list("intents").await.ok()?.len() == KEYS).then_some(())
    })
    .await;
    println!("a second manager was filled in {:?}", begun.elapsed());
    pool.grow().await;
    pool.all_vote(3).await;
    for manager in &pool.managers {
        assert_eq!(manager.list("intents").await.unwrap().len(), KEYS);
    }
    println!("three managers in one process: {} MiB of memory", memory() - before);
    let leader = pool.leader().await;
    println!("a write of three, at the leader: {:?}", latency(&pool.managers[leader]).await);
    let follower = &pool.managers[(leader + 1) % 3];
    println!("a write of three, elsewhere: {:?}", latency(follower).await);
    let begun = Instant::now();
    for _ in 0..100 {
        follower.get("d/latency").await.unwrap();
    }
    println!("a read of three, elsewhere: {:?}", begun.elapsed() / 100);
    // Restarted with all of it.
    let stopped = pool.managers.pop().unwrap();
    let address = stopped.address().to_owned();
    stopped.shutdown().await;
    drop(stopped);
    let begun = Instant::now();
    let again = pool::open(&pool.folders[2], &address).await;
    println!("opened with all of it in {:?}", begun.elapsed());
    eventually("it is there", async || {
        (again.list("intents").await.ok()?.len() == KEYS).then_some(())
    })
    .await;
    pool.managers.push(again);
    pool.shutdown().await;
}
