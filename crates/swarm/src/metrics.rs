//! Metrics put together: the address they are served on, and who has something to tell.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use swarm_api::ApiMetrics;
use swarm_metrics::statsd::{self, StatsdConfig};
use swarm_metrics::{MetricsServer, StoreMetrics, process};
use swarm_otlp::SpanCounts;
use swarm_pool::Pool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long the end waits until the last counts have been sent.
const LAST: Duration = Duration::from_secs(2);

/// Binds the address of `--metrics-addr`, where there is one.
pub async fn open(address: Option<&str>) -> anyhow::Result<Option<MetricsServer>> {
    let Some(address) = address else { return Ok(None) };
    let server = MetricsServer::bind(address).await?;
    let address = server.local_addr()?;
    info!("metrics at http://{address}/metrics");
    if !address.ip().is_loopback() {
        warn!(
            "WHOEVER REACHES http://{address}/metrics SEES HOW LARGE THIS POOL IS AND WHAT IT DOES: \
             it is open to the network, without TLS, and readers are not verified; listen on \
             127.0.0.1, or let only your Prometheus reach it"
        );
    }
    Ok(Some(server))
}

/// Metrics on their way to StatsD.
pub struct Sending {
    last: CancellationToken,
    task: JoinHandle<()>,
}

impl Sending {
    /// Sends from now on. Within a runtime.
    pub fn start(config: StatsdConfig, registry: Registry) -> Self {
        info!(format = ?config.dialect, "metrics are sent to udp://{}", config.address);
        let last = CancellationToken::new();
        let task = tokio::spawn(statsd::send(config, registry, last.clone()));
        Self { last, task }
    }
}

/// What was counted last goes out, too, unless the network keeps it.
pub async fn end(sending: Option<Sending>) {
    if let Some(Sending { last, task }) = sending {
        last.cancel();
        let _ = tokio::time::timeout(LAST, task).await;
    }
}

/// Who has something to tell.
pub struct Sources<'a> {
    /// Engines, containers, placements, moves.
    pub pool: &'a Arc<Pool>,
    /// Requests.
    pub api: &'a ApiMetrics,
    /// The store's calls.
    pub store: &'a StoreMetrics,
    /// What becomes of traces.
    pub spans: &'a SpanCounts,
}

impl Sources<'_> {
    /// All of it; `commit` is what this was built from.
    pub fn registry(&self, commit: &'static str) -> Registry {
        let mut registry = Registry::default();
        let swarm = registry.sub_registry_with_prefix("swarm");
        self.pool.register(swarm);
        self.api.register(swarm);
        self.store.register(swarm);
        self.spans.register(swarm);
        process::register(&mut registry, env!("CARGO_PKG_VERSION"), commit);
        registry
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;
    use swarm_kv::{Expect, KeyValue, StoreError, Write};
    use swarm_memory::Memory;
    use swarm_testkit::exposition::Exposition;
    use swarm_testkit::stores::conformance;

    use super::*;

    fn read(metrics: &StoreMetrics) -> Exposition {
        let mut registry = Registry::default();
        metrics.register(registry.sub_registry_with_prefix("swarm"));
        let mut out = String::new();
        prometheus_text::encode(&mut out, &registry).unwrap();
        Exposition::parse(&out)
    }

    #[tokio::test]
    async fn a_store_that_is_measured_is_the_same_store() {
        let memory: Arc<dyn KeyValue> = Memory::new();
        let store = StoreMetrics::default().measure(Arc::clone(&memory));
        conformance::check(&store, &memory, "check", Duration::from_secs(1)).await;
        assert_eq!(store.describe(), memory.describe());
    }

    #[tokio::test]
    async fn calls_to_the_store_are_counted_by_what_became_of_them() {
        let (memory, metrics) = (Memory::new(), StoreMetrics::default());
        let store = metrics.measure(Arc::clone(&memory) as _);
        let write = || Write::new("a/b", "x").expecting(Expect::Absent);
        store.put(write()).await.unwrap();
        store.put(write()).await.unwrap_err();
        let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
        memory.fail(Some(down));
        store.get("a/b").await.unwrap_err();
        let told = read(&metrics);
        for (series, value) in [
            (r#"swarm_store_operations_total{operation="put",result="ok"}"#, 1.0),
            (r#"swarm_store_operations_total{operation="put",result="conflict"}"#, 1.0),
            (r#"swarm_store_operations_total{operation="get",result="unreachable"}"#, 1.0),
            (r#"swarm_store_operation_duration_seconds_count{operation="put"}"#, 2.0),
            ("swarm_store_reachable", 0.0),
        ] {
            assert_eq!(told.get(series), Some(value), "{series}");
        }
        memory.fail(None);
        store.get("a/b").await.unwrap();
        assert_eq!(read(&metrics).get("swarm_store_reachable"), Some(1.0));
    }
}
