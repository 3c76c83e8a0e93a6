//! Managers under random faults, with a checker over what each may do and what the store takes.
//!
//! Checked at every step: at most one fence is valid. Checked over the whole: the epochs of the
//! writes that the store took never go back, though writers sleep between taking their mandate and
//! writing; and when all faults are over there is one primary again.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use swarm_kv::{KeyValue, StoreError, Write};
use swarm_memory::Memory;
use tokio::time::{Instant, sleep};

use super::rig::{Book, Manager, a_primary, layout, until};

const TTL: Duration = Duration::from_secs(6);
const ROUND: Duration = Duration::from_mins(5);
const STEP: Duration = Duration::from_millis(7);

/// Breaks and mends one manager at random.
async fn trouble(manager: &Manager, mut rng: StdRng, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.random_range(100..15_000))).await;
        let lasts = Duration::from_millis(rng.random_range(1..30_000));
        match rng.random_range(0..4) {
            0 => {
                manager.line.cut(true);
                sleep(lasts).await;
                manager.line.cut(false);
            }
            1 => {
                manager.brake.stop();
                sleep(lasts).await;
                manager.brake.go();
            }
            2 => {
                manager.line.slow(Duration::from_millis(rng.random_range(1..4_000)));
                sleep(lasts).await;
                manager.line.slow(Duration::ZERO);
            }
            _ => {
                // Both: it is stopped, and wakes before its line does.
                manager.line.cut(true);
                manager.brake.stop();
                sleep(lasts).await;
                manager.brake.go();
                sleep(lasts / 2).await;
                manager.line.cut(false);
            }
        }
    }
}

/// Writes under the manager's mandate, often long after it was taken.
async fn writer(manager: &Manager, store: &Memory, book: &Book, mut rng: StdRng, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.random_range(1..1_000))).await;
        let Ok(mandate) = manager.election.fence().mandate() else { continue };
        if rng.random_bool(0.3) {
            sleep(Duration::from_millis(rng.random_range(1..40_000))).await;
        }
        let write = Write::new(layout().at("written"), mandate.epoch.0.to_string());
        match store.put(write.guarded(mandate.guard.as_ref())).await {
            Ok(_) => book.0.lock().push(mandate.epoch.0),
            Err(StoreError::Fenced { .. } | StoreError::Unreachable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn outages(store: &Memory, mut rng: StdRng, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.random_range(1_000..60_000))).await;
        let reason = "it is out".to_owned();
        store.fail(Some(StoreError::Unreachable { store: "memory".to_owned(), reason }));
        sleep(Duration::from_millis(rng.random_range(1..12_000))).await;
        store.fail(None);
    }
}

/// At no step may two act.
async fn checker(managers: &[Manager], seed: u64, end: Instant) -> u32 {
    let mut reigns = 0;
    let mut last = None;
    while Instant::now() < end {
        let valid: Vec<_> = (0..managers.len())
            .filter(|at| managers[*at].election.fence().mandate().is_ok())
            .collect();
        assert!(valid.len() <= 1, "seed {seed}: {valid:?} are primaries at once");
        if let Some(first) = valid.first()
            && last.replace(*first) != Some(*first)
        {
            reigns += 1;
        }
        sleep(STEP).await;
    }
    reigns
}

async fn round(seed: u64) -> (u32, usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let store = Memory::new();
    let managers: Vec<_> = (0..3)
        .map(|number| Manager::start(&store, &format!("m{number}:1"), TTL, rng.random()))
        .collect();
    let book = Book::default();
    let end = Instant::now() + ROUND;
    let mut fork = || StdRng::seed_from_u64(rng.random());
    let troubles = managers.iter().map(|manager| trouble(manager, fork(), end)).collect::<Vec<_>>();
    let writers = managers
        .iter()
        .map(|manager| writer(manager, &store, &book, fork(), end))
        .collect::<Vec<_>>();
    let (reigns, ..) = tokio::join!(
        checker(&managers, seed, end),
        futures_util::future::join_all(troubles),
        futures_util::future::join_all(writers),
        outages(&store, fork(), end),
    );
    let written = book.0.into_inner();
    assert!(written.is_sorted(), "seed {seed}: an earlier primary wrote after a later one");
    let mended = Instant::now();
    a_primary(&managers).await;
    assert!(mended.elapsed() < TTL + Duration::from_secs(8), "seed {seed}: {:?}", mended.elapsed());
    until("all follow", || managers.iter().filter(|manager| manager.is_primary()).count() == 1)
        .await;
    (reigns, written.len())
}

#[test]
fn no_two_act_at_once_whatever_fails() {
    let rounds = std::env::var("ELECTION_ROUNDS").ok().and_then(|text| text.parse().ok());
    let (mut reigns, mut writes) = (0, 0);
    for seed in 0..rounds.unwrap_or(40) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (some, more) = runtime.block_on(round(seed));
        reigns += some;
        writes += more;
    }
    println!("{reigns} changes of primary, {writes} writes");
    assert!(reigns > 100 && writes > 1_000, "{reigns} changes of primary, {writes} writes");
}

#[test]
fn the_clock_of_the_rig_goes_on_for_the_stopped() {
    // What the other test rests on: a fence lapses while its manager is stopped.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store: Arc<Memory> = Memory::new();
        let manager = Manager::start(&store, "m:1", TTL, 1);
        until("it leads", || manager.is_primary()).await;
        manager.brake.stop();
        let lasted = until("it lapses", || manager.election.fence().mandate().is_err()).await;
        assert!(lasted <= TTL, "{lasted:?}");
    });
}
