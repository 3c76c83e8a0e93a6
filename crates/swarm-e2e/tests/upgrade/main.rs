//! This version beside the one before it: a pool and a swarm that are upgraded one machine after the other while
//! they work, each step with both versions in it.
//!
//! `cargo xtask upgrade --from REVISION` builds the version before and runs this; the suite does not, since it
//! has no such binary.

mod pool;
mod swarm;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// For whatever is waited for.
const LONG: Duration = Duration::from_mins(1);

/// The binary of the version before.
fn previous() -> Result<PathBuf> {
    let named = std::env::var_os("SWARM_PREVIOUS_BIN").map(PathBuf::from);
    let binary = named.context(
        "SWARM_PREVIOUS_BIN names no binary of the version before; `cargo xtask upgrade --from REVISION` builds \
         that revision and runs these tests with it",
    )?;
    ensure!(binary.is_file(), "SWARM_PREVIOUS_BIN: there is no {}", binary.display());
    Ok(binary)
}
