//! `swarm create`: a token for a new pool, made by a token service. It prints the token and nothing
//! else, as classic did, so that scripts can keep it.

use std::io::{ErrorKind, Write};

use anyhow::Context;

use crate::config::Env;
use crate::tokens::CreateFlags;

/// Asks for a token and prints it.
pub async fn run(flags: CreateFlags, env: Env<'_>) -> anyhow::Result<()> {
    let token = flags.site.service("swarm create", env)?.create().await?;
    print(format!("{token}\n").as_bytes())
}

/// Writes to standard output; whoever closed it has read enough.
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}
