//! `swarm daemon`: the node and the cluster endpoint and this node's part in a swarm put together, and
//! taken apart in order.
//!
//! Invariants: nothing is served before every address is bound; at the end leadership is handed over,
//! and no task is stopped; a second signal ends the process at once.

use std::path::PathBuf;

use prometheus_client::registry::Registry;
use swarm_api::{Listener, ServerOptions};
use swarm_engine::{ClientOptions, EngineClient};
use swarm_metrics::process;
use swarm_node::{Clients, Cluster, Node, NodeOptions};
use swarm_pool::Build;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::manage::{COMMIT, notify, open, reload_on_hangup, show, stop_on_signals};
use super::registrator::{Prepared, beside};
use crate::config::DaemonConfig;
use crate::metrics::{self, Sending};
use crate::tls::Tls;
use crate::traces::Traces;

/// For secrets: a folder in memory on every system with `/run` as it should be.
const VOLATILE: &str = "/run/swarm/tasks";
/// How many connections to the engine are kept: a node's own work and one person's commands.
const KEPT: usize = 8;

/// Serves until a signal.
pub async fn run(config: DaemonConfig, traces: Traces) -> anyhow::Result<()> {
    let tls = Tls::load(config.tls.as_ref(), None)?;
    let verified = config.tls.as_ref().is_some_and(|tls| tls.verify);
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(open(address, &tls, verified).await?);
    }
    let mut cluster_listeners = Vec::new();
    for address in &config.cluster {
        cluster_listeners.push(open(address, &tls, verified).await?);
    }
    let registrator = match &config.register {
        Some(flags) => Some(Prepared::new(flags).await?),
        None => None,
    };
    let metrics_server = metrics::open(config.metrics.as_deref()).await?;
    let door = match &config.page {
        Some(page) => Some(page.open(&tls).await?),
        None => None,
    };
    let serving = CancellationToken::new();
    stop_on_signals(serving.clone())?;
    reload_on_hangup(tls.clone())?;
    info!(engine = %config.engine, folder = %config.data_dir.display(), "starting the node");
    let engine = ClientOptions { max_idle: KEPT, ..ClientOptions::default() };
    let (clients, passed_on) = Clients::new();
    let node = Node::start(NodeOptions {
        engine: EngineClient::new(config.engine, engine),
        folder: config.data_dir,
        volatile: PathBuf::from(VOLATILE),
        listen: config.listen_addr,
        advertise: config.advertise_addr,
        clients,
        allows: config.allows,
        managers: config.managers,
    })
    .await;
    let options = ServerOptions {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        endpoint: "node",
        ..ServerOptions::default()
    };
    let cluster_stop = CancellationToken::new();
    let build = Build { version: env!("CARGO_PKG_VERSION"), commit: COMMIT };
    let cluster = Cluster::start(&node, build, &cluster_stop);
    let registry = || {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("swarm");
        options.metrics.register(ours);
        node.register(ours);
        cluster.register(ours);
        traces.counts.register(ours);
        process::register(&mut registry, env!("CARGO_PKG_VERSION"), COMMIT);
        registry
    };
    let metrics_stop = CancellationToken::new();
    let sending = config.statsd.map(|statsd| Sending::start(statsd, registry()));
    if let Some(server) = metrics_server {
        tokio::spawn(server.serve(registry(), metrics_stop.clone()));
    }
    let traces = traces.send();
    notify(sd_notify::NotifyState::Ready);
    let of_clients = ServerOptions {
        forward: Some(cluster.of_clients()),
        endpoint: "cluster",
        ..options.clone()
    };
    let of_managers = ServerOptions { forward: Some(cluster.of_managers()), ..of_clients.clone() };
    let page = show(door, cluster.overview(), &mut cluster_listeners, serving.clone());
    let passed_on = vec![Listener::handed(passed_on)];
    let serve = |listeners, options| {
        swarm_api::serve(listeners, cluster.backend(), options, serving.clone())
    };
    let backend = std::sync::Arc::clone(&node) as _;
    let serve_node = swarm_api::serve_node(listeners, backend, options, serving.clone());
    let serve_all = serve(cluster_listeners, of_clients);
    let serve_managers = serve(passed_on, of_managers);
    let registering = beside(registrator, serving.clone());
    tokio::join!(serve_node, serve_all, serve_managers, page, registering, async {
        serving.cancelled().await;
        notify(sd_notify::NotifyState::Stopping);
        cluster.resign().await;
        // While requests under way end: the others have a leader again the sooner.
        tokio::join!(node.hand_over(), metrics::end(sending));
    });
    // Only now: the swarm waits for a node that took leave no longer than a restart takes.
    node.shutdown().await;
    cluster_stop.cancel();
    metrics_stop.cancel();
    traces.end().await;
    info!("stopped");
    Ok(())
}
