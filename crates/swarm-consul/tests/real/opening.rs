//! How these tests open stores, and what they wait for.

use std::sync::Arc;

use swarm_consul::{Consul, DEFAULT_PORT};
use swarm_kv::{KeyValue, Secret, StoreOptions, StoreUrl};

pub use swarm_testkit::stores::told::{PATIENCE, eventually, next, whole};

pub fn open(url: &str, options: &StoreOptions) -> Arc<dyn KeyValue> {
    let url = StoreUrl::parse(url, DEFAULT_PORT).unwrap();
    Arc::new(Consul::open(&url, options).unwrap())
}

/// Without options.
pub fn plain(url: &str) -> Arc<dyn KeyValue> {
    open(url, &StoreOptions::default())
}

pub fn with_token(token: &str) -> StoreOptions {
    StoreOptions { token: Some(Secret::new(token)), ..StoreOptions::default() }
}
