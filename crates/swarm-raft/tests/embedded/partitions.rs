//! Managers that cannot reach each other, or lose their leader.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use swarm_kv::{Change, KeyValue as _, StoreError, Write};

use crate::pool::{PATIENCE, Pool, eventually};

/// Cuts `place` off from all others, and them from it.
fn isolate(pool: &Pool, place: usize) {
    let ids: Vec<_> = pool.managers.iter().map(|manager| manager.id()).collect();
    for (other, manager) in pool.managers.iter().enumerate() {
        if other == place {
            let others: Vec<_> = ids.iter().copied().filter(|id| *id != manager.id()).collect();
            manager.cut(&others);
        } else {
            manager.cut(&[ids[place]]);
        }
    }
}

fn heal(pool: &Pool) {
    for manager in &pool.managers {
        manager.cut(&[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_stopped_is_followed_at_once() {
    let mut pool = Pool::of(3).await;
    pool.managers[0].put(Write::new("d/k", "0")).await.unwrap();
    let mut took = Vec::new();
    for round in 0..5 {
        let leader = pool.leader().await;
        let stopped = pool.managers.swap_remove(leader);
        let folder = pool.folders.swap_remove(leader);
        let address = stopped.address().to_owned();
        let begun = Instant::now();
        stopped.shutdown().await;
        let stopping = begun.elapsed();
        let begun = Instant::now();
        pool.managers[0].put(Write::new("d/k", format!("{round}"))).await.unwrap();
        took.push((stopping, begun.elapsed()));
        drop(stopped);
        pool.managers.push(crate::pool::open(&folder, &address).await);
        pool.folders.push(folder);
        pool.all_vote(3).await;
    }
    took.sort_by_key(|took| took.1);
    println!("stopping took, and then a write: {took:?}");
    assert!(took[2].1 < Duration::from_secs(1), "{took:?}");
    assert!(took.iter().all(|took| took.0 < Duration::from_secs(5)), "{took:?}");
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_is_followed_and_writes_nothing() {
    let pool = Pool::of(3).await;
    pool.managers[0].put(Write::new("d/k", "0")).await.unwrap();
    let mut took = Vec::new();
    for round in 0..5 {
        let leader = pool.leader().await;
        let (cut, other) = (&pool.managers[leader], &pool.managers[(leader + 1) % 3]);
        let begun = Instant::now();
        isolate(&pool, leader);
        let written = eventually("the others write", async || {
            other.put(Write::new("d/k", format!("{round}"))).await.ok()
        })
        .await;
        took.push(begun.elapsed());
        // Whoever is on the wrong side is told, in numbers and in time, and reads nothing old.
        let begun = Instant::now();
        let (wrote, read) = tokio::join!(cut.put(Write::new("d/k", "lost")), cut.get("d/k"));
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        for refused in [wrote.unwrap_err(), read.unwrap_err()] {
            let words = refused.to_string();
            assert!(refused.is_passing(), "{words}");
            assert!(words.contains("no quorum: 1 of 3 managers answer, 2 are needed"), "{words}");
        }
        heal(&pool);
        let seen = eventually("it comes back", async || cut.get("d/k").await.ok()).await.unwrap();
        assert_eq!(seen.revision, written, "what a minority wrote is gone");
    }
    took.sort();
    println!("after a leader was cut off the others wrote in {took:?}");
    assert!(took[2] < Duration::from_secs(3), "{took:?}");
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_once_that_it_is_cut_off_and_begins_again() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let (follower, other) = (&pool.managers[(leader + 1) % 3], &pool.managers[leader]);
    other.put(Write::new("d/a", "1")).await.unwrap();
    let mut watch = follower.watch("d");
    assert!(matches!(watch.next().await, Some(Ok(Change::Whole(items))) if items.len() == 1));
    isolate(&pool, (leader + 1) % 3);
    let told = tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    assert!(matches!(&told, Some(Err(StoreError::Unreachable { .. }))), "{told:?}");
    other.put(Write::new("d/b", "2")).await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(2), watch.next()).await;
    assert!(early.is_err(), "told once, and nothing until it is over: {early:?}");
    heal(&pool);
    let told = tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    assert!(matches!(&told, Some(Ok(Change::Whole(items))) if items.len() == 2), "{told:?}");
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_outlive_their_leader_by_their_full_time() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let other = &pool.managers[(leader + 1) % 3];
    let ttl = Duration::from_secs(3);
    let lease = other.grant(ttl).await.unwrap();
    other.put(Write::new("d/k", "v").leased(&lease)).await.unwrap();
    isolate(&pool, leader);
    eventually("the others lead", async || other.put(Write::new("d/x", "")).await.ok()).await;
    let led = Instant::now();
    other.renew(&lease).await.unwrap();
    let renewed = Instant::now();
    eventually("the lease ends", async || other.get("d/k").await.ok()?.is_none().then_some(()))
        .await;
    let held = renewed.elapsed();
    assert!(held >= lease.holds, "it held {held:?} only, of {:?}", lease.holds);
    assert!(led.elapsed() < ttl + Duration::from_secs(3), "{:?}", led.elapsed());
    heal(&pool);
    pool.shutdown().await;
}
