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

use crate::orphan::{Note, Noted, Orphan};
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
    note: Note,
    running: Option<Running>,
}

#[derive(Debug)]
enum Running {
    /// Started by this program.
    Child(Child),
    /// Started by an earlier run of it, which was killed by force.
    Orphan(Orphan),
}

impl Running {
    fn tell(&self, words: Signal) -> Result<(), String> {
        match self {
            Self::Child(child) => match child.id().and_then(|id| i32::try_from(id).ok()) {
                Some(id) => signal(id, words),
                None => Err("it has ended".to_owned()),
            },
            Self::Orphan(orphan) => orphan.tell(words),
        }
    }

    /// Waits for its end; how it ended, where that is known.
    async fn ended(&mut self) -> String {
        match self {
            Self::Child(child) => said(child.wait().await),
            Self::Orphan(orphan) => {
                orphan.ended().await;
                format!("process {}", orphan.id)
            }
        }
    }
}

impl Process {
    /// Nothing runs yet. `command` is a single one: the shell becomes it.
    pub fn new(kind: Kind, command: Option<&str>, config: &Path) -> Self {
        let command = command.unwrap_or(kind.program()).to_owned();
        let note = Note::beside(config);
        Self { kind, command, config: config.to_owned(), note, running: None }
    }

    /// It has been started and has not ended since.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it, or has it read its configuration. One that outlived an earlier run is taken over: beside it
    /// another one would not get its ports, or share them with an old configuration.
    pub fn reload(&mut self) -> Result<(), String> {
        if self.running.is_none()
            && let Some(Noted { orphan, command, parent }) = self.note.read()
        {
            let id = orphan.id;
            if let Some(parent) = parent {
                return Err(format!(
                    "process {parent} keeps this configuration already, with its child {id}: end that, or give \
                     another --config"
                ));
            }
            if command != self.command {
                info!(
                    process = id,
                    command, "the proxy of an earlier run ends: the command is another"
                );
                // Gone meanwhile is as good.
                let _ = orphan.tell(self.kind.farewell());
                return self.start();
            }
            info!(process = id, "the proxy of an earlier run goes on and is taken over");
            self.running = Some(Running::Orphan(orphan));
        }
        match &self.running {
            Some(running) => running.tell(self.kind.reload()),
            None => self.start(),
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
        let started = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Orphan::of);
        if let Some(started) = started
            && let Err(error) = self.note.write(&started, &self.command)
        {
            warn!(%error, "that it runs is not noted: should this program be killed, end the proxy by hand");
        }
        self.running = Some(Running::Child(child));
        Ok(())
    }

    /// Waits for its end; for ever where none runs.
    pub async fn ended(&mut self) -> String {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let how = running.ended().await;
        self.running = None;
        self.note.forget();
        format!("`{}` has ended ({how})", self.command)
    }

    /// Ends it in order: what is under way is done first.
    pub async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let steps =
            [(self.kind.farewell(), GRACE), (Signal::SIGTERM, LAST), (Signal::SIGKILL, LAST)];
        for (step, patience) in steps {
            if step == Signal::SIGKILL {
                warn!("the proxy does not end: it is killed");
            }
            // Gone already is as good.
            let _ = running.tell(step);
            if let Ok(status) = timeout(patience, running.ended()).await {
                info!(status, "the proxy has ended");
                self.note.forget();
                return;
            }
        }
        warn!("the proxy cannot be killed");
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

    #[tokio::test]
    async fn one_that_outlived_its_parent_is_taken_over_or_ended() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("log");
        let script = |name: &str| {
            format!(
                "sh -c 'trap \"echo {name} again >> $CONFIG\" HUP; trap \"echo {name} end >> $CONFIG; exit 0\" \
                 QUIT; echo {name} begin >> $CONFIG; while :; do sleep 0.02; done'"
            )
        };
        let start = |name: &str| Process::new(Kind::Nginx, Some(&script(name)), &config);
        let log = || std::fs::read_to_string(&config).unwrap_or_default();
        let wait = async |words: &str| {
            for _ in 0..500 {
                if log().contains(words) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("no {words}: {}", log());
        };
        let mut first = start("one");
        first.reload().unwrap();
        wait("one begin").await;
        // Killed by force, nobody tells the child anything.
        drop(first);
        let mut second = start("one");
        second.reload().unwrap();
        wait("one again").await;
        assert!(second.runs() && log().matches("begin").count() == 1, "{}", log());
        drop(second);
        // Another command ends it, in order.
        let mut third = start("two");
        third.reload().unwrap();
        wait("one end").await;
        wait("two begin").await;
        drop(third);
        let mut fourth = start("two");
        fourth.reload().unwrap();
        wait("two again").await;
        fourth.stop().await;
        wait("two end").await;
        assert!(!fourth.runs() && !folder.path().join("log.run").exists());
        // Nobody is left to be taken over.
        let mut fifth = start("two");
        fifth.reload().unwrap();
        for _ in 0..500 {
            if log().matches("two begin").count() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(log().matches("two begin").count(), 2, "{}", log());
        fifth.stop().await;
    }
}
