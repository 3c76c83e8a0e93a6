//! A lab: several real Docker hosts on one machine.
//!
//! Each host has its own network, mount, pid, uts and ipc namespaces, its own `/run`,
//! `/etc/docker` and dockerd, and a cable to the lab's bridge (the fabric). The fabric is a
//! network namespace of its own: labs see neither each other nor the machine's network. A
//! manager under test runs in the fabric ([`Lab::fabric_command`]) and is reached from anywhere
//! through its unix socket.
//!
//! The lab's state is in files below [`LabConfig::base`], so one process can boot it, another
//! use it, and a third clear it away. Needs root, iproute2, nftables, util-linux, tini, docker.io.
//!
//! Invariants: everything a lab leaves on the machine is named in `layout`; [`Lab::down`] removes
//! all of it in whatever state it is, also after every process of the lab's owner was killed.

mod config;
mod daemon;
mod enter;
mod fabric;
mod host;
mod http;
mod image;
mod layout;
mod leash;
mod manager;
mod newer;
mod registry;
mod reset;
mod run;
mod sweep;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;

pub use config::{HostConfig, LabConfig, MOST_HOSTS, default_base};
pub use daemon::Daemon;
pub use enter::connect_in;
pub use http::{Answer, ask, get, post};
pub use leash::janitor;
pub use manager::Manager;
pub use newer::Newer;
pub use registry::{Registry, RegistryConfig, RegistryPlace};
pub use run::{run, told, until};

use layout::Layout;

/// One lab on this machine.
#[derive(Debug)]
pub struct Lab {
    config: Mutex<LabConfig>,
    layout: Layout,
    /// The janitor that clears up when this process ends without doing so.
    leash: Mutex<Option<Child>>,
}

/// What `ls` shows of one host.
#[derive(Debug)]
pub struct HostState {
    pub number: u8,
    pub ip: String,
    /// PID 1 of the host as this machine sees it; `None` when it is down.
    pub pid: Option<i32>,
    pub sock: PathBuf,
    /// Does its engine answer?
    pub answers: bool,
}

impl Lab {
    /// Makes the lab's directory and saves its configuration; boots nothing.
    pub fn open(config: LabConfig) -> Result<Self> {
        config.check()?;
        if !nix::unistd::geteuid().is_root() {
            bail!("a lab needs root: it makes namespaces, mounts and cgroups");
        }
        fs::create_dir_all(&config.base)
            .with_context(|| format!("cannot make {}", config.base.display()))?;
        if fs::metadata(&config.base)?.uid() != 0 {
            // Its scripts run as root: nobody else may have put the directory there.
            bail!("{} is not root's own directory", config.base.display());
        }
        let lab = Self::new(config);
        let _lock = lab.lock()?;
        lab.save()?;
        Ok(lab)
    }

    /// The lab of that name as it was opened before, or a new one's defaults.
    pub fn attach(base: &Path, name: &str) -> Result<Self> {
        let mut config = LabConfig::named(name);
        config.base = base.into();
        config.check()?;
        let file = Layout::of(&config).config();
        match fs::read(&file) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(saved) => config = saved,
                // Half written by a process that was killed: good enough to clear away.
                Err(error) => eprintln!("{}: {error}; using defaults", file.display()),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        }
        Ok(Self::new(config))
    }

    /// The names of all labs that have left anything on this machine.
    pub fn list(base: &Path) -> Vec<String> {
        sweep::labs(base)
    }

    fn new(config: LabConfig) -> Self {
        let layout = Layout::of(&config);
        Self { config: Mutex::new(config), layout, leash: Mutex::new(None) }
    }

    /// A copy of the configuration.
    pub fn config(&self) -> LabConfig {
        self.config.lock().clone()
    }

    /// Changes the engine of host `i` from its next start on.
    pub fn configure(&self, i: u8, change: impl FnOnce(&mut HostConfig)) -> Result<()> {
        {
            let mut config = self.config.lock();
            let mut host = config.host(i);
            change(&mut host);
            config.hosts.insert(i, host);
        }
        self.save()
    }

    /// Boots hosts 1..=n, those already up are left alone, and waits for their engines.
    pub fn up(&self, n: u8) -> Result<()> {
        if !(1..=MOST_HOSTS).contains(&n) {
            bail!("a lab has 1 to {MOST_HOSTS} hosts, not {n}");
        }
        let all: Vec<u8> = (1..=n).collect();
        {
            let _lock = self.lock()?;
            self.save()?;
            self.write_hosts_file(n)?;
            self.make_fabric()?;
            run::each(&all, |i| self.boot(i))?;
        }
        run::each(&all, |i| self.wait_up(i))
    }

    /// Boots host `i` again, with the data it had, and waits for its engine.
    pub fn start(&self, i: u8) -> Result<()> {
        self.known(i)?;
        {
            let _lock = self.lock()?;
            self.make_fabric()?;
            self.boot(i)?;
        }
        self.wait_up(i)
    }

    /// Power cut: first the cable, so that peers see silence, then every process.
    pub fn kill(&self, i: u8) -> Result<()> {
        self.known(i)?;
        let _lock = self.lock()?;
        self.power_off(i)
    }

    /// Every process of the host dies while its cable stays: peers see FIN or RST.
    pub fn crash(&self, i: u8) -> Result<()> {
        self.known(i)?;
        let _lock = self.lock()?;
        self.kill_processes(i)
    }

    /// Runs a command inside host `i` to its end, whatever its exit status.
    pub fn exec(&self, i: u8, command: &[&str]) -> Result<Output> {
        let [program, arguments @ ..] = command else { bail!("no command") };
        Ok(self.command(i, program)?.args(arguments).output()?)
    }

    /// Runs a shell script inside host `i`; its output, trimmed, if it succeeds.
    pub fn sh(&self, i: u8, script: &str) -> Result<String> {
        let output = run(self.command(i, "sh")?.args(["-c", script]))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a command in the fabric's network to its end, whatever its exit status.
    pub fn fabric_exec(&self, command: &[&str]) -> Result<Output> {
        let [program, arguments @ ..] = command else { bail!("no command") };
        Ok(self.fabric_command(program).args(arguments).output()?)
    }

    /// Loads an image archive into the engine of host `i`.
    pub fn load(&self, i: u8, tar: &Path) -> Result<()> {
        image::load(&self.sock(i), tar)
    }

    /// The address of host `i`; 0 is the fabric's own, where the manager is.
    pub fn ip(&self, i: u8) -> String {
        self.layout.ip(i)
    }

    /// The name of host `i`, which is the name of its engine.
    pub fn hostname(&self, i: u8) -> String {
        self.layout.hostname(i)
    }

    /// The engine's socket of host `i`, reachable from everywhere on this machine.
    pub fn sock(&self, i: u8) -> PathBuf {
        self.layout.sock(i)
    }

    /// What the daemon of host `i` logged so far.
    pub fn log(&self, i: u8) -> Result<String> {
        let file = self.layout.host(i).join("dockerd.log");
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The lab's directory; files in it are seen by all hosts under the same path.
    pub fn dir(&self) -> PathBuf {
        self.layout.dir()
    }

    /// Writes a file (a certificate, a daemon.json) that all hosts see under the returned path.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.dir().join("files").join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// The numbers of all hosts that were ever booted.
    pub fn hosts(&self) -> Vec<u8> {
        sweep::hosts(&self.dir())
    }

    /// How each host is.
    pub fn ls(&self) -> Vec<HostState> {
        let state = |number| HostState {
            number,
            ip: self.ip(number),
            pid: self.init(number),
            sock: self.sock(number),
            answers: host::answers(&self.sock(number), Duration::from_secs(1)),
        };
        self.hosts().into_iter().map(state).collect()
    }

    /// Removes the lab: processes, mounts, namespaces, cgroups, files.
    pub fn down(&self) -> Result<()> {
        self.slip_leash();
        if !self.layout.dir().parent().is_some_and(Path::exists) && self.leftovers().is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        sweep::down(&self.layout)
    }

    /// What the lab has on this machine right now, one line each; nothing after [`Lab::down`].
    pub fn leftovers(&self) -> Vec<String> {
        sweep::leftovers(&self.layout)
    }

    fn known(&self, i: u8) -> Result<()> {
        if !self.layout.host(i).is_dir() {
            bail!("lab {} has no host {i}; it has {:?}", self.config().name, self.hosts());
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let dir = self.dir();
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("init.sh"), include_str!("init.sh"))?;
        fs::write(dir.join("start.sh"), include_str!("start.sh"))?;
        fs::write(dir.join("systemd.sh"), include_str!("systemd.sh"))?;
        let text = serde_json::to_string_pretty(&self.config())?;
        // Whole or not at all: a killed process must not leave half a configuration.
        let new = dir.join("lab.json.new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.layout.config())?)
    }

    fn write_hosts_file(&self, n: u8) -> Result<()> {
        let last = self.hosts().last().copied().unwrap_or(0).max(n);
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for i in 1..=last {
            writeln!(text, "{} {}", self.ip(i), self.layout.hostname(i))?;
        }
        // In place: running hosts have this very file mounted.
        Ok(fs::write(self.dir().join("hosts"), text)?)
    }

    /// Serialises changes to this lab over all processes; ends with the returned file.
    fn lock(&self) -> Result<File> {
        let path = self.layout.lock();
        if let Some(base) = path.parent() {
            fs::create_dir_all(base)?;
        }
        loop {
            let file = File::options().create(true).append(true).open(&path)?;
            file.lock()?;
            // `down` removes the file while others may wait for it: then it is not the lock.
            if fs::metadata(&path).is_ok_and(|m| file.metadata().is_ok_and(|f| f.ino() == m.ino()))
            {
                return Ok(file);
            }
        }
    }
}
