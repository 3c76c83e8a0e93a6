//! `swarm daemon`: the node endpoint and this node's part in a swarm put together, and taken apart in
//! order.
//!
//! Invariants: nothing is served before every address is bound; at the end leadership is handed over,
//! and no task is stopped; a second signal ends the process at once.

use std::path::PathBuf;

use prometheus_client::registry::Registry;
use swarm_api::ServerOptions;
use swarm_engine::{ClientOptions, EngineClient};
use swarm_metrics::process;
use swarm_node::{Node, NodeOptions};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::manage::{COMMIT, notify, open, reload_on_hangup, stop_on_signals};
use crate::config::DaemonConfig;
use crate::metrics;
use crate::tls::Tls;

/// For secrets: a folder in memory on every system with `/run` as it should be.
const VOLATILE: &str = "/run/swarm/tasks";
/// How many connections to the engine are kept: a node's own work and one person's commands.
const KEPT: usize = 8;

/// Serves until a signal.
pub async fn run(config: DaemonConfig) -> anyhow::Result<()> {
    let tls = Tls::load(config.tls.as_ref(), None)?;
    let verified = config.tls.as_ref().is_some_and(|tls| tls.verify);
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(open(address, &tls, verified).await?);
    }
    let metrics_server = metrics::open(config.metrics.as_deref()).await?;
    let serving = CancellationToken::new();
    stop_on_signals(serving.clone())?;
    reload_on_hangup(tls.clone())?;
    info!(engine = %config.engine, folder = %config.data_dir.display(), "starting the node");
    let engine = ClientOptions { max_idle: KEPT, ..ClientOptions::default() };
    let node = Node::start(NodeOptions {
        engine: EngineClient::new(config.engine, engine),
        folder: config.data_dir,
        volatile: PathBuf::from(VOLATILE),
        listen: config.listen_addr,
        advertise: config.advertise_addr,
    })
    .await;
    let options =
        ServerOptions { version: env!("CARGO_PKG_VERSION").to_owned(), ..ServerOptions::default() };
    let metrics_stop = CancellationToken::new();
    if let Some(server) = metrics_server {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("swarm");
        options.metrics.register(ours);
        node.register(ours);
        process::register(&mut registry, env!("CARGO_PKG_VERSION"), COMMIT);
        tokio::spawn(server.serve(registry, metrics_stop.clone()));
    }
    notify(sd_notify::NotifyState::Ready);
    let backend = std::sync::Arc::clone(&node) as _;
    tokio::join!(swarm_api::serve_node(listeners, backend, options, serving.clone()), async {
        serving.cancelled().await;
        notify(sd_notify::NotifyState::Stopping);
        // While requests under way end: the others have a leader again the sooner.
        node.shutdown().await;
    });
    metrics_stop.cancel();
    info!("stopped");
    Ok(())
}
