//! `swarm manage`: listeners, TLS, pool and API put together, and taken apart in order.
//!
//! Invariants: nothing is served before every address is bound; at the end this manager gives up
//! being the primary at once, the API drains, and the pool stops after it; a second signal ends the process at once.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use swarm_api::{Listener, ServerOptions};
use swarm_backend::{Forward, Overview};
use swarm_engine::ClientOptions;
use swarm_metrics::StoreMetrics;
use swarm_pool::{Build, Election, Pool, PoolConfig};
use swarm_visualizer::{Backend, Door};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::ManageConfig;
use crate::election;
use crate::metrics::{self, Sending, Sources};
use crate::page;
use crate::store::{Choice, Opened};
use crate::tls::Tls;
use crate::traces::Traces;
use crate::values::Listen;

/// The commit it was built from, where the build says so.
pub const COMMIT: &str = match option_env!("SWARM_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Where our sockets are by default.
const RUNTIME: &str = "/run/swarm";

/// For the others to agree that one leaves: an election may come between.
const LEAVE: Duration = Duration::from_secs(30);
/// Until they are asked again.
const LEAVE_PAUSE: Duration = Duration::from_millis(500);

/// Serves until a signal.
pub async fn run(config: ManageConfig, traces: Traces) -> anyhow::Result<()> {
    for note in &config.notes {
        warn!("{note}");
    }
    if config.leave {
        return leave(config).await;
    }
    let tls = Tls::load(config.tls.as_ref(), config.engine_tls.as_ref())?;
    let verified = config.tls.as_ref().is_some_and(|tls| tls.verify);
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(open(address, &tls, verified).await?);
    }
    let metrics_server = metrics::open(config.metrics.as_deref()).await?;
    let door = match &config.page {
        Some(page) => Some(page.open(&tls).await?),
        None => None,
    };
    let serving = CancellationToken::new();
    stop_on_signals(serving.clone())?;
    reload_on_hangup(tls.clone())?;

    let mut config = config;
    let store = std::mem::replace(&mut config.store, Choice::Memory);
    let counted = StoreMetrics::default();
    let engines = config.discovery.take();
    let statsd = config.statsd.take();
    let opened = store.open(engines, config.pool_key.as_deref(), &counted).await?;
    let election =
        election::start(opened.shared.clone(), config.replication.as_ref(), &config.listen);
    let options = ServerOptions {
        forward: forward(&election, &tls),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cors: config.cors,
        ..ServerOptions::default()
    };
    info!(discovery = %opened.discovery.describe(), store = %opened.config.store.describe(),
        strategy = config.strategy.name(),
        filters = %config.filters, "starting the pool");
    let pool_stop = CancellationToken::new();
    let Opened { config: kept, embedded, discovery, .. } = opened;
    let pool_config = pool_config(config, &tls, election.clone());
    let pool = Pool::start(pool_config, discovery, kept, pool_stop.clone());
    let spans = traces.counts.clone();
    let sources = Sources { pool: &pool, api: &options.metrics, store: &counted, spans: &spans };
    let traces = traces.send();
    let sending = statsd.map(|config| Sending::start(config, sources.registry(COMMIT)));
    if let Some(server) = metrics_server {
        tokio::spawn(server.serve(sources.registry(COMMIT), pool_stop.clone()));
    }
    notify(sd_notify::NotifyState::Ready);
    let page = show(door, pool.clone(), &mut listeners, serving.clone());
    let serve = swarm_api::serve(listeners, pool, options, serving.clone());
    tokio::join!(serve, page, async {
        serving.cancelled().await;
        election.resign().await;
    });
    notify(sd_notify::NotifyState::Stopping);
    // While the pool still knows its engines, which would seem lost otherwise.
    metrics::end(sending).await;
    traces.end().await;
    pool_stop.cancel();
    if let Some(embedded) = embedded {
        embedded.shutdown().await;
    }
    info!("stopped");
    Ok(())
}

/// Takes this manager out of the store that it keeps with others. Those that are left have to agree, so it is one
/// of them until they have.
async fn leave(config: ManageConfig) -> anyhow::Result<()> {
    let opened = config.store.open(None, None, &StoreMetrics::default()).await?;
    let Some(embedded) = opened.embedded else { return Ok(()) };
    let begun = std::time::Instant::now();
    let left = loop {
        match embedded.remove_member(embedded.id()).await {
            // It left before, and nobody heard the answer.
            Err(_) if embedded.is_removed() => break Ok(()),
            // It has only just found the others, or they are electing.
            Err(_) if begun.elapsed() < LEAVE => tokio::time::sleep(LEAVE_PAUSE).await,
            left => break left,
        }
    };
    embedded.shutdown().await;
    left.context("cannot leave the managers' store")?;
    info!("left the managers' store: {} can be removed", opened.config.store.describe());
    Ok(())
}

/// Serves the page, where one is wanted; what it asks for arrives at one more of the API's listeners.
pub fn show(
    door: Option<Door>,
    sight: Arc<dyn Overview>,
    listeners: &mut Vec<Listener>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let page = door.map(|door| {
        let (api, listener) = page::inside();
        listeners.push(listener);
        swarm_visualizer::serve(door, Backend { sight, api }, stop)
    });
    async move {
        if let Some(page) = page {
            page.await;
        }
    }
}

/// Where requests go while another manager is the primary: to it, with our own certificate.
fn forward(election: &Election, tls: &Tls) -> Option<Arc<dyn Forward>> {
    let options = ClientOptions { tls: tls.client.clone(), ..ClientOptions::default() };
    Some(election.forwarder(options)?)
}

fn pool_config(config: ManageConfig, tls: &Tls, election: Election) -> PoolConfig {
    PoolConfig {
        strategy: config.strategy,
        filters: config.filters,
        overcommit: config.cluster.overcommit,
        create_retries: config.cluster.create_retries,
        refresh: config.refresh,
        failure_retries: config.failure_retries,
        refresh_on_node_filter: config.refresh_on_node_filter,
        refresh_on_name: config.refresh_on_name,
        reschedule: config.cluster.reschedule,
        election,
        engine: ClientOptions { tls: tls.client.clone(), ..ClientOptions::default() },
        build: Build { version: env!("CARGO_PKG_VERSION"), commit: COMMIT },
        swarm: None,
    }
}

/// Binds one address. A unix socket is guarded by its file's mode and carries no TLS, as
/// with Docker's own engine.
pub async fn open(address: &Listen, tls: &Tls, verified: bool) -> anyhow::Result<Listener> {
    let listener = match address {
        Listen::Tcp(address) => Listener::tcp(address, tls.server.clone()).await?,
        Listen::Unix(path) => {
            make_folder(path, Path::new(RUNTIME))?;
            Listener::unix(path).await?
        }
    };
    match (listener.local_addr(), address) {
        (Some(address), _) => {
            let scheme = if tls.server.is_some() { "TLS" } else { "plain HTTP" };
            info!("listening on tcp://{address} ({scheme})");
            if !verified && !address.ip().is_loopback() {
                warn!(
                    "ANYONE WHO REACHES tcp://{address} IS ROOT ON EVERY ENGINE BEHIND IT: it is open \
                     to the network and clients are not verified; use --tlsverify, or listen on \
                     127.0.0.1 or a unix socket"
                );
            }
        }
        (None, Listen::Unix(path)) => info!("listening on unix://{}", path.display()),
        (None, Listen::Tcp(address)) => info!("listening on tcp://{address}"),
    }
    Ok(listener)
}

/// Our own folder for sockets is made by systemd for its units; for whoever starts us by hand, here. Any
/// other is the person's.
fn make_folder(socket: &Path, own: &Path) -> anyhow::Result<()> {
    if socket.parent() != Some(own) || own.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().mode(0o750).create(own);
    made.with_context(|| format!("making {} for the socket in it", own.display()))
}

/// Cancels `stop` on the first SIGTERM or SIGINT; a second one ends the process.
pub fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut asked = 0_u32;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            asked += 1;
            if asked > 1 {
                warn!("{name} again: ending at once");
                std::process::exit(1);
            }
            info!("{name}: ending when what is under way is done; send it again to end at once");
            stop.cancel();
        }
    });
    Ok(())
}

/// Reads the TLS files again on SIGHUP; without TLS the signal is caught all the same, so
/// that a log rotation's habit does not end the manager.
pub fn reload_on_hangup(tls: Tls) -> anyhow::Result<()> {
    let mut hangup = listen_for(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if !tls.is_used() {
                info!("SIGHUP: no TLS files are in use, nothing to read again");
                continue;
            }
            match tls.reload() {
                Ok(()) => info!("SIGHUP: the TLS files are read again"),
                Err(error) => {
                    warn!("SIGHUP: the old certificates stay in use: {}", crate::said_once(&error));
                }
            }
        }
    });
    Ok(())
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

/// Tells the service manager; without one this does nothing.
pub fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(false, &[state]) {
        warn!(%error, "cannot tell the service manager");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_our_sockets_is_made_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("swarm"), folder.path().join("other"));
        make_folder(&other.join("docker.sock"), &own).unwrap();
        assert!(!own.exists() && !other.exists());
        for _ in 0..2 {
            make_folder(&own.join("docker.sock"), &own).unwrap();
            assert!(own.is_dir());
        }
        let error = make_folder(Path::new("/proc/swarm/x"), Path::new("/proc/swarm")).unwrap_err();
        assert!(error.to_string().contains("making /proc/swarm"), "{error}");
    }
}
