//! `swarm registrator`: reads the flags, opens engine and backend, and registers until a signal; and the
//! same within an agent (`--register`).

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
use tracing::{error, info, warn};

use crate::cli::{RegistratorFlags, Spelling};
use crate::cmd::manage::{notify, stop_on_signals};
use crate::config::{LOCAL_ENGINE, pairs};
use crate::usage::UsageError;
use crate::values::duration;

const DEFAULT_SPAN: &str = "60s";
/// Less would keep engine and backend busy with nothing else.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long taking entries out may hold up the end of other work.
const FAREWELL: Duration = Duration::from_secs(5);

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
    let prepared = Prepared::new(flags).await?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    prepared.run(stop, || notify(sd_notify::NotifyState::Ready)).await?;
    notify(sd_notify::NotifyState::Stopping);
    info!("stopped");
    Ok(())
}

/// A registrator whose flags were checked, and that has not begun.
pub struct Prepared {
    backend: Backend,
    term: Option<Term>,
    config: Config,
    engine: EngineClient,
    hostname: Option<String>,
    cleanup: bool,
    spelling: Spelling,
}

impl Prepared {
    /// Checks the flags. Neither engine nor backend is asked.
    pub async fn new(flags: &RegistratorFlags) -> anyhow::Result<Self> {
        let (backend, url) = backend(flags)?;
        let term = term(flags)?;
        let mut config = config(flags, term)?;
        let engine = flags.engine.as_deref().unwrap_or(LOCAL_ENGINE);
        let address: EngineAddress =
            engine.parse().map_err(|error: swarm_engine::AddressError| {
                UsageError::value(&flags.spelling.flag("engine"), engine, error.reason)
            })?;
        if config.settings.ip.is_none() {
            config.settings.own_ip = own_ip(&url, flags).await?;
        }
        Ok(Self {
            backend,
            term,
            config,
            engine: EngineClient::new(address, ClientOptions::default()),
            hostname: flags.hostname.clone(),
            cleanup: flags.cleanup,
            spelling: flags.spelling,
        })
    }

    /// Registers until `stop`; `ready` is called when it begins.
    pub async fn run(self, stop: CancellationToken, ready: impl FnOnce()) -> anyhow::Result<()> {
        let Self { backend, term, mut config, engine, hostname, cleanup, spelling } = self;
        let host = match hostname {
            Some(name) => Some(name),
            None => swarm_registrator::host_of(&engine, &stop).await,
        };
        // Stopped before the engine answered: nothing was registered.
        let Some(host) = host else { return Ok(()) };
        check_host(spelling, &host)?;
        let registry = backend.registry(&host, term, cleanup);
        config.settings.host = host;
        ready();
        // A future of many calls in one another.
        Box::pin(swarm_registrator::run(Watcher::new(engine), registry, config, stop)).await;
        Ok(())
    }
}

/// A registrator beside other work, until `stop`. What it cannot do is told in the log: the other work
/// goes on.
pub async fn beside(registrator: Option<Prepared>, stop: CancellationToken) {
    let Some(registrator) = registrator else { return };
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        ended = Box::pin(registrator.run(stop.clone(), || {})) => {
            if let Err(error) = ended {
                error!("services are not registered: {}", crate::said_once(&error));
            }
        }
        () = late => warn!("the registry is silent: entries of services are left to run out"),
    }
}

fn backend(flags: &RegistratorFlags) -> Result<(Backend, StoreUrl), UsageError> {
    let text = flags.backend.trim();
    let wrong = || {
        let expected = "expected consul://HOST:PORT, consulkv://HOST:PORT[/PREFIX] or \
                        etcd://HOST:PORT[/PREFIX]";
        UsageError::value(flags.spelling.backend(), text, expected)
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let option = match flags.spelling {
        Spelling::Own => "--discovery-opt",
        Spelling::Within => "--register-opt",
    };
    let mut options = StoreOptions::parse(&pairs(option, &flags.options)?)?;
    if options.path.is_some() {
        let problem = "kv.path is for pools; write the prefix into the registry's URL";
        return Err(UsageError::flags(problem));
    }
    let scheme = scheme.to_ascii_lowercase();
    if flags.cleanup && scheme != "consul" {
        return Err(UsageError::flags(format!(
            "{} is for consul://: in a key-value store a registrator finds only what it \
                 wrote itself, and removes that without being asked",
            flags.spelling.flag("cleanup")
        )));
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
    let ttl = duration(&flags.spelling.flag("ttl"), text)?;
    let Some(given) = flags.ttl_refresh.as_deref() else {
        return match ttl {
            Duration::ZERO => Ok(None),
            ttl if ttl < 3 * SHORTEST => Err(UsageError::value(
                &flags.spelling.flag("ttl"),
                text,
                "expected 3s or more, or 0 for ever",
            )),
            ttl => Ok(Some(Term { ttl, refresh: ttl / 3 })),
        };
    };
    let refresh = duration(&flags.spelling.flag("ttl-refresh"), given)?;
    if ttl.is_zero() || refresh < SHORTEST || refresh >= ttl {
        let problem = format!("expected 1s or more, and less than {}", flags.spelling.flag("ttl"));
        return Err(UsageError::value(&flags.spelling.flag("ttl-refresh"), given, problem));
    }
    Ok(Some(Term { ttl, refresh }))
}

fn config(flags: &RegistratorFlags, term: Option<Term>) -> Result<Config, UsageError> {
    let ip = match flags.ip.as_deref() {
        Some(text) => match text.parse::<std::net::IpAddr>() {
            Ok(ip) => Some(ip.to_string()),
            Err(_) => {
                return Err(UsageError::value(
                    &flags.spelling.flag("ip"),
                    text,
                    "expected an IP address",
                ));
            }
        },
        None => None,
    };
    let resync_text = flags.resync.as_deref().unwrap_or(DEFAULT_SPAN);
    let resync = duration(&flags.spelling.flag("resync"), resync_text)?;
    if resync < SHORTEST {
        return Err(UsageError::value(
            &flags.spelling.flag("resync"),
            resync_text,
            "expected 1s or more",
        ));
    }
    let on_success = match flags.deregister.as_deref().unwrap_or("always") {
        "always" => false,
        "on-success" => true,
        other => {
            let problem = "expected always or on-success";
            return Err(UsageError::value(&flags.spelling.flag("deregister"), other, problem));
        }
    };
    let on_stop = match flags.on_stop.as_deref().unwrap_or("leave") {
        "leave" => OnStop::Leave,
        "deregister" => OnStop::Deregister,
        other => {
            return Err(UsageError::value(
                &flags.spelling.flag("on-stop"),
                other,
                "expected leave or deregister",
            ));
        }
    };
    if let Some(name) = &flags.hostname {
        check_host(flags.spelling, name)?;
    }
    let tags = flags.tags.as_deref().map(swarm_registrator::tags).unwrap_or_default();
    let (internal, explicit) = (flags.internal, flags.explicit);
    let settings = Settings { host: String::new(), ip, own_ip: None, internal, explicit, tags };
    Ok(Config { settings, on_success, refresh: term.map(|term| term.refresh), resync, on_stop })
}

/// It is part of ids and keys.
fn check_host(spelling: Spelling, name: &str) -> Result<(), UsageError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.bytes().all(plain) && name.len() <= 253 && !name.trim_matches('.').is_empty() {
        return Ok(());
    }
    let problem = "expected letters, digits, '.', '-' and '_'";
    Err(UsageError::value(&spelling.flag("hostname"), name, problem))
}

async fn own_ip(url: &StoreUrl, flags: &RegistratorFlags) -> anyhow::Result<Option<String>> {
    let backend = url.hosts.first().map_or("", String::as_str);
    let found = swarm_registrator::own_address(backend).await;
    match found.with_context(|| format!("cannot tell this host's address towards {backend}"))? {
        Some(ip) => Ok(Some(ip.to_string())),
        None if flags.internal => Ok(None),
        None => Err(UsageError::flags(format!(
            "the backend is on this machine, which tells nothing of the address that others reach \
             it by; give {} ADDRESS",
            flags.spelling.flag("ip")
        ))
        .into()),
    }
}
