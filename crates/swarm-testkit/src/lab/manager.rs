//! A pool manager under test: the real binary, in the fabric's network, beside the hosts.
//!
//! Invariants: it serves a unix socket that every process of this machine reaches; it is gone
//! when its `Manager` is dropped; what it said is kept in its log file until the lab goes down.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::run::until;
use super::{Lab, http};

/// For a manager to listen, or to end when asked to.
const PATIENCE: Duration = Duration::from_mins(1);

/// One running manager.
#[derive(Debug)]
pub struct Manager {
    child: Child,
    sock: PathBuf,
    log: PathBuf,
}

impl Lab {
    /// The addresses of hosts 1..=n as a list for discovery: `nodes://10.77.0.11:2375,…`.
    pub fn nodes(&self, n: u8) -> String {
        let all: Vec<_> = (1..=n).map(|i| format!("{}:2375", self.ip(i))).collect();
        format!("nodes://{}", all.join(","))
    }

    /// Starts `binary manage --host unix://… arguments…` and waits until it answers. `name`
    /// tells this manager's socket and log from others'.
    pub fn manage(&self, name: &str, binary: &Path, arguments: &[&str]) -> Result<Manager> {
        self.manage_at(0, name, binary, arguments)
    }

    /// As [`Lab::manage`], in the network of host `i` (0: the fabric's).
    pub fn manage_at(
        &self,
        i: u8,
        name: &str,
        binary: &Path,
        arguments: &[&str],
    ) -> Result<Manager> {
        let mut manager = self.spawn_manager_at(i, name, binary, arguments)?;
        until(PATIENCE, format_args!("manager {name} answers"), || {
            if let Some(status) = manager.child.try_wait()? {
                bail!("the manager ended with {status}");
            }
            Ok(manager.answers().then_some(()))
        })
        .with_context(|| format!("the manager said:\n{}", manager.log()))?;
        Ok(manager)
    }

    /// As [`Lab::manage`], without waiting: for a manager that is expected to refuse.
    pub fn spawn_manager(&self, name: &str, binary: &Path, arguments: &[&str]) -> Result<Manager> {
        self.spawn_manager_at(0, name, binary, arguments)
    }

    fn spawn_manager_at(
        &self,
        i: u8,
        name: &str,
        binary: &Path,
        arguments: &[&str],
    ) -> Result<Manager> {
        let dir = self.dir().join("managers");
        fs::create_dir_all(&dir)?;
        let (sock, log) = (dir.join(format!("{name}.sock")), dir.join(format!("{name}.log")));
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = self.network_command(i, &binary.display().to_string());
        command.args(["manage", "--host", &format!("unix://{}", sock.display())]);
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0) // Ctrl-C is for the person's command.
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        Ok(Manager { child, sock, log })
    }
}

impl Manager {
    /// The socket it serves.
    pub fn sock(&self) -> &Path {
        &self.sock
    }

    /// What to put into `DOCKER_HOST`.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.sock.display())
    }

    /// All it said so far.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Its process id: nsenter became it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Does it answer?
    pub fn answers(&self) -> bool {
        http::get(&self.sock, "/_ping", Duration::from_secs(2)).is_ok_and(|a| a.status == 200)
    }

    /// An answer's JSON.
    pub fn get(&self, path: &str) -> Result<serde_json::Value> {
        http::get(&self.sock, path, PATIENCE)?.json().with_context(|| format!("GET {path}"))
    }

    /// How many of its nodes have that status (`Healthy`), as its `/info` tells.
    pub fn nodes_with_status(&self, status: &str) -> Result<usize> {
        Ok(count_status(&self.get("/info")?, status))
    }

    /// Waits until `n` nodes are healthy.
    pub fn wait_healthy(&self, n: usize, limit: Duration) -> Result<()> {
        until(limit, format_args!("{n} healthy nodes"), || {
            Ok((self.nodes_with_status("Healthy")? == n).then_some(()))
        })
        .with_context(|| format!("the manager said:\n{}", self.log()))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        until(limit, "the manager ends", || Ok(self.child.try_wait()?))
    }

    /// Asks it to end, and makes it end if it does not.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        if let Ok(status) = self.wait_end(PATIENCE) {
            return Ok(status);
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Nothing more can be done here than what `stop` does; the lab's sweep comes after it.
        let _ = self.stop();
    }
}

/// Classic's `info` tells the nodes in rows of two, `["  └ Status", "Healthy"]`.
fn count_status(info: &serde_json::Value, status: &str) -> usize {
    // The same rows may be under both names, for clients of different ages.
    ["SystemStatus", "DriverStatus"]
        .iter()
        .filter_map(|key| info[*key].as_array())
        .map(|rows| {
            rows.iter()
                .filter(|row| row[0].as_str().is_some_and(|name| name.ends_with("└ Status")))
                .filter(|row| row[1] == status)
                .count()
        })
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_nodes_are_counted_in_either_place_and_once() {
        let rows = serde_json::json!([
            ["Nodes", "2"],
            [" host-1", "10.77.0.11:2375"],
            ["  └ Status", "Healthy"],
            [" host-2", "10.77.0.12:2375"],
            ["  └ Status", "Unhealthy"],
        ]);
        let both = serde_json::json!({"SystemStatus": rows.clone(), "DriverStatus": rows.clone()});
        assert_eq!(count_status(&both, "Healthy"), 1);
        assert_eq!(count_status(&serde_json::json!({"DriverStatus": rows}), "Unhealthy"), 1);
        assert_eq!(count_status(&serde_json::json!({"SystemStatus": null}), "Healthy"), 0);
    }
}
