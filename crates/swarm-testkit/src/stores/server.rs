//! One server process of a test: its folder, its log, and the ways it can fail.
//!
//! Invariants: it dies with the test process, however that ends; stopping it touches no process
//! but its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;

/// How long a server may take to end when asked to.
const FAREWELL: Duration = Duration::from_secs(20);

/// For the threads of a process to stop.
const FREEZING: Duration = Duration::from_secs(5);

/// A running or ended server.
#[derive(Debug)]
pub struct Server {
    name: String,
    folder: PathBuf,
    child: Option<Child>,
    leash: Option<Child>,
}

impl Server {
    /// A server that keeps its files below `folder`, not yet running.
    pub fn new(name: &str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self { name: name.to_owned(), folder: folder.to_owned(), child: None, leash: None })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `command`; what it says goes to `server.log` in its folder.
    pub fn start(&mut self, command: &mut Command) -> Result<()> {
        if self.is_running() {
            bail!("{} is running already", self.name);
        }
        let log = File::options().create(true).append(true).open(self.log_path())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own: a Ctrl-C at the terminal is the test's to handle.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("starting {}", self.name))?;
        self.leash = Some(leash(child.id())?);
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `ready`; fails early, with the end of its log, when it has ended.
    pub fn wait(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let until = Instant::now() + limit;
        while !ready() {
            if !self.is_running() {
                bail!("{} ended: {}", self.name, self.log_end());
            }
            if Instant::now() > until {
                bail!("{} is not ready after {limit:?}: {}", self.name, self.log_end());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The process's number, while there is one.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether the process is there (frozen counts).
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL: as a crash.
    pub fn crash(&mut self) -> Result<()> {
        self.slip();
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Ends what waits for our end: the process number may be another's soon.
    fn slip(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            // Where it has ended already, there is nothing left to end.
            let _ = leash.kill();
            let _ = leash.wait();
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let until = Instant::now() + FAREWELL;
        while self.is_running() {
            if Instant::now() > until {
                return self.crash();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.slip();
        self.child = None;
        Ok(())
    }

    /// SIGSTOP: it holds its connections and says nothing. Its threads stop one after the other, and
    /// one that still runs may answer: all have stopped when this returns.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let Some(child) = &self.child else { bail!("{} is not running", self.name) };
        let begun = Instant::now();
        while !all_stopped(child.id())? {
            ensure!(begun.elapsed() < FREEZING, "{} does not stop", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(child) = &self.child else { bail!("{} is not running", self.name) };
        Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The last lines it said, for messages.
    pub fn log_end(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<_> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The test is over either way; the leash ends what this could not.
        let _ = self.crash();
    }
}

/// A process that kills the group `id` when our end of its standard input is closed, by whatever
/// cause.
fn leash(id: u32) -> Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r _; kill -KILL -- -\"$0\"", &id.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().context("starting a server's leash")
}

/// Below what the kernel gives out of itself: no client's connection takes the port between now and
/// the server's start, or while the server is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port of the loopback address that was free a moment ago, and is given once by this process: whoever has it
/// may not listen yet.
pub fn free_port() -> Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock();
    for _ in 0..100 {
        let port = rand::random_range(PORTS);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no port of {PORTS:?} is free")
}

/// Whether every thread of a process is stopped (`T` in `/proc/PID/task/TID/stat`).
fn all_stopped(process: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that ended meanwhile runs no more.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { continue };
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        if state != Some('T') {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let given: BTreeSet<_> = (0..1_000).map(|_| free_port().unwrap()).collect();
        assert_eq!(given.len(), 1_000);
    }

    #[test]
    fn a_server_is_started_frozen_crashed_and_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::new("sleeper", folder.path()).unwrap();
        let sleeper = || {
            let mut command = Command::new("sh");
            command.args(["-c", "echo ready; exec sleep 60"]);
            command
        };
        server.start(&mut sleeper()).unwrap();
        let log = folder.path().join("server.log");
        let ready = || fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"));
        server.wait(Duration::from_secs(10), ready).unwrap();
        server.freeze().unwrap();
        assert!(server.is_running() && all_stopped(server.child.as_ref().unwrap().id()).unwrap());
        server.thaw().unwrap();
        server.crash().unwrap();
        assert!(!server.is_running());
        server.start(&mut sleeper()).unwrap();
        server.stop().unwrap();
        assert!(!server.is_running());
        server.start(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap();
        let error = server.wait(Duration::from_secs(10), || false).unwrap_err().to_string();
        assert!(error.contains("sleeper ended") && error.contains("broken"), "{error}");
    }
}
