//! `swarm registrator`: reads the flags, opens engine and backend, and registers until a signal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use swarm_consul::{Catalogue, Consul};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient};
use swarm_etcd::Etcd;
use swarm_kv::{KeyValue, StoreOptions, StoreUrl};
use swarm_registrator::{
    Config, ConsulServices, DEFAULT_PREFIX, Keys, OnStop, Registry, Settings, Term, Watcher,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cli::RegistratorFlags;
use crate::cmd::manage::{notify, stop_on_signals};
use crate::config::{LOCAL_ENGINE, pairs};
use crate::usage::UsageError;
use crate::values::duration;

const DEFAULT_SPAN: &str = "60s";
/// Less would keep engine and backend busy with nothing else.
const SHORTEST: Duration = Duration::from_secs(1);

/// A backend that is opened once the host's name is known.
#[derive(Debug)]
enum Backend {
    Catalogue(Catalogue),
    Keys { store: Arc<dyn KeyValue>, prefix: String },
}

impl Backend {
    fn registry(self, host: &str, term: Option<Term>, cleanup: bool) -> Box<dyn Registry> {
        match self {
            Self::Catalogue(catalogue) => {
                Box::new(ConsulServices::new(catalogue, host, term, cleanup))
            }
            Self::Keys { store, prefix } => Box::new(Keys::new(store, &prefix, host, term)),
        }
    }
}

/// Checks the flags and stays until a signal.
pub async fn run(flags: &RegistratorFlags) -> anyhow::Result<()> {
    let (backend, url) = backend(flags)?;
    let term = term(flags)?;
    let mut config = config(flags, term)?;
    let engine = flags.engine.as_deref().unwrap_or(LOCAL_ENGINE);
    let address: EngineAddress = engine.parse().map_err(|error: swarm_engine::AddressError| {
        UsageError::value("--engine", engine, error.reason)
    })?;
    if config.settings.ip.is_none() {
        config.settings.own_ip = own_ip(&url, flags.internal).await?;
    }
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let engine = EngineClient::new(address, ClientOptions::default());
    let host = match &flags.hostname {
        Some(name) => Some(name.clone()),
        None => swarm_registrator::host_of(&engine, &stop).await,
    };
    // Stopped before the engine answered: nothing was registered.
    let Some(host) = host else { return Ok(()) };
    check_host(&host)?;
    let registry = backend.registry(&host, term, flags.cleanup);
    config.settings.host = host;
    notify(sd_notify::NotifyState::Ready);
    // A future of many calls in one another.
    Box::pin(swarm_registrator::run(Watcher::new(engine), registry, config, stop)).await;
    notify(sd_notify::NotifyState::Stopping);
    info!("stopped");
    Ok(())
}

fn backend(flags: &RegistratorFlags) -> Result<(Backend, StoreUrl), UsageError> {
    let text = flags.backend.trim();
    let wrong = || {
        let expected = "expected consul://HOST:PORT, consulkv://HOST:PORT[/PREFIX] or \
                        etcd://HOST:PORT[/PREFIX]";
        UsageError::value("BACKEND", text, expected)
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let mut options = StoreOptions::parse(&pairs("--discovery-opt", &flags.options)?)?;
    if options.path.is_some() {
        let problem = "kv.path is for pools; write the prefix into the BACKEND";
        return Err(UsageError::flags(problem));
    }
    let scheme = scheme.to_ascii_lowercase();
    if flags.cleanup && scheme != "consul" {
        return Err(UsageError::flags(
            "--cleanup is for consul://: in a key-value store a registrator finds only what it \
             wrote itself, and removes that without being asked",
        ));
    }
    let (store, port) = match scheme.as_str() {
        "consul" | "consulkv" => ("consul", swarm_consul::DEFAULT_PORT),
        "etcd" => ("etcd", swarm_etcd::DEFAULT_PORT),
        _ => return Err(wrong()),
    };
    let url = StoreUrl::parse(&format!("{store}://{rest}"), port)?;
    if scheme == "consul" {
        return Ok((Backend::Catalogue(Catalogue::open(&url, &options)?), url));
    }
    let named = Some(url.prefix.clone()).filter(|prefix| !prefix.is_empty());
    let prefix = named.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
    // Where a token is refused, the store tells which rights are wanted: those of this place.
    options.path = Some(prefix.clone());
    let plain = StoreUrl { prefix: String::new(), ..url.clone() };
    let (store, prefix): (Arc<dyn KeyValue>, _) = match store {
        "consul" => (Arc::new(Consul::open(&plain, &options)?), prefix),
        // Its readers know keys that begin with a slash.
        _ => (Arc::new(Etcd::open(&plain, &options)?), format!("/{prefix}")),
    };
    Ok((Backend::Keys { store, prefix }, url))
}

fn term(flags: &RegistratorFlags) -> Result<Option<Term>, UsageError> {
    let text = flags.ttl.as_deref().unwrap_or(DEFAULT_SPAN);
    let ttl = duration("--ttl", text)?;
    let Some(given) = flags.ttl_refresh.as_deref() else {
        return match ttl {
            Duration::ZERO => Ok(None),
            ttl if ttl < 3 * SHORTEST => {
                Err(UsageError::value("--ttl", text, "expected 3s or more, or 0 for ever"))
            }
            ttl => Ok(Some(Term { ttl, refresh: ttl / 3 })),
        };
    };
    let refresh = duration("--ttl-refresh", given)?;
    if ttl.is_zero() || refresh < SHORTEST || refresh >= ttl {
        let problem = "expected 1s or more, and less than the --ttl";
        return Err(UsageError::value("--ttl-refresh", given, problem));
    }
    Ok(Some(Term { ttl, refresh }))
}

fn config(flags: &RegistratorFlags, term: Option<Term>) -> Result<Config, UsageError> {
    let ip = match flags.ip.as_deref() {
        Some(text) => match text.parse::<std::net::IpAddr>() {
            Ok(ip) => Some(ip.to_string()),
            Err(_) => return Err(UsageError::value("--ip", text, "expected an IP address")),
        },
        None => None,
    };
    let resync_text = flags.resync.as_deref().unwrap_or(DEFAULT_SPAN);
    let resync = duration("--resync", resync_text)?;
    if resync < SHORTEST {
        return Err(UsageError::value("--resync", resync_text, "expected 1s or more"));
    }
    let on_success = match flags.deregister.as_deref().unwrap_or("always") {
        "always" => false,
        "on-success" => true,
        other => {
            let problem = "expected always or on-success";
            return Err(UsageError::value("--deregister", other, problem));
        }
    };
    let on_stop = match flags.on_stop.as_deref().unwrap_or("leave") {
        "leave" => OnStop::Leave,
        "deregister" => OnStop::Deregister,
        other => {
            return Err(UsageError::value("--on-stop", other, "expected leave or deregister"));
        }
    };
    if let Some(name) = &flags.hostname {
        check_host(name)?;
    }
    let tags = flags.tags.as_deref().map(swarm_registrator::tags).unwrap_or_default();
    let (internal, explicit) = (flags.internal, flags.explicit);
    let settings = Settings { host: String::new(), ip, own_ip: None, internal, explicit, tags };
    Ok(Config { settings, on_success, refresh: term.map(|term| term.refresh), resync, on_stop })
}

/// It is part of ids and keys.
fn check_host(name: &str) -> Result<(), UsageError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.bytes().all(plain) && name.len() <= 253 && !name.trim_matches('.').is_empty() {
        return Ok(());
    }
    let problem = "expected letters, digits, '.', '-' and '_'";
    Err(UsageError::value("--hostname", name, problem))
}

async fn own_ip(url: &StoreUrl, internal: bool) -> anyhow::Result<Option<String>> {
    let backend = url.hosts.first().map_or("", String::as_str);
    let found = swarm_registrator::own_address(backend).await;
    match found.with_context(|| format!("cannot tell this host's address towards {backend}"))? {
        Some(ip) => Ok(Some(ip.to_string())),
        None if internal => Ok(None),
        None => Err(UsageError::flags(
            "the backend is on this machine, which tells nothing of the address that others reach \
             it by; give --ip ADDRESS",
        )
        .into()),
    }
}
