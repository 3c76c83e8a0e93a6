//! `swarm discovery`: the token service as a process, and what its owner can ask of one that runs.
//!
//! Invariants: nothing is served before every address is bound and the file is open; it listens on
//! loopback unless it is told otherwise.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use swarm_api::tls::{ServerFiles, ServerTls};
use swarm_discovery::TokenRow;
use swarm_listen::{Door, TlsSource};
use swarm_token::{Limits, OwnerKey, Service, ServiceConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cmd::create::print;
use crate::cmd::manage::{notify, reload_on_hangup, stop_on_signals};
use crate::config::Env;
use crate::limits;
use crate::tls::Tls;
use crate::tokens::{OwnerCommand, OwnerFlags, ServiceFlags};
use crate::usage::UsageError;
use crate::values::{Listen, duration, listen};

/// Beside the ports of Docker's engines, and none of etcd's (2379, 2380).
const DEFAULT_LISTEN: &str = "tcp://127.0.0.1:2374";
const DEFAULT_DIRECTORY: &str = "/var/lib/swarm-discovery";
const DEFAULT_EXPIRE: &str = "720h";
/// Below this a token could end between two heartbeats.
const SHORTEST_EXPIRE: Duration = Duration::from_mins(1);

/// Serves, or asks for the owner.
pub async fn run(mut flags: ServiceFlags, env: Env<'_>) -> anyhow::Result<()> {
    match flags.command.take() {
        None => serve(&flags).await,
        Some(OwnerCommand::List(owner)) => list(&owner, env).await,
        Some(OwnerCommand::Remove { owner, token }) => remove(&owner, &token, env).await,
    }
}

async fn list(flags: &OwnerFlags, env: Env<'_>) -> anyhow::Result<()> {
    let service = flags.site.service("swarm discovery list", env)?;
    let key = OwnerKey::read(Path::new(&flags.owner_key_file))?;
    print(table(&service.tokens(key.reveal()).await?).as_bytes())
}

async fn remove(flags: &OwnerFlags, token: &str, env: Env<'_>) -> anyhow::Result<()> {
    let service = flags.site.service("swarm discovery remove", env)?;
    let key = OwnerKey::read(Path::new(&flags.owner_key_file))?;
    let token = token.strip_prefix("token://").unwrap_or(token);
    service.remove(key.reveal(), token).await?;
    Ok(())
}

/// One line for each token, and its engines indented below.
fn table(rows: &[TokenRow]) -> String {
    let mut text = format!("{:<32}  {:>6}  {:<20}  {}\n", "TOKEN", "NODES", "LAST USED", "EXPIRES");
    for row in rows {
        let nodes = row.nodes.len();
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{:<32}  {nodes:>6}  {:<20}  {}", row.token, row.used, row.expires);
        for node in &row.nodes {
            let _ = writeln!(text, "  {node}");
        }
    }
    text
}

async fn serve(flags: &ServiceFlags) -> anyhow::Result<()> {
    let addresses = addresses(&flags.listen)?;
    let expire = expire(flags.expire.as_deref().unwrap_or(DEFAULT_EXPIRE))?;
    let directory = PathBuf::from(flags.data_dir.as_deref().unwrap_or(DEFAULT_DIRECTORY));
    let tls = load_tls(flags)?;
    limits::raise_open_files();
    let mut doors = Vec::new();
    for address in &addresses {
        doors.push(open(address, tls.as_ref()).await?);
    }
    // The directory first: the key is made in it.
    make_private(&directory)?;
    let (owner, key_file) = owner_key(flags.owner_key_file.as_deref(), &directory)?;
    let config = ServiceConfig { directory, expire, owner, limits: Limits::default() };
    let (service, written) = Service::open(config).await?;
    info!(owner_key = %key_file.display(), "serving tokens");
    let serving = CancellationToken::new();
    stop_on_signals(serving.clone())?;
    reload_on_hangup(Tls { server: tls, page: None, client: None })?;
    notify(sd_notify::NotifyState::Ready);
    swarm_token::serve(service, doors, serving).await;
    notify(sd_notify::NotifyState::Stopping);
    // The last times of use are on their way to the disk.
    written.await.context("the writer of the data directory failed")?;
    info!("stopped");
    Ok(())
}

fn addresses(given: &[String]) -> Result<Vec<String>, UsageError> {
    let default = [DEFAULT_LISTEN.to_owned()];
    let given = if given.is_empty() { &default[..] } else { given };
    given
        .iter()
        .map(|text| match listen("--listen", text)? {
            Listen::Tcp(address) => Ok(address),
            Listen::Unix(_) => Err(UsageError::value("--listen", text, "expected tcp://HOST:PORT")),
        })
        .collect()
}

fn expire(text: &str) -> Result<Duration, UsageError> {
    let expire = duration("--expire", text)?;
    if expire < SHORTEST_EXPIRE {
        let problem = "expected one minute or more: engines use their token once a minute";
        return Err(UsageError::value("--expire", text, problem));
    }
    Ok(expire)
}

fn load_tls(flags: &ServiceFlags) -> anyhow::Result<Option<Arc<ServerTls>>> {
    let (cert, key) = match (&flags.tlscert, &flags.tlskey) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if flags.tlscacert.is_none() => return Ok(None),
        _ => {
            let problem = "--tlscert and --tlskey go together, and --tlscacert needs both";
            return Err(UsageError::flags(problem).into());
        }
    };
    let verify_clients_with = flags.tlscacert.as_ref().map(PathBuf::from);
    let files = ServerFiles { cert: cert.into(), key: key.into(), verify_clients_with };
    Ok(Some(ServerTls::load(files)?))
}

async fn open(address: &str, tls: Option<&Arc<ServerTls>>) -> anyhow::Result<Door> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on tcp://{address}"))?;
    let bound = listener.local_addr()?;
    let scheme = if tls.is_some() { "TLS" } else { "plain HTTP" };
    info!("listening on tcp://{bound} ({scheme})");
    if tls.is_none() && !bound.ip().is_loopback() {
        warn!(
            "TOKENS CROSS THE NETWORK IN THE CLEAR on tcp://{bound}: whoever reads one can add \
             engines to its pool; use --tlscert and --tlskey, or listen on 127.0.0.1"
        );
    }
    let tls = tls.map(Arc::clone);
    Ok(Door { listener, tls: tls.map(|tls| Arc::new(move || tls.current()) as TlsSource) })
}

fn make_private(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("data directory {}", directory.display()))
}

fn owner_key(given: Option<&str>, directory: &Path) -> anyhow::Result<(OwnerKey, PathBuf)> {
    let Some(path) = given.map(PathBuf::from) else {
        return Ok((OwnerKey::of_directory(directory)?, directory.join(swarm_token::KEY_FILE)));
    };
    let key = OwnerKey::read(&path)?;
    if std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        warn!("others than its owner can read the owner key {}; chmod 600 it", path.display());
    }
    Ok((key, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shown_with_their_engines() {
        let row = TokenRow {
            token: "0".repeat(32),
            nodes: vec!["a:1".to_owned(), "b:2".to_owned()],
            created: String::new(),
            used: "2026-11-02T10:00:00Z".to_owned(),
            expires: "2026-12-02T10:00:00Z".to_owned(),
        };
        let expected = "\
TOKEN                              NODES  LAST USED             EXPIRES
00000000000000000000000000000000       2  2026-11-02T10:00:00Z  2026-12-02T10:00:00Z
  a:1
  b:2
";
        assert_eq!(table(&[row]), expected);
    }
}
