//! Runs the real manager and reads its state as any client would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::driver::{Client, Endpoint};
use crate::procfs::{self, Memory};

/// A running manager; killed when dropped.
#[derive(Debug)]
pub struct Manager {
    child: Child,
    endpoint: Endpoint,
    pid: u32,
    pub started: Instant,
    _home: tempfile::TempDir,
}

/// The binary to measure.
pub fn binary(named: Option<&Path>) -> Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name("swarm"),
    };
    if !path.is_file() {
        bail!(
            "there is no manager at {}: build it with `cargo build --release -p swarm`, or name it with --manager",
            path.display()
        );
    }
    Ok(path)
}

/// What `--version` of the manager says.
pub async fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Manager {
    /// Starts `swarm manage` over `discovery`; it need not listen yet on return.
    pub fn start(binary: &Path, discovery: &str, flags: &[String]) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("swarm-bench-").tempdir()?;
        let socket = home.path().join("manager.sock");
        let child = Command::new(binary)
            .arg("--log-level")
            .arg("error")
            .arg("manage")
            .arg("-H")
            .arg(format!("unix://{}", socket.display()))
            .args(flags)
            .arg(discovery)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let pid = child.id().context("the manager ended at once")?;
        let started = Instant::now();
        Ok(Self { child, endpoint: Endpoint::Unix(socket), pid, started, _home: home })
    }

    pub fn client(&self) -> Client {
        Client::new(self.endpoint.clone())
    }

    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    pub fn memory(&self) -> Result<Memory> {
        procfs::memory(self.pid)
    }

    pub fn cpu(&self) -> Result<Duration> {
        procfs::cpu(self.pid)
    }

    pub fn descriptors(&self) -> usize {
        procfs::descriptors(self.pid)
    }

    /// Waits until `engines` are healthy and `containers` are listed.
    ///
    /// Returns when each came true, counted from the start of the process.
    pub async fn ready(
        &mut self,
        engines: usize,
        containers: usize,
        patience: Duration,
    ) -> Result<Ready> {
        let mut client = self.client();
        let mut healthy = None;
        let mut last = String::from("it does not answer");
        while self.started.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                bail!("the manager ended: {status}");
            }
            match nodes(&mut client).await {
                Ok(nodes) => {
                    let well = nodes.values().filter(|status| status.as_str() == HEALTHY).count();
                    last = format!("{well} of {} nodes healthy", nodes.len());
                    if well >= engines {
                        let healthy = *healthy.get_or_insert(self.started.elapsed());
                        let listed = listed(&mut client).await?;
                        if listed >= containers {
                            return Ok(Ready { healthy, listed: self.started.elapsed() });
                        }
                        last = format!("{last}, {listed} containers listed");
                    }
                }
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not ready after {patience:?}: {last}")
    }

    /// Ends it, gently first.
    pub async fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid).unwrap_or(0));
        if pid.as_raw() > 0 {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// When a manager was ready, from its start.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    pub healthy: Duration,
    pub listed: Duration,
}

/// The status classic Swarm gives a node in good order.
pub const HEALTHY: &str = "Healthy";

/// Every node's status by its address, from the lines of `GET /info`.
pub async fn nodes(client: &mut Client) -> Result<BTreeMap<String, String>> {
    Ok(parse_nodes(&client.json("/info").await?))
}

/// Node lines read `["  name", "host:port"]`, and under each `["  └ Status", "Healthy"]`.
fn parse_nodes(info: &Value) -> BTreeMap<String, String> {
    let mut nodes = BTreeMap::new();
    for list in ["SystemStatus", "DriverStatus"] {
        let mut current = None;
        for row in info[list].as_array().into_iter().flatten() {
            let (Some(key), Some(value)) = (row[0].as_str(), row[1].as_str()) else { continue };
            let key = key.trim_matches(|c: char| c.is_whitespace() || c == '\u{8}');
            match key.strip_prefix('└') {
                None => current = Some(value),
                Some(field) if field.trim() == "Status" => {
                    if let Some(address) = current {
                        nodes.insert(address.to_owned(), value.to_owned());
                    }
                }
                Some(_) => {}
            }
        }
    }
    nodes
}

/// How many containers `GET /containers/json?all=1` lists.
pub async fn listed(client: &mut Client) -> Result<usize> {
    let (status, body) = client.fetch(Method::GET, "/containers/json?all=1", Bytes::new()).await?;
    if status != StatusCode::OK {
        bail!("list: {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(count_entries(&body))
}

/// Entries of a list without parsing 30 MB: each has exactly one `"Id":"` of 64 digits
/// at its first level, and `"ImageID"` or `"NetworkID"` do not read the same.
fn count_entries(list: &[u8]) -> usize {
    memchr::memmem::find_iter(list, b"\"Names\":[").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_from_classic_lines() {
        let info = serde_json::json!({"DriverStatus": [
            ["Role", "primary"], ["Strategy", "spread"], ["Nodes", "2"],
            [" engine-0000", "127.1.0.1:2375"],
            ["  └ ID", "ABCD"], ["  └ Status", "Healthy"], ["  └ Containers", "30"],
            [" (unknown)", "127.1.0.2:2375"], ["  └ Status", "Pending"]
        ]});
        let nodes = parse_nodes(&info);
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes["127.1.0.1:2375"], HEALTHY);
        assert_eq!(nodes["127.1.0.2:2375"], "Pending");
    }

    #[test]
    fn entries_are_counted() {
        assert_eq!(count_entries(br#"[{"Id":"a","Names":["/x"]},{"Id":"b","Names":[]}]"#), 2);
        assert_eq!(count_entries(b"[]"), 0);
    }
}
