//! How these tests open stores, and what they wait for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use swarm_kv::{Change, KeyValue, Result, Secret, StoreOptions, StoreUrl, Watch};
use swarm_zookeeper::{DEFAULT_PORT, ZooKeeper};

/// How long anything may take that has no bound of its own, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub fn open(url: &str, options: &StoreOptions) -> Arc<dyn KeyValue> {
    let url = StoreUrl::parse(url, DEFAULT_PORT).unwrap();
    Arc::new(ZooKeeper::open(&url, options).unwrap())
}

/// Without options.
pub fn plain(url: &str) -> Arc<dyn KeyValue> {
    open(url, &StoreOptions::default())
}

pub fn with_user(user: &str, password: &str) -> StoreOptions {
    StoreOptions {
        username: Some(user.to_owned()),
        password: Some(Secret::new(password)),
        ..StoreOptions::default()
    }
}

/// The next thing a watch tells.
pub async fn next(watch: &mut Watch) -> Result<Change> {
    let told = tokio::time::timeout(PATIENCE, watch.next()).await;
    told.expect("a watch tells something").expect("a watch never ends")
}

/// The keys of the whole directory that a watch tells next.
pub async fn whole(watch: &mut Watch) -> Vec<String> {
    match next(watch).await {
        Ok(Change::Whole(items)) => items.into_iter().map(|item| item.key).collect(),
        other => panic!("the whole directory was due, there was {other:?}"),
    }
}

/// Tries until it succeeds.
pub async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> T {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(tokio::time::Instant::now() < until, "still: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
