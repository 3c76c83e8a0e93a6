//! Metrics put together: the address they are served on, and who has something to tell.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use swarm_api::ApiMetrics;
use swarm_metrics::{MetricsServer, StoreMetrics, process};
use swarm_pool::Pool;
use tracing::{info, warn};

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

/// Who has something to tell.
pub struct Sources<'a> {
    /// Engines, containers, placements, moves.
    pub pool: &'a Arc<Pool>,
    /// Requests.
    pub api: &'a ApiMetrics,
    /// The store's calls.
    pub store: &'a StoreMetrics,
}

impl Sources<'_> {
    /// All of it; `commit` is what this was built from.
    pub fn registry(&self, commit: &'static str) -> Registry {
        let mut registry = Registry::default();
        let swarm = registry.sub_registry_with_prefix("swarm");
        self.pool.register(swarm);
        self.api.register(swarm);
        self.store.register(swarm);
        process::register(&mut registry, env!("CARGO_PKG_VERSION"), commit);
        registry
    }
}
