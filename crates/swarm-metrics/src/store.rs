//! A pool's store, with its calls counted and timed: by the pool, the election and the discovery
//! alike, whichever store it is.
//!
//! It passes everything on as it is. What is counted is what callers see: an answer within the
//! store's own deadline, and its kind of failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, Watch, Write};

/// Upper bounds of the times of calls, in seconds: from a store in this process to the deadline of
/// one that is far away.
const DURATIONS: [f64; 11] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

type Label = (&'static str, &'static str);

/// Counts of the calls to a store. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    calls: Family<[Label; 2], Counter>,
    durations: Family<[Label; 1], Histogram>,
    reachable: Gauge,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        let metrics = Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            reachable: Gauge::default(),
        };
        // Nothing speaks against it before the first call.
        metrics.reachable.set(1);
        metrics
    }
}

impl StoreMetrics {
    /// Has the counts published.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "store_operations",
            "Calls to the pool's store, by what was asked and how it ended",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "store_operation_duration",
            "Time that calls to the pool's store took, failed ones included",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "store_reachable",
            "1 when the last call to the pool's store was answered, 0 when it was not",
            self.reachable.clone(),
        );
    }

    /// `store`, with its calls counted here.
    pub fn measure(&self, store: Arc<dyn KeyValue>) -> Arc<dyn KeyValue> {
        Arc::new(Measured { store, metrics: self.clone() })
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let result = call.await;
        self.note(operation, begun.elapsed(), result.as_ref().err());
        result
    }

    fn note(&self, operation: &'static str, elapsed: Duration, error: Option<&StoreError>) {
        let operation = ("operation", operation);
        let ended = error.map_or("ok", reason);
        self.calls.get_or_create(&[operation, ("result", ended)]).inc();
        self.durations.get_or_create(&[operation]).observe(elapsed.as_secs_f64());
        self.answered(error);
    }

    /// Any answer, a refusal too, says that the store is there.
    fn answered(&self, error: Option<&StoreError>) {
        let silent =
            matches!(error, Some(StoreError::Unreachable { .. } | StoreError::Unknown { .. }));
        self.reachable.set(i64::from(!silent));
    }
}

/// How a call failed, in one word.
fn reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable { .. } => "unreachable",
        StoreError::Unwritable { .. } => "unwritable",
        StoreError::Unknown { .. } => "unknown",
        StoreError::Refused { .. } => "refused",
        StoreError::Garbage { .. } => "garbage",
        StoreError::Conflict { .. } => "conflict",
        StoreError::Fenced { .. } => "fenced",
        StoreError::NotPrimary { .. } => "not_primary",
        StoreError::LeaseLost { .. } => "lease_lost",
        StoreError::TooLarge { .. } => "too_large",
        StoreError::Option { .. } => "option",
    }
}

/// A store whose calls are counted.
#[derive(Debug)]
pub struct Measured {
    store: Arc<dyn KeyValue>,
    metrics: StoreMetrics,
}

#[async_trait]
impl KeyValue for Measured {
    fn describe(&self) -> String {
        self.store.describe()
    }

    fn largest_value(&self) -> usize {
        self.store.largest_value()
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.metrics.call("get", self.store.get(key)).await
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.metrics.call("list", self.store.list(directory)).await
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        self.metrics.call("put", self.store.put(write)).await
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.metrics.call("delete", self.store.delete(key, expect, guard)).await
    }

    /// A watch has no end to time: only whether it hears the store is told.
    fn watch(&self, directory: &str) -> Watch {
        let metrics = self.metrics.clone();
        let watch = self.store.watch(directory);
        Box::pin(watch.inspect(move |step| metrics.answered(step.as_ref().err())))
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.metrics.call("grant", self.store.grant(ttl)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.metrics.call("renew", self.store.renew(lease)).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.metrics.call("revoke", self.store.revoke(lease)).await
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        self.metrics.call("renewed_ago", self.store.renewed_ago(key)).await
    }
}
