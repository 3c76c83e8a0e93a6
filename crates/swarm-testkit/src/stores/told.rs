//! Waiting in tests for what a store tells; each fails the test where nothing comes.

use std::time::Duration;

use futures_util::StreamExt as _;
use swarm_kv::{Change, Result, Watch};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that has no bound of its own, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The next thing a watch tells.
pub async fn next(watch: &mut Watch) -> Result<Change> {
    match timeout(PATIENCE, watch.next()).await {
        Ok(Some(told)) => told,
        other => unreachable!("a watch tells something, and never ends: {other:?}"),
    }
}

/// The keys of the whole directory that a watch tells next.
pub async fn whole(watch: &mut Watch) -> Vec<String> {
    match next(watch).await {
        Ok(Change::Whole(items)) => items.into_iter().map(|item| item.key).collect(),
        other => unreachable!("the whole directory was due, there was {other:?}"),
    }
}

/// Tries until it succeeds.
pub async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < until, "still: {error}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
