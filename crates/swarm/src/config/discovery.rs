//! The flags by which several commands find a pool's engines.

use std::sync::Arc;
use std::time::Duration;

use swarm_discovery::{Discovery, DiscoveryBackend, DiscoveryOptions};

use super::{Env, set};
use crate::cli::DiscoveryFlags;
use crate::store::Named;
use crate::tokens;
use crate::usage::UsageError;
use crate::values::duration;

/// The least `--heartbeat`, as in classic.
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);

/// Reads `KEY=VALUE` flags; the last of one key counts.
pub fn pairs(flag: &str, texts: &[String]) -> Result<DiscoveryOptions, UsageError> {
    texts
        .iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(UsageError::value(flag, text, "expected KEY=VALUE")),
        })
        .collect()
}

/// The discovery's URL: argument, flag or environment.
pub fn discovery_url(flags: &DiscoveryFlags, env: Env<'_>) -> Result<Option<String>, UsageError> {
    match (&flags.url, &flags.flag) {
        (Some(argument), Some(flag)) if argument != flag => Err(UsageError::flags(format!(
            "the discovery is given twice: {argument:?} and --discovery {flag:?}; give one"
        ))),
        (Some(url), _) | (None, Some(url)) => Ok(Some(url.clone())),
        (None, None) => Ok(set(env, "SWARM_DISCOVERY")),
    }
}

/// The discovery a command cannot do without.
pub fn required_discovery(
    command: &str,
    flags: &DiscoveryFlags,
    env: Env<'_>,
) -> Result<Arc<dyn DiscoveryBackend>, UsageError> {
    let url = discovery_url(flags, env)?.ok_or_else(|| {
        UsageError::flags(format!(
            "discovery required to {command} a cluster; see 'swarm {command} --help'"
        ))
    })?;
    let mut options = pairs("--discovery-opt", &flags.options)?;
    tokens::add_service(&mut options, flags, Some(&url), env)?;
    match Named::parse(&url, &options)? {
        Some(named) => Ok(named.discovery()),
        None => Ok(Discovery::parse(&url, &options)?),
    }
}

/// Reads `--heartbeat`.
pub fn heartbeat(text: &str) -> Result<Duration, UsageError> {
    let heartbeat = duration("--heartbeat", text)?;
    if heartbeat < SHORTEST_HEARTBEAT {
        let problem = "--heartbeat should be at least one second";
        return Err(UsageError::value("--heartbeat", text, problem));
    }
    Ok(heartbeat)
}
