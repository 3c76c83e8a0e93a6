//! A swarm daemon under test: the real binary, on a host beside its engine and in all its namespaces,
//! so that the host's power cut takes it along.
//!
//! Invariants: it is gone when its `Daemon` is dropped; what it said is kept in its log file.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::run::{run, until};
use super::{Lab, http};

/// For a daemon to answer, or to end when asked to.
const PATIENCE: Duration = Duration::from_mins(1);
/// For one question while waiting.
const GLANCE: Duration = Duration::from_secs(2);
/// Where its process id is, on its host.
const PID: &str = "/run/swarm-daemon.pid";

/// One running daemon.
#[derive(Debug)]
pub struct Daemon<'l> {
    lab: &'l Lab,
    host: u8,
    child: Child,
    sock: PathBuf,
    log: PathBuf,
}

impl Lab {
    /// Starts `binary daemon` on host `i`, with its socket, data and log in `folder`, and waits until
    /// it answers.
    pub fn daemon(
        &self,
        i: u8,
        binary: &Path,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<Daemon<'_>> {
        self.daemon_with(i, binary, folder, arguments, &[])
    }

    /// As [`Lab::daemon`], with these variables.
    pub fn daemon_with(
        &self,
        i: u8,
        binary: &Path,
        folder: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Daemon<'_>> {
        fs::create_dir_all(folder)?;
        let (sock, log) = (folder.join("docker.sock"), folder.join("log"));
        let out = File::options().create(true).append(true).open(&log)?;
        // The shell's number in the host's own namespace, which `exec` keeps.
        let script = format!("echo $$ > {PID}; exec \"$@\"");
        let mut command = self.command(i, "sh")?;
        command.args(["-c", &script, "sh"]).arg(binary).arg("daemon");
        command.args(["--engine", &format!("unix://{}", self.sock(i).display())]);
        command.args(["--node-host", &format!("unix://{}", sock.display())]);
        command.arg("--data-dir").arg(folder.join("data")).args(arguments);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        command.process_group(0); // Ctrl-C is for the person's command.
        let child = command.spawn().context("cannot run swarm daemon")?;
        let mut daemon = Daemon { lab: self, host: i, child, sock, log };
        until(PATIENCE, format_args!("the daemon of host {i} answers"), || {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("the daemon ended with {status}");
            }
            let asked = http::get(&daemon.sock, "/_ping", GLANCE);
            Ok(asked.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .with_context(|| daemon.log())?;
        Ok(daemon)
    }
}

impl Daemon<'_> {
    /// The node endpoint's socket.
    pub fn sock(&self) -> &Path {
        &self.sock
    }

    /// All that it said.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        format!("the daemon of host {} said:\n{text}", self.host)
    }

    /// Whether it has ended, or its host has.
    pub fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal (`TERM`, `KILL`, `STOP`, `CONT`).
    pub fn signal(&self, signal: &str) -> Result<()> {
        run(&mut self.kill_command(signal)?)?;
        if signal == "CONT" {
            // nsenter stops with what it started, and would not see its end.
            run(Command::new("sh").args(["-c", &format!("kill -CONT {}", self.child.id())]))?;
        }
        Ok(())
    }

    /// SIGKILL, and waits until it is gone; containers go on.
    pub fn kill(mut self) -> Result<()> {
        self.signal("KILL")?;
        self.wait_end().map(drop)
    }

    /// Asks it to end in order.
    pub fn stop(mut self) -> Result<()> {
        self.signal("TERM")?;
        if !self.wait_end()? {
            bail!("the daemon failed while ending; {}", self.log());
        }
        Ok(())
    }

    /// Waits for its end, which somebody else brought; whether it was in order.
    pub fn wait_end(&mut self) -> Result<bool> {
        let ended = until(PATIENCE, "the daemon ends", || Ok(self.child.try_wait()?));
        Ok(ended.with_context(|| self.log())?.success())
    }

    fn kill_command(&self, signal: &str) -> Result<Command> {
        let mut command = self.lab.command(self.host, "sh")?;
        command.args(["-c", &format!("kill -{signal} $(cat {PID})")]);
        Ok(command)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // A host that is gone took it along.
        let _ = self.signal("KILL");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
