//! From flags and environment to a checked [`ManageConfig`]. Nothing outside is touched: a
//! configuration that resolves can still fail to bind or to find its files.
//!
//! Invariant: every flag given is used, refused, or named in the log as of no effect; the
//! words of classic Swarm's refusals are kept where old scripts look for them.

mod cluster;
mod daemon;
mod discovery;
mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::strategy::Strategy;
use swarm_discovery::{Discovery, DiscoveryBackend, DiscoveryOptions};
use swarm_engine::TlsFiles;
use swarm_metrics::statsd::StatsdConfig;

use crate::cli::{ManageFlags, TlsFlags};
use crate::page::PageFlags;
use crate::statsd;
use crate::store::{Choice, Named};
use crate::tls::TlsPaths;
use crate::tokens;
use crate::usage::UsageError;
use crate::values::{Listen, count, duration, listen, local_listen};

pub use cluster::ClusterOptions;
pub use daemon::{DATA_DIR, DaemonConfig};
pub use discovery::{discovery_url, heartbeat, pairs, required_discovery};
pub use state::Replication;
use state::{choose_store, replication};

/// How an environment variable is looked up.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Classic's default of `--host`.
const DEFAULT_HOST: &str = "tcp://127.0.0.1:2375";
/// The DISCOVERY of a manager whose engines are those that join the store that it keeps itself, and no other.
const OWN_STORE: &str = "swarm://";
/// Where Docker's engine listens.
pub const LOCAL_ENGINE: &str = "unix:///var/run/docker.sock";
/// Its socket.
const LOCAL_SOCKET: &str = "/var/run/docker.sock";

/// What `swarm manage` runs with.
#[derive(Debug)]
pub struct ManageConfig {
    /// The pool's engines, as far as the command line names them; `None` where the store does.
    pub discovery: Option<Arc<dyn DiscoveryBackend>>,
    /// What the pool's state is kept in.
    pub store: Choice,
    /// Leave that store, and end.
    pub leave: bool,
    /// `--pool-key-file`.
    pub pool_key: Option<PathBuf>,
    /// Where the API is served.
    pub listen: Vec<Listen>,
    /// Where metrics are served: `HOST:PORT`.
    pub metrics: Option<String>,
    /// Where metrics are sent.
    pub statsd: Option<StatsdConfig>,
    /// TLS for both sides.
    pub tls: Option<TlsPaths>,
    /// TLS towards the engine alone, for a pool of one that DOCKER_HOST names.
    pub engine_tls: Option<TlsFiles>,
    /// CORS headers.
    pub cors: bool,
    /// Where the pool's page is served.
    pub page: Option<PageFlags>,
    /// How an engine is chosen.
    pub strategy: Strategy,
    /// What an engine may take.
    pub filters: FilterSet,
    /// `--cluster-opt`.
    pub cluster: ClusterOptions,
    /// Bounds of the time between two full readings of an engine.
    pub refresh: (Duration, Duration),
    /// Failures in a row that make an engine unhealthy.
    pub failure_retries: u32,
    /// Read an engine afresh when a list filters by node.
    pub refresh_on_node_filter: bool,
    /// Read engines afresh when a list asks for this name.
    pub refresh_on_name: Option<String>,
    /// `--replication`, with what it needs.
    pub replication: Option<Replication>,
    /// Flags that are right and have no effect here, for the log.
    pub notes: Vec<String>,
}

impl ManageConfig {
    /// Reads and checks all flags.
    pub fn resolve(flags: ManageFlags, env: Env<'_>) -> Result<Self, UsageError> {
        let mut notes = Vec::new();
        let tls = tls_paths(&flags.tls)?;
        let refresh = refresh(&flags)?;
        let failure_retries = failure_retries(&flags)?;
        let url = discovery_url(&flags.discovery, env)?;
        let replication = replication(&flags, url.as_deref(), env, &mut notes)?;
        if let Some(driver) = flags.cluster_driver.as_deref().filter(|name| *name != "swarm") {
            let problem = "unsupported cluster driver; expected swarm, the only one there is";
            return Err(UsageError::value("--cluster-driver", driver, problem));
        }
        if let Some(text) = &flags.heartbeat {
            heartbeat(text)?;
            notes.push(
                "--heartbeat has no effect: stores tell of changes by themselves, a list needs no \
                 questions, and a file is looked at every second"
                    .to_owned(),
            );
        }
        let metrics = flags
            .metrics_addr
            .clone()
            .filter(|text| !text.is_empty())
            .or_else(|| set(env, "SWARM_METRICS_ADDR"))
            .map(|text| local_listen("--metrics-addr", &text))
            .transpose()?;
        let statsd = statsd::resolve(&flags.statsd, env)?;
        let listen = hosts(&flags.hosts, env)?;
        let page = PageFlags::resolve(&flags.page, tls.is_some(), env)?;
        let mut options = pairs("--discovery-opt", &flags.discovery.options)?;
        let cluster = ClusterOptions::parse(&flags.cluster_options, &mut options, &mut notes)?;
        tokens::add_service(&mut options, &flags.discovery, url.as_deref(), env)?;
        let pool_key = flags.pool_key_file.clone().or_else(|| set(env, "SWARM_POOL_KEY_FILE"));
        let own_store = own_store(url.as_deref(), &flags, &options)?;
        let elsewhere = url.as_deref().filter(|_| !own_store);
        let named = elsewhere.map(|url| Named::parse(url, &options)).transpose()?.flatten();
        if named.as_ref().is_some_and(|named| named.of_managers) {
            return Err(UsageError::flags(
                "swarm://HOST:PORT is for nodes (swarm join, swarm list): a manager keeps the store \
                 itself; give swarm:// alone with --data-dir, --store-listen, and --store-join to join \
                 others",
            ));
        }
        let store = choose_store(&flags, named, url.is_none(), env, &mut notes)?;
        let (discovery, engine_tls) = match (&store, &url) {
            (Choice::Shared(_), _) => (None, None),
            _ if own_store => (None, None),
            (_, Some(url)) => (Some(Discovery::parse(url, &options)?), None),
            // A manager that others join needs no engine of its own.
            (Choice::Embedded(flags), None)
                if flags.listen.is_some()
                    && set(env, "DOCKER_HOST").is_none()
                    && !Path::new(LOCAL_SOCKET).exists() =>
            {
                notes.push(format!(
                    "{LOCAL_SOCKET} is not there: the pool has the engines that join"
                ));
                (None, None)
            }
            (_, None) => {
                let (local, tls) = local_engine(&options, &listen, env, &mut notes)?;
                (Some(local), tls)
            }
        };
        Ok(Self {
            discovery,
            store,
            leave: flags.store_leave,
            pool_key: pool_key.map(PathBuf::from),
            listen,
            metrics,
            statsd,
            engine_tls: engine_tls.filter(|_| tls.is_none()),
            tls,
            cors: flags.cors,
            page,
            strategy: strategy(flags.strategy.as_deref(), env)?,
            filters: filters(&flags.filters)?,
            cluster,
            refresh,
            failure_retries,
            replication,
            refresh_on_node_filter: flags.refresh_on_node_filter,
            refresh_on_name: flags.container_name_refresh_filter.filter(|name| !name.is_empty()),
            notes,
        })
    }
}

/// Whether the pool's engines are those that join this manager's own store, and no other.
fn own_store(
    url: Option<&str>,
    flags: &ManageFlags,
    options: &DiscoveryOptions,
) -> Result<bool, UsageError> {
    if url.is_none_or(|url| !url.trim().eq_ignore_ascii_case(OWN_STORE)) {
        return Ok(false);
    }
    if flags.store_listen.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Err(UsageError::flags(
            "swarm:// means the engines that join this manager: give --store-listen HOST:PORT, \
             where they reach its store",
        ));
    }
    match options.keys().next() {
        None => Ok(true),
        Some(key) => Err(UsageError::flags(format!(
            "{key}: swarm:// takes no options: the store is this manager's own"
        ))),
    }
}

/// A variable that is set to something.
pub fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.trim().is_empty())
}

/// Without DISCOVERY: the engine that DOCKER_HOST names, or this machine's own.
fn local_engine(
    options: &DiscoveryOptions,
    listen: &[Listen],
    env: Env<'_>,
    notes: &mut Vec<String>,
) -> Result<(Arc<dyn DiscoveryBackend>, Option<TlsFiles>), UsageError> {
    let docker_host = set(env, "DOCKER_HOST");
    let named = match docker_host.as_deref() {
        None => None,
        Some(address) => {
            let engine = crate::values::listen("DOCKER_HOST", address).map_err(|_| {
                UsageError::value(
                    "DOCKER_HOST",
                    address,
                    "no engine can be reached by it from here; expected tcp://HOST:PORT or \
                     unix:///PATH, or give a DISCOVERY",
                )
            })?;
            if listen.contains(&engine) {
                // Someone who uses this manager has DOCKER_HOST set to it: following it
                // would make the pool its own engine.
                notes.push("DOCKER_HOST names this manager itself: it is not used".to_owned());
                None
            } else {
                Some(address)
            }
        }
    };
    let tls = named
        .filter(|address| !address.starts_with("unix://"))
        .and_then(|_| set(env, "DOCKER_TLS_VERIFY"))
        .and_then(|_| docker_certificates(env));
    Ok((Discovery::parse(named.unwrap_or(LOCAL_ENGINE), options)?, tls))
}

/// The Docker client's own files, from where it looks for them itself.
pub fn docker_certificates(env: Env<'_>) -> Option<TlsFiles> {
    let folder = set(env, "DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| docker_folder(env))?;
    Some(TlsFiles {
        ca: Some(folder.join("ca.pem")),
        cert: Some(folder.join("cert.pem")),
        key: Some(folder.join("key.pem")),
        verify: true,
    })
}

/// Where the Docker client keeps its settings.
pub fn docker_folder(env: Env<'_>) -> Option<PathBuf> {
    set(env, "DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set(env, "HOME")?).join(".docker")))
}

fn hosts(given: &[String], env: Env<'_>) -> Result<Vec<Listen>, UsageError> {
    if !given.is_empty() {
        return given.iter().map(|text| listen("--host", text)).collect();
    }
    match set(env, "SWARM_HOST") {
        // Several stand in one variable with commas between, as in classic.
        Some(texts) => texts.split(',').map(|text| listen("SWARM_HOST", text.trim())).collect(),
        None => Ok(vec![listen("--host", DEFAULT_HOST)?]),
    }
}

/// Classic's rules for the TLS flags, and its words.
pub fn tls_paths(flags: &TlsFlags) -> Result<Option<TlsPaths>, UsageError> {
    let (ca, cert, key) = (&flags.tlscacert, &flags.tlscert, &flags.tlskey);
    if !flags.tls && !flags.tlsverify {
        if ca.is_some() || cert.is_some() || key.is_some() {
            return Err(UsageError::flags(
                "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify",
            ));
        }
        return Ok(None);
    }
    let (Some(cert), Some(key)) = (cert, key) else {
        return Err(UsageError::flags("--tlscert and --tlskey must be provided when using --tls"));
    };
    if flags.tlsverify && ca.is_none() {
        return Err(UsageError::flags("--tlscacert must be provided when using --tlsverify"));
    }
    Ok(Some(TlsPaths {
        ca: ca.as_ref().map(PathBuf::from),
        cert: cert.into(),
        key: key.into(),
        verify: flags.tlsverify,
    }))
}

fn refresh(flags: &ManageFlags) -> Result<(Duration, Duration), UsageError> {
    const MIN: &str = "--engine-refresh-min-interval";
    const MAX: &str = "--engine-refresh-max-interval";
    let min_text = flags.engine_refresh_min_interval.as_deref().unwrap_or("30s");
    let max_text = flags.engine_refresh_max_interval.as_deref().unwrap_or("60s");
    // Go reads negative durations; here they are refused where they are read, in the words
    // that classic had for them.
    if min_text.starts_with('-') || duration(MIN, min_text)?.is_zero() {
        let problem = "min refresh interval should be a positive number";
        return Err(UsageError::value(MIN, min_text, problem));
    }
    let min = duration(MIN, min_text)?;
    if max_text.starts_with('-') || duration(MAX, max_text)? < min {
        let problem =
            format!("max refresh interval cannot be less than min refresh interval ({min_text})");
        return Err(UsageError::value(MAX, max_text, problem));
    }
    Ok((min, duration(MAX, max_text)?))
}

fn failure_retries(flags: &ManageFlags) -> Result<u32, UsageError> {
    if let Some(text) = flags.engine_refresh_retry.as_deref().filter(|text| *text != "3") {
        let problem = "--engine-refresh-retry is deprecated. Use --engine-failure-retry";
        return Err(UsageError::value("--engine-refresh-retry", text, problem));
    }
    let text = flags.engine_failure_retry.as_deref().unwrap_or("3");
    count("--engine-failure-retry", text, 1).map_err(|_| {
        let problem = "invalid failure retry count; expected a whole number, 1 or more";
        UsageError::value("--engine-failure-retry", text, problem)
    })
}

fn strategy(given: Option<&str>, env: Env<'_>) -> Result<Strategy, UsageError> {
    let (flag, name) = match given {
        Some(name) => ("--strategy", name.to_owned()),
        None => match set(env, "SWARM_STRATEGY") {
            Some(name) => ("SWARM_STRATEGY", name),
            None => return Ok(Strategy::default()),
        },
    };
    name.parse().map_err(|error| UsageError::value(flag, &name, format!("{error}")))
}

fn filters(given: &[String]) -> Result<FilterSet, UsageError> {
    FilterSet::parse(given.iter().map(String::as_str))
        .map_err(|error| UsageError::value("--filter", &given.join(","), error.to_string()))
}

#[cfg(test)]
mod tests;
