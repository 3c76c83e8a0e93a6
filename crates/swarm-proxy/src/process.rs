//! The two proxies that are known, and one of them as a child of this program.
//!
//! Invariant: a child is the proxy itself, not a shell before it, so that signals reach it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::shell::CONFIG;

/// How long what is under way may hold up the end of a child.
const GRACE: Duration = Duration::from_secs(30);
/// Then how long it may take to end at once.
const LAST: Duration = Duration::from_secs(3);

/// A proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

impl Kind {
    /// Its own checker.
    pub fn checker(self) -> &'static str {
        match self {
            Self::Nginx => "nginx -t -q -c \"$CONFIG\"",
            Self::Haproxy => "haproxy -c -q -f \"$CONFIG\"",
        }
    }

    /// How it runs in the foreground.
    pub fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx -g 'daemon off;' -c \"$CONFIG\"",
            Self::Haproxy => "haproxy -W -f \"$CONFIG\"",
        }
    }

    /// Reads its configuration again; what is under way goes on.
    pub fn reload(self) -> Signal {
        match self {
            Self::Nginx => Signal::SIGHUP,
            Self::Haproxy => Signal::SIGUSR2,
        }
    }

    /// Ends when what is under way is done.
    fn farewell(self) -> Signal {
        match self {
            Self::Nginx => Signal::SIGQUIT,
            Self::Haproxy => Signal::SIGUSR1,
        }
    }
}

/// The proxy as a child.
#[derive(Debug)]
pub struct Process {
    kind: Kind,
    command: String,
    config: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Nothing runs yet. `command` is a single one: the shell becomes it.
    pub fn new(kind: Kind, command: Option<&str>, config: &Path) -> Self {
        let command = command.unwrap_or(kind.program()).to_owned();
        Self { kind, command, config: config.to_owned(), child: None }
    }

    /// It has been started and has not ended since.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it, or has it read its configuration.
    pub fn reload(&mut self) -> Result<(), String> {
        let Some(child) = &self.child else { return self.start() };
        match child.id().and_then(|id| i32::try_from(id).ok()) {
            Some(id) => signal(id, self.kind.reload()),
            None => Err("it has ended".to_owned()),
        }
    }

    fn start(&mut self) -> Result<(), String> {
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("exec {}", self.command)])
            .env(CONFIG, &self.config)
            .stdin(Stdio::null())
            // A terminal's Ctrl-C is ours: the child ends in order.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("`{}` cannot be run: {error}", self.command))?;
        info!(command = self.command, "the proxy is started");
        self.child = Some(child);
        Ok(())
    }

    /// Waits for its end; for ever where none runs.
    pub async fn ended(&mut self) -> String {
        let Some(child) = &mut self.child else { return std::future::pending().await };
        let status = child.wait().await;
        self.child = None;
        format!("`{}` has ended ({})", self.command, said(status))
    }

    /// Ends it in order: what is under way is done first.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let steps = [(self.kind.farewell(), GRACE), (Signal::SIGTERM, LAST)];
        for (step, patience) in steps {
            if let Some(id) = id {
                // Gone already is as good.
                let _ = signal(id, step);
            }
            if let Ok(status) = timeout(patience, child.wait()).await {
                info!(status = said(status), "the proxy has ended");
                return;
            }
        }
        warn!("the proxy does not end: it is killed");
        if let Err(error) = child.kill().await {
            warn!(%error, "the proxy cannot be killed");
        }
    }
}

/// Sends a signal to the process with this id.
pub fn signal(id: i32, signal: Signal) -> Result<(), String> {
    kill(Pid::from_raw(id), signal).map_err(|error| match error {
        Errno::ESRCH => format!("no process has the id {id}: does the proxy run?"),
        error => format!("cannot send {signal} to process {id}: {error}"),
    })
}

fn said(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_is_started_told_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("log");
        let script = "sh -c 'trap \"echo again >> $CONFIG\" HUP; trap \"echo end >> $CONFIG; exit 0\" QUIT; \
                      echo begin >> $CONFIG; while :; do sleep 0.02; done'";
        let mut process = Process::new(Kind::Nginx, Some(script), &config);
        let wait = async |word: &str| {
            for _ in 0..500 {
                if std::fs::read_to_string(&config).is_ok_and(|text| text.contains(word)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("no {word}");
        };
        process.reload().unwrap();
        wait("begin").await;
        process.reload().unwrap();
        wait("again").await;
        process.stop().await;
        wait("end").await;
        assert!(!process.runs());
    }

    #[tokio::test]
    async fn a_childs_end_is_told() {
        let mut process = Process::new(Kind::Haproxy, Some("no-such-proxy"), Path::new("/x"));
        process.reload().unwrap();
        let ended = process.ended().await;
        assert!(ended.contains("127") && !process.runs(), "{ended}");
    }
}
