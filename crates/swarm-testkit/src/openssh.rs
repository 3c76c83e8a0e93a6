//! OpenSSH's server for the tests of `swarm up`, from the machine's own Debian suite.
//!
//! Its package would start a server where it is installed, so `cargo xtask setup` unpacks it below `target/`
//! only; the client is the machine's own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Where the unpacked packages belong: `SWARM_OPENSSH`, or `target/engines/openssh`.
pub fn root() -> PathBuf {
    std::env::var_os("SWARM_OPENSSH").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/engines/openssh"),
        PathBuf::from,
    )
}

/// The server, and a library that it needs beside those of every machine.
pub fn files() -> Result<[PathBuf; 2]> {
    let root = root();
    let server = root.join("usr/sbin/sshd");
    if !server.exists() {
        bail!("no {}; `cargo xtask setup` fetches it", server.display());
    }
    let library = library(&root.join("usr/lib")).or_else(|| library(&root.join("lib")));
    Ok([server, library.with_context(|| format!("no libwrap below {}", root.display()))?])
}

fn library(folder: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(folder).ok()?.flatten();
    folders.map(|entry| entry.path().join("libwrap.so.0")).find(|file| file.exists())
}
