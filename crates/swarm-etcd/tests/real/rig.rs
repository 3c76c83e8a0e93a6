//! Stores and watches of these tests; each fails the test where it cannot do its part.

use std::sync::Arc;
use std::time::Duration;

use swarm_etcd::{DEFAULT_PORT, Etcd};
use swarm_kv::{Change, KeyValue, StoreOptions, StoreUrl, Watch};
pub use swarm_testkit::stores::told::next;
use swarm_testkit::stores::{EtcdOptions, EtcdServer};

/// Longer than any bound that is tested; only a hang gets here.
pub const LONG: Duration = Duration::from_mins(1);

/// A server or cluster as `change` wants it.
pub fn server(change: impl FnOnce(&mut EtcdOptions)) -> EtcdServer {
    let mut options = EtcdOptions::default();
    change(&mut options);
    EtcdServer::start(&options).unwrap()
}

/// A store at a URL.
pub fn open(url: &str, options: &StoreOptions) -> Arc<dyn KeyValue> {
    Arc::new(Etcd::open(&StoreUrl::parse(url, DEFAULT_PORT).unwrap(), options).unwrap())
}

/// A store without options at a server.
pub fn plain(server: &EtcdServer) -> Arc<dyn KeyValue> {
    open(&server.url(), &StoreOptions::default())
}

/// Takes steps until the watch has begun anew; returns the whole as names and how many errors were
/// told before.
pub async fn next_whole(watch: &mut Watch) -> (Vec<String>, usize) {
    let mut errors = 0;
    loop {
        match next(watch).await {
            Ok(Change::Whole(items)) => {
                return (items.into_iter().map(|item| item.key).collect(), errors);
            }
            Ok(_) => {}
            Err(_) => errors += 1,
        }
    }
}
