//! `swarm backup`: a running manager's answer, sealed by it, written to a file and read through once.

use std::io::{BufReader, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use swarm_node::backup::Opener;

use super::manager::{Manager, OF_DAEMON};
use super::passphrase;
use crate::cli::BackupFlags;
use crate::config::Env;

/// Asks, writes, and looks whether it can be read.
pub async fn run(flags: BackupFlags, env: Env<'_>) -> anyhow::Result<()> {
    let file = Path::new(&flags.file);
    if file.exists() {
        bail!("{} is there already; name another file", file.display());
    }
    let passphrase = passphrase::read(&flags.passphrase, env)?;
    let manager = Manager::usually(&flags.manager, env, || format!("unix://{OF_DAEMON}"))?;
    let body = json!({ "Passphrase": passphrase.reveal() });
    let mut answer = manager.bytes(Method::POST, "/swarm/backup", &body).await?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let unwritten = || format!("{} cannot be written", file.display());
    // Its own name only when it is whole: whoever sees it can rely on it. 0600, as all of these are.
    let mut beside = tempfile::NamedTempFile::new_in(folder).with_context(unwritten)?;
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        if let Some(data) = frame.data_ref() {
            beside.write_all(data).with_context(unwritten)?;
        }
    }
    beside.as_file().sync_all().with_context(unwritten)?;
    beside.rewind().with_context(unwritten)?;
    let mut backup = Opener::open(BufReader::new(beside.as_file()), &passphrase)
        .context("what the manager sent is no whole backup")?;
    while backup.part().context("what the manager sent is no whole backup")?.is_some() {}
    let header = backup.header().clone();
    let kept = beside.persist_noclobber(file).map_err(|error| error.error);
    let size = kept.and_then(|kept| {
        std::fs::File::open(folder)?.sync_all()?;
        Ok(kept.metadata()?.len())
    });
    let size = size.with_context(unwritten)?;
    println!("{}: swarm {}, {} KiB", file.display(), header.cluster, size.div_ceil(1024));
    if !header.agreed {
        eprintln!(
            "swarm: there is no quorum of managers: this is what node {} had; others may have had more",
            header.node
        );
    }
    Ok(())
}
