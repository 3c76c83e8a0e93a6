//! `--statsd` and what belongs to it, checked. Whether somebody listens there is not: UDP does not
//! tell, and a receiver may come later.

use std::time::Duration;

use swarm_discovery::Entry;
use swarm_metrics::statsd::{Dialect, StatsdConfig};

use crate::cli::StatsdFlags;
use crate::config::{Env, set};
use crate::usage::UsageError;
use crate::values::duration;

/// Receivers add up over seconds; more often would only be more datagrams.
const SHORTEST: Duration = Duration::from_secs(1);
/// Letters of a prefix: room for a path of a few words, and far from filling a datagram.
const LONGEST_PREFIX: usize = 100;

/// Reads and checks the flags; `None` when nothing is to be sent.
pub fn resolve(flags: &StatsdFlags, env: Env<'_>) -> Result<Option<StatsdConfig>, UsageError> {
    let given = |flag: &Option<String>, name: &str| {
        flag.clone().filter(|text| !text.trim().is_empty()).or_else(|| set(env, name))
    };
    let Some(text) = given(&flags.statsd, "SWARM_STATSD") else {
        for (flag, name) in [
            (&flags.statsd_format, "--statsd-format"),
            (&flags.statsd_interval, "--statsd-interval"),
            (&flags.statsd_prefix, "--statsd-prefix"),
        ] {
            if flag.is_some() {
                return Err(UsageError::flags(format!("{name} needs --statsd HOST:PORT")));
            }
        }
        return Ok(None);
    };
    let address = match text.parse() {
        Ok(entry @ Entry::Tcp { .. }) if !text.contains("://") => entry.to_string(),
        _ => {
            let problem = "expected HOST:PORT, such as 127.0.0.1:8125";
            return Err(UsageError::value("--statsd", &text, problem));
        }
    };
    let dialect = match given(&flags.statsd_format, "SWARM_STATSD_FORMAT").as_deref() {
        None | Some("statsd") => Dialect::Statsd,
        Some("dogstatsd") => Dialect::Dogstatsd,
        Some(other) => {
            let problem = "expected statsd or dogstatsd";
            return Err(UsageError::value("--statsd-format", other, problem));
        }
    };
    let interval = match given(&flags.statsd_interval, "SWARM_STATSD_INTERVAL") {
        None => Duration::from_secs(10),
        Some(text) => {
            let interval = duration("--statsd-interval", &text)?;
            if interval < SHORTEST {
                let problem = "expected 1s or more";
                return Err(UsageError::value("--statsd-interval", &text, problem));
            }
            interval
        }
    };
    let prefix = given(&flags.statsd_prefix, "SWARM_STATSD_PREFIX");
    let prefix = prefix.unwrap_or_else(|| "swarm".to_owned());
    let letters = |word: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !word.is_empty() && word.chars().all(letter)
    };
    if prefix.len() > LONGEST_PREFIX || !prefix.split('.').all(letters) {
        let problem = "expected words of letters, digits, - and _ with dots between, at most 100 \
                       characters";
        return Err(UsageError::value("--statsd-prefix", &prefix, problem));
    }
    Ok(Some(StatsdConfig { address, dialect, interval, prefix }))
}
