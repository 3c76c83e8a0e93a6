//! A client that runs beside the test, such as `docker events`, and the lines it has printed.
//!
//! Invariant: it is killed and reaped when it is dropped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use swarm_testkit::lab::until;

/// A running client.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    /// Starts it; both its outputs are read, line by line.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = BufReader::new(child.stdout.take().context("no stdout")?);
        let error = BufReader::new(child.stderr.take().context("no stderr")?);
        let keep = Arc::clone(&lines);
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|l| keep.lock().push(l));
        });
        let keep = Arc::clone(&lines);
        std::thread::spawn(move || {
            error.lines().map_while(Result::ok).for_each(|l| keep.lock().push(l));
        });
        Ok(Self { child, lines })
    }

    /// What it printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Waits for a line that holds `text`.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<String> {
        until(limit, format_args!("a line with {text:?}"), || {
            Ok(self.lines.lock().iter().find(|line| line.contains(text)).cloned())
        })
        .with_context(|| format!("it printed:\n{}", self.lines().join("\n")))
    }

    /// Waits for its end.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let ended = until(limit, "the client ends", || Ok(self.child.try_wait()?));
        ended.with_context(|| format!("it printed:\n{}", self.lines().join("\n")))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Is it still running?
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
