//! `swarm list`: prints the engines a discovery names, one per line, in its order. It asks the
//! discovery only, not the engines. A store without any is no failure, and said beside the list.

use std::io::{ErrorKind, Write};

use anyhow::{Context, bail};

use crate::cli::ListFlags;
use crate::config::{Env, required_discovery};
use crate::usage::UsageError;
use crate::values::duration;

/// Asks once and prints.
pub async fn run(flags: ListFlags, env: Env<'_>) -> anyhow::Result<()> {
    let text = flags.timeout.as_deref().unwrap_or("10s");
    let timeout = duration("--timeout", text)?;
    if timeout.is_zero() {
        let problem = "--timeout should be a positive number";
        return Err(UsageError::value("--timeout", text, problem).into());
    }
    let discovery = required_discovery("list", &flags.discovery, env)?;
    let Ok(entries) = tokio::time::timeout(timeout, discovery.fetch()).await else {
        bail!("{} did not answer within {text}", discovery.describe());
    };
    let (entries, mut lines) = (entries?, Vec::new());
    if entries.is_empty()
        && let Some(words) = discovery.nobody()
    {
        eprintln!("swarm: {words}");
    }
    for entry in entries {
        writeln!(lines, "{entry}")?;
    }
    match std::io::stdout().write_all(&lines) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}
