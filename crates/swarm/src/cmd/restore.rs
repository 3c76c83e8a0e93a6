//! `swarm restore`: a manager's folder made of a backup, on which `swarm daemon` goes on.

use std::net::SocketAddr;

use anyhow::Context as _;
use swarm_node::backup::{Restoring, restore};

use super::passphrase;
use crate::cli::RestoreFlags;
use crate::config::{DATA_DIR, Env, set};
use crate::usage::UsageError;

/// Makes the folder, and says how to go on.
pub async fn run(flags: RestoreFlags, env: Env<'_>) -> anyhow::Result<()> {
    let advertise = address("--advertise-addr", flags.advertise_addr)?;
    let listen = address("--listen-addr", flags.listen_addr)?;
    let folder = flags.data_dir.or_else(|| set(env, "SWARM_DATA_DIR"));
    let folder = folder.unwrap_or_else(|| DATA_DIR.to_owned());
    let passphrase = passphrase::read(&flags.passphrase, env)?;
    let restoring = Restoring { file: flags.file.into(), folder: folder.into(), listen, advertise };
    let shown = restoring.folder.display().to_string();
    let (header, address, locked) =
        restore(restoring, passphrase).await.context("nothing was restored")?;
    println!(
        "{shown} is a manager of swarm {} again, as node {} was at {}.",
        header.cluster, header.node, header.created
    );
    println!("Start it: swarm daemon --data-dir {shown}");
    if locked {
        println!("It is locked: docker swarm unlock, with the swarm's unlock key.");
    }
    println!(
        "Workers that know {address} come back by themselves; others by their daemons' --manager {address}"
    );
    if !header.agreed {
        println!("The backup was made without a quorum: others may have had more.");
    }
    Ok(())
}

fn address(flag: &str, given: Option<String>) -> Result<Option<SocketAddr>, UsageError> {
    let Some(text) = given else { return Ok(None) };
    let whole = swarm_node::identity::with_port(&text);
    let parsed = whole.parse().map_err(|_| {
        UsageError::value(flag, &text, "expected an address such as 10.0.0.1 or 10.0.0.1:2377")
    });
    parsed.map(Some)
}
