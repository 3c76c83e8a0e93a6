//! One host: booting it, entering it, killing it, and its daemon alone.
//!
//! Leaves the cable to `fabric` and what happens inside to `init.sh` and `systemd.sh`. Invariant: a host is up
//! exactly while the process in `init.pid` is PID 1 of a namespace with the host's network.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};

use super::config::HostConfig;
use super::layout::{Layout, MARK};
use super::run::{quote, run, until};
use super::{Lab, http, sweep};

/// What a host's processes find their tools in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// More than the kernel ever took to make a namespace or to clear one of its processes.
const KERNEL: Duration = Duration::from_mins(1);

impl Lab {
    /// A command inside host `i`, in all its namespaces; `docker` there talks to its engine.
    pub fn command(&self, i: u8, program: &str) -> Result<Command> {
        let pid = self.init(i).ok_or_else(|| anyhow!("host {i} is not up"))?;
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid.to_string(), "-m", "-u", "-i", "-n", "-p", "--", program]);
        command.env(MARK, self.layout.host(i)).env("PATH", PATH);
        for variable in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            command.env_remove(variable);
        }
        Ok(command)
    }

    /// SIGKILLs the daemon alone; containerd, shims and containers live on.
    pub fn kill_dockerd(&self, i: u8) -> Result<()> {
        self.signal_dockerd(i, "KILL")?;
        self.sh(i, "p=$(cat /run/docker.pid); while kill -0 $p 2>/dev/null; do sleep 0.02; done")?;
        Ok(())
    }

    /// Starts the daemon again, with the host's current configuration, and waits for its API.
    pub fn start_dockerd(&self, i: u8) -> Result<()> {
        self.write_daemon_script(i)?;
        let script = self.dir().join("start.sh");
        let host = self.layout.host(i);
        run(self.command(i, "sh")?.arg(script).arg(host))?;
        self.wait_up(i)
    }

    /// Stops the daemon in its tracks: connections stay, answers do not come.
    pub fn pause_dockerd(&self, i: u8) -> Result<()> {
        self.signal_dockerd(i, "STOP")
    }

    /// Lets a paused daemon go on.
    pub fn resume_dockerd(&self, i: u8) -> Result<()> {
        self.signal_dockerd(i, "CONT")
    }

    fn signal_dockerd(&self, i: u8, signal: &str) -> Result<()> {
        self.sh(i, &format!("kill -{signal} $(cat /run/docker.pid)"))
            .with_context(|| format!("host {i}: signal {signal} to dockerd"))?;
        Ok(())
    }

    /// PID 1 of host `i` as this machine numbers it, while the host is up.
    pub fn init(&self, i: u8) -> Option<i32> {
        let pid: i32 = fs::read_to_string(self.layout.init_pid(i)).ok()?.trim().parse().ok()?;
        let own = fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino();
        let host = fs::metadata(Layout::netns_path(&self.layout.netns(i))).ok()?.ino();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        (own == host && inside.split_whitespace().last() == Some("1")).then_some(pid)
    }

    /// Starts host `i` if it is down; does not wait for its engine. Call under the lab's lock.
    pub(super) fn boot(&self, i: u8) -> Result<()> {
        if self.init(i).is_some() {
            return Ok(());
        }
        let host = self.layout.host(i);
        // A boot that was interrupted may have left processes that nobody knows of.
        self.kill_processes(i)?;
        fs::create_dir_all(host.join("data"))?;
        fs::create_dir_all(host.join("etc-docker"))?;
        self.wire(i)?;
        self.write_daemon_script(i)?;
        let log = fs::File::options().create(true).append(true).open(host.join("boot.log"))?;
        let netns = Layout::netns_path(&self.layout.netns(i));
        let mut outer = Command::new("nsenter")
            .arg(format!("--net={}", netns.display()))
            .args(["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"])
            .args(["--mount-proc", "--propagation", "private", "sh"])
            .arg(self.dir().join("init.sh"))
            .args([host.as_os_str(), self.layout.hostname(i).as_ref(), self.ip(0).as_ref()])
            .args([if self.config().host(i).systemd { "systemd" } else { "tini" }])
            .arg(format!("{}/h{i}", self.layout.cgroup()))
            .env_clear()
            .env("PATH", PATH)
            .env(MARK, &host)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0) // Ctrl-C is for the person's command, not for the host.
            .current_dir("/")
            .spawn()
            .context("cannot run nsenter")?;
        // It becomes unshare, whose one child is the host's PID 1.
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let init = until(KERNEL, format_args!("namespaces of host {i}"), || {
            if let Some(status) = outer.try_wait()? {
                bail!("host {i} did not start: {status}; {}", tail(&host.join("boot.log")));
            }
            let line = fs::read_to_string(&children).unwrap_or_default();
            Ok(line.split_whitespace().next().map(ToOwned::to_owned))
        })?;
        fs::write(self.layout.init_pid(i), init)?;
        // Reaps it when the host dies, if this process is still there.
        std::thread::spawn(move || outer.wait());
        Ok(())
    }

    /// Waits until host `i` is booted and its engine answers.
    pub fn wait_up(&self, i: u8) -> Result<()> {
        let host = self.layout.host(i);
        let HostConfig { engine, systemd, .. } = self.config().host(i);
        until(Duration::from_secs(self.config().patience), format_args!("host {i}"), || {
            let Some(pid) = self.init(i) else {
                bail!("host {i} died; {}", tail(&host.join("boot.log")));
            };
            let init = Path::new("/proc").join(pid.to_string());
            let comm = fs::read_to_string(init.join("comm")).unwrap_or_default();
            let booted = if systemd {
                // The socket by which its tools reach it.
                comm.trim() == "systemd" && init.join("root/run/systemd/private").exists()
            } else {
                comm.trim() == "tini"
            };
            let ready = booted && (!engine || answers(&self.sock(i), Duration::from_secs(2)));
            Ok(ready.then_some(()))
        })
        .with_context(|| tail(&host.join("dockerd.log")))
    }

    /// SIGKILLs every process of host `i`. Call under the lab's lock.
    pub(super) fn kill_processes(&self, i: u8) -> Result<()> {
        sweep::kill_host(&self.layout, i)?;
        for file in [self.layout.init_pid(i), self.sock(i)] {
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    /// Cable, processes, namespace, cgroups: in this order. Call under the lab's lock.
    pub(super) fn power_off(&self, i: u8) -> Result<()> {
        if sweep::is_netns(&self.layout.netns(i)) {
            // No cable is as silent as a cut one.
            let _ = self.link(i, "down");
        }
        self.kill_processes(i)?;
        self.unwire(i)?;
        sweep::remove_cgroups(&format!("{}/h{i}", self.layout.cgroup()))
    }

    fn write_daemon_script(&self, i: u8) -> Result<()> {
        let (host, config) = (self.layout.host(i), self.config().host(i));
        let script = host.join("dockerd.sh");
        if !config.engine {
            if script.exists() {
                fs::remove_file(script)?;
            }
            return Ok(());
        }
        for binary in [&config.dockerd, &config.containerd] {
            if !binary.exists() {
                bail!("no {}; `cargo xtask setup` installs what a lab needs", binary.display());
            }
        }
        let flags: Vec<_> = self.daemon_flags(i, &config)?.iter().map(|w| quote(w)).collect();
        let folder = |file: &Path| file.parent().unwrap_or(Path::new("/")).display().to_string();
        let path = format!("{}:{}:{PATH}", folder(&config.dockerd), folder(&config.containerd));
        let text = format!("PATH={} exec {}\n", quote(&path), flags.join(" "));
        fs::write(&script, text).with_context(|| script.display().to_string())
    }

    fn daemon_flags(&self, i: u8, config: &HostConfig) -> Result<Vec<String>> {
        let host = self.layout.host(i);
        let driver = match &config.storage_driver {
            Some(driver) => driver.clone(),
            None if statfs(&host)?.filesystem_type() == OVERLAYFS_SUPER_MAGIC => "vfs".into(),
            None => "overlay2".into(),
        };
        let mut flags = vec![
            config.dockerd.display().to_string(),
            format!("--data-root={}", host.join("data").display()),
            "--exec-root=/run/docker".into(),
            "--pidfile=/run/docker.pid".into(),
            "--host=unix:///run/docker.sock".into(),
            format!("--host=unix://{}", self.sock(i).display()),
            format!("--storage-driver={driver}"),
            format!("--cgroup-parent=/{}/h{i}", self.layout.cgroup()),
            "--exec-opt=native.cgroupdriver=cgroupfs".into(),
            format!("--insecure-registry={}.0/24", self.config().net),
        ];
        flags.extend(config.listen.iter().map(|address| format!("--host={address}")));
        if !config.args.iter().any(|flag| flag.starts_with("--tls")) {
            // Said outright, because dockerd sleeps before it serves TCP without either.
            flags.push("--tls=false".into());
        }
        flags.extend(config.args.iter().cloned());
        Ok(flags)
    }
}

/// Does an engine answer at that socket?
pub(super) fn answers(sock: &Path, patience: Duration) -> bool {
    http::get(sock, "/_ping", patience).is_ok_and(|answer| answer.status == 200)
}

/// The end of a log, for an error that must explain itself.
fn tail(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    format!("{}:\n{}", file.display(), lines[lines.len().saturating_sub(12)..].join("\n"))
}
