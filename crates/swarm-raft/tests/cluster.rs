//! Several managers: what every store must do, through each of them.

mod pool;

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::KeyValue;
use swarm_testkit::stores::conformance;

use pool::Pool;

#[tokio::test(flavor = "multi_thread")]
async fn three_managers_do_what_every_store_must_through_each_of_them() {
    let pool = Pool::of(3).await;
    for (place, manager) in pool.managers.iter().enumerate() {
        let store: Arc<dyn KeyValue> = Arc::clone(manager) as _;
        let other: Arc<dyn KeyValue> = Arc::clone(&pool.managers[(place + 1) % 3]) as _;
        let root = format!("check{place}");
        conformance::check(&store, &other, &root, Duration::from_secs(1)).await;
    }
    pool.shutdown().await;
}
