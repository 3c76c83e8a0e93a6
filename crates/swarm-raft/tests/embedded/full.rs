//! Three managers, of which one's disk takes no writes: which of them it is, and what callers are told.

use std::time::{Duration, Instant};

use swarm_kv::{KeyValue as _, StoreError, Write};

use crate::pool::{Pool, eventually, open};

async fn put(pool: &Pool, at: usize, key: &str) -> Result<(), StoreError> {
    pool.managers[at].put(Write::new(format!("d/{key}"), key.to_owned())).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_a_full_disk_hands_over_and_comes_back_when_there_is_room() {
    let pool = Pool::of(3).await;
    let full = pool.leader().await;
    let others = [(full + 1) % 3, (full + 2) % 3];
    put(&pool, full, "before").await.unwrap();
    pool.managers[full].fill_disk(true);
    let begun = Instant::now();
    // The other two have it, which is enough; or it is not known what becomes of it.
    let first = put(&pool, full, "first").await;
    assert!(matches!(first, Ok(()) | Err(StoreError::Unknown { .. })), "{first:?}");
    let next = eventually("another one leads", async || {
        others.into_iter().find(|other| pool.managers[*other].is_leader())
    })
    .await;
    let took = begun.elapsed();
    println!("another manager leads {took:?} after the leader's disk filled up");
    assert!(took < Duration::from_secs(4), "{took:?}");
    for other in others {
        eventually("the others write", async || {
            put(&pool, other, &format!("at-{other}")).await.ok()
        })
        .await;
    }
    // At the one that cannot write: certainly nothing, in words; and soon.
    let begun = Instant::now();
    let refused = put(&pool, full, "refused").await.unwrap_err();
    assert!(matches!(refused, StoreError::Unwritable { .. }), "{refused:?}");
    let words = refused.to_string();
    assert!(words.contains("does not take writes (No space left on device"), "{words}");
    assert!(words.contains("nothing was changed"), "{words}");
    let read = pool.managers[full].get("d/before").await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}; {read:?}", begun.elapsed());
    pool.managers[full].fill_disk(false);
    eventually("it follows again", async || put(&pool, full, "after").await.ok()).await;
    pool.all_vote(3).await;
    assert!(pool.managers[next].is_leader(), "nobody was chosen anew for that");
    for manager in &pool.managers {
        let refused = eventually("it is read", async || manager.get("d/refused").await.ok()).await;
        assert!(refused.is_none(), "what was refused is not there");
        if first.is_ok() {
            assert!(manager.get("d/first").await.unwrap().is_some(), "what was answered is");
        }
    }
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_with_a_full_disk_hinders_nobody_and_costs_no_leader() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let full = (leader + 1) % 3;
    pool.managers[full].fill_disk(true);
    put(&pool, leader, "first").await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        put(&pool, leader, "again").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(pool.managers[leader].is_leader(), "its leader leads on");
    // Through it too: the leader writes, and what the others agreed on is seen here.
    put(&pool, full, "through").await.unwrap();
    eventually("it is seen", async || pool.managers[full].get("d/through").await.ok().flatten())
        .await;
    let members = pool.managers[leader].members().await;
    assert!(members.iter().all(|member| member.reachable), "{members:?}");
    pool.managers[full].fill_disk(false);
    // It has caught up when it can stand in for another.
    let other = (leader + 2) % 3;
    eventually("it votes again", async || {
        pool.managers[other].fill_disk(true);
        put(&pool, leader, "with-it").await.ok()
    })
    .await;
    pool.managers[other].fill_disk(false);
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_disk_has_room_nothing_is_lost_and_work_goes_on_with_it() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    put(&pool, leader, "before").await.unwrap();
    for manager in &pool.managers {
        manager.fill_disk(true);
    }
    let told = put(&pool, leader, "unsure").await.unwrap_err();
    assert!(matches!(told, StoreError::Unknown { .. }), "{told:?}");
    eventually("the leader knows", async || {
        let told = put(&pool, leader, "refused").await.err()?;
        matches!(told, StoreError::Unwritable { .. }).then_some(())
    })
    .await;
    // Nobody takes over, and the leader is not left as one that takes nothing any more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    pool.managers[leader].fill_disk(false);
    pool.managers[(leader + 1) % 3].fill_disk(false);
    eventually("two are enough", async || put(&pool, leader, "after").await.ok()).await;
    for manager in &pool.managers {
        manager.fill_disk(false);
    }
    pool.all_vote(3).await;
    for manager in &pool.managers {
        for key in ["before", "after"] {
            let key = format!("d/{key}");
            eventually("it is there", async || manager.get(&key).await.ok().flatten()).await;
        }
        assert!(manager.get("d/refused").await.unwrap().is_none(), "what was refused is not there");
    }
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_a_full_disk_ends_when_it_is_told_to() {
    let pool = Pool::of(3).await;
    let full = pool.leader().await;
    let others = [(full + 1) % 3, (full + 2) % 3];
    put(&pool, full, "before").await.unwrap();
    pool.managers[full].fill_disk(true);
    let first = put(&pool, full, "first").await;
    // Who leads now it cannot write down, and waits for that.
    for other in others {
        eventually("the others write", async || put(&pool, other, "after").await.ok()).await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), pool.managers[full].shutdown()).await;
    assert!(ended.is_ok(), "it does not end");
    // What it was told is not lost by that.
    let (folder, address) = (&pool.folders[full], pool.managers[full].address().to_owned());
    let again = open(folder, &address).await;
    eventually("it follows", async || again.get("d/after").await.ok().flatten()).await;
    assert!(first.is_err() || again.get("d/first").await.unwrap().is_some(), "{first:?}");
    again.shutdown().await;
    for other in others {
        pool.managers[other].shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_sends_again_and_again_does_not_pile_up_before_a_full_disk() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let full = &pool.managers[(leader + 1) % 3];
    full.fill_disk(true);
    for number in 0..4 {
        let large = Write::new(format!("d/large-{number}"), vec![7; 400 << 10]);
        pool.managers[leader].put(large).await.unwrap();
    }
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(8) {
        put(&pool, leader, "again").await.unwrap();
        most = most.max(full.waiting_for_disk());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("at most {most} bytes waited");
    assert!(most < 4 << 20, "{most}");
    full.fill_disk(false);
    eventually("it follows", async || full.get("d/again").await.ok().flatten()).await;
    eventually("nothing waits", async || (full.waiting_for_disk() < 1 << 20).then_some(())).await;
    pool.shutdown().await;
}
