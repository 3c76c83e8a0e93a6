//! Where the log goes and how much of it: standard error, one line per event, colours on a
//! terminal only; or one JSON object per event, for programs. Standard output belongs to what a command prints.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFlags;
use crate::config::Env;
use crate::usage::UsageError;

/// Starts the log. `RUST_LOG` decides where no flag does.
pub fn start(flags: &LogFlags, env: Env<'_>) -> Result<(), UsageError> {
    let debug =
        flags.debug || env("DEBUG").is_some_and(|on| crate::values::boolean(&on) == Ok(true));
    let level = match (flags.level.as_deref(), debug) {
        (Some(level), _) => Some(parse(level)?),
        (None, true) => Some("debug"),
        (None, false) => None,
    };
    // What the libraries under us report at debug level is noise to an operator.
    // A peer that is away is told by us; the consensus library says so ten times a second.
    let ours = |level: &str| {
        EnvFilter::new(format!("warn,zookeeper_client=error,openraft=error,swarm={level}"))
    };
    let filter = match (level, env("RUST_LOG").filter(|filter| !filter.is_empty())) {
        (Some(level), _) => ours(level),
        (None, Some(filter)) => EnvFilter::try_new(&filter).map_err(|error| {
            UsageError::value("RUST_LOG", &filter, format!("not a log filter: {error}"))
        })?,
        (None, None) => ours("info"),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start (there is none outside tests) keeps the first.
    let _ = match flags.format.as_deref() {
        None | Some("text") => log.try_init(),
        // What an event says beside its words stands at the first level, as log stores want it.
        Some("json") => log.json().flatten_event(true).with_ansi(false).try_init(),
        Some(other) => {
            return Err(UsageError::value("--log-format", other, "expected text or json"));
        }
    };
    Ok(())
}

/// Classic's names; its `fatal` and `panic` end a process, so they show errors here.
fn parse(level: &str) -> Result<&'static str, UsageError> {
    match level.to_ascii_lowercase().as_str() {
        "trace" => Ok("trace"),
        "debug" => Ok("debug"),
        "info" => Ok("info"),
        "warn" | "warning" => Ok("warn"),
        "error" | "fatal" | "panic" => Ok("error"),
        _ => Err(UsageError::value(
            "--log-level",
            level,
            "expected debug, info, warn, error, fatal or panic",
        )),
    }
}
