//! How these tests open stores, and what they wait for.

use std::sync::Arc;

use swarm_kv::{KeyValue, Secret, StoreOptions, StoreUrl};
use swarm_zookeeper::{DEFAULT_PORT, ZooKeeper};

pub use swarm_testkit::stores::told::{eventually, next, whole};

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
