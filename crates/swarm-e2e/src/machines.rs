//! Machines as `swarm up` meets them: hosts of a lab whose PID 1 is the real systemd, with a real sshd, and
//! a person's keys and ssh configuration.
//!
//! Leaves to the tests what is done to them. Invariant: what is compared with before is all that is written
//! on a machine beside its logs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::{Lab, run};
use swarm_testkit::openssh;
use tempfile::TempDir;

use crate::client::{Ran, run_within};
use crate::watch::Watch;

/// Users beside root: one whom sudo asks nothing, one whom it asks.
const USERS: &str = r#"
echo 'sshd:x:992:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
for user in ann:1501 bob:1502; do
    echo "${user%:*}:*:${user#*:}:100::/srv/${user%:*}:/bin/sh" >>/etc/passwd
    mkdir -p "/srv/${user%:*}" && chown "${user#*:}:100" "/srv/${user%:*}"
done
mkdir -p /run/sshd /etc/sudoers.d
echo 'ann ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ann && chmod 440 /etc/sudoers.d/ann
"#;

/// The machines of one lab.
#[derive(Debug)]
pub struct Machines<'l> {
    lab: &'l Lab,
    /// The person's.
    folder: TempDir,
}

impl<'l> Machines<'l> {
    /// Starts sshd on each host. `hI` in the person's configuration is root on host I, `annI` and `bobI` the
    /// users there, `strangerI` root with a key that nobody knows; host 3 is reached through host 1.
    pub fn new(lab: &'l Lab) -> Result<Self> {
        let this = Self { lab, folder: TempDir::new()? };
        let [server, library] = openssh::files()?;
        let there = lab.put("ssh/libwrap.so.0", fs::read(library)?)?;
        let folder = there.parent().context("no folder")?.to_owned();
        fs::copy(server, folder.join("sshd"))?;
        for name in ["person", "stranger"] {
            key(&this.folder.path().join(name))?;
        }
        key(&folder.join("host"))?;
        let public = fs::read(this.folder.path().join("person.pub"))?;
        lab.put("ssh/authorized", public)?;
        lab.put("ssh/config", server_config(&folder))?;
        let unit = format!(
            "[Service]\nExecStart={0}/sshd -D -e -f {0}/config\nEnvironment=LD_LIBRARY_PATH={0}\n\
             KillMode=process\n",
            folder.display()
        );
        lab.put("ssh/ssh.service", unit)?;
        for host in lab.hosts() {
            let copy = format!("cp {}/ssh.service /etc/systemd/system/", folder.display());
            let start = "systemctl daemon-reload && systemctl start ssh.service";
            lab.sh(host, &format!("set -e\n{USERS}\n{copy}\n{start}"))?;
        }
        fs::write(this.config(), this.client_config()?)?;
        Ok(this)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn client_config(&self) -> Result<String> {
        let at = self.folder.path().display();
        let mut text = String::new();
        for host in self.lab.hosts() {
            let ip = self.lab.ip(host);
            let jump = if host == 3 { "  ProxyJump h1\n" } else { "" };
            for (name, user, key) in [
                ("h", "root", "person"),
                ("ann", "ann", "person"),
                ("bob", "bob", "person"),
                ("stranger", "root", "stranger"),
            ] {
                write!(text, "Host {name}{host}\n  HostName {ip}\n  User {user}\n")?;
                write!(text, "  IdentityFile {at}/{key}\n{jump}")?;
            }
        }
        text += "Host *\n  IdentitiesOnly yes\n  StrictHostKeyChecking accept-new\n";
        write!(text, "  UserKnownHostsFile {at}/known_hosts\n  LogLevel ERROR\n")?;
        Ok(text)
    }

    /// Runs `swarm` where the person is: in the fabric's network, with the person's ssh configuration.
    pub fn swarm(&self, binary: &Path, arguments: &[&str]) -> Ran {
        let mut command = self.lab.fabric_command("timeout");
        command.args(["--kill-after=5", "120"]).arg(binary).args(arguments);
        command.env("SWARM_SSH", format!("ssh -F {}", self.config().display()));
        let begun = Instant::now();
        let line = format!("swarm {}", arguments.join(" "));
        let ran = run_within(command, &line);
        println!("{line}: {:.1?}", begun.elapsed());
        ran
    }

    /// The same, to be broken off: whoever ends it ends `swarm` itself.
    pub fn begun(&self, binary: &Path, arguments: &[&str]) -> Result<Watch> {
        let mut command = self.lab.fabric_command(&binary.display().to_string());
        command.args(arguments);
        command.env("SWARM_SSH", format!("ssh -F {}", self.config().display()));
        Watch::start(command)
    }

    /// `docker` where the person is, with the endpoint of a host's manager and the certificates of a folder.
    pub fn endpoint(&self, host: u8, certs: &Path, arguments: &[&str]) -> Ran {
        let mut command = self.lab.fabric_command("timeout");
        command.args(["--kill-after=5", "60", "docker"]).args(arguments);
        command.env("DOCKER_HOST", format!("tcp://{}:3376", self.lab.ip(host)));
        command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", certs);
        run_within(command, &arguments.join(" "))
    }

    /// `docker` on a host, with its daemon.
    pub fn docker(&self, host: u8, arguments: &[&str]) -> Result<String> {
        let mut command = self.lab.command(host, "docker")?;
        command.args(["-H", "unix:///run/swarm/docker.sock"]).args(arguments);
        let output = run(&mut command)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// What listens on a host, by TCP and UDP, of IPv4 and IPv6: `tcp 0.0.0.0:22`.
    pub fn listening(&self, host: u8) -> Result<BTreeSet<String>> {
        let listed = self.lab.sh(host, "ss -H -l -n -t -u")?;
        let place = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let (protocol, place) = (words.first()?, words.get(4)?);
            Some(format!("{protocol} {place}"))
        };
        let found: BTreeSet<_> = listed.lines().filter_map(place).collect();
        if !found.iter().any(|place| place.ends_with(":22")) {
            bail!("sshd is not among what listens on host {host}: {listed}");
        }
        Ok(found)
    }

    /// All files and folders that are written on a host, beside logs; changed ones of the machine below too.
    pub fn files(&self, host: u8) -> Result<BTreeSet<String>> {
        let own = self.lab.dir().join(format!("h{host}")).join("own");
        let mut found = BTreeSet::new();
        walk(&own, &own, &mut found)?;
        let units = self.lab.sh(host, "cd /etc/systemd/system && find . -name 'swarm*'")?;
        found.extend(units.lines().map(str::to_owned));
        let run = self.lab.sh(host, "ls -d /run/swarm* 2>/dev/null || true")?;
        found.extend(run.lines().map(str::to_owned));
        if found.is_empty() {
            bail!("nothing at all is written below {}", own.display());
        }
        Ok(found)
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = path.strip_prefix(root)?.display().to_string();
        if name.starts_with("var/log") {
            continue;
        }
        let kind = entry.file_type()?;
        let mode = entry.metadata()?.permissions().mode() & 0o7777;
        if kind.is_dir() {
            // A folder that was only written into stays as an empty copy of the machine's own.
            walk(root, &path, found)?;
            if Path::new("/").join(&name).is_dir() {
                continue;
            }
        }
        found.insert(format!("{name} {mode:o}"));
    }
    Ok(())
}

fn server_config(folder: &Path) -> String {
    format!(
        "Port 22\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nStrictModes no\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         UsePAM no\nPidFile none\n",
        folder.display()
    )
}

/// A key without a passphrase.
fn key(file: &Path) -> Result<()> {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file);
    run(&mut keygen).map(drop)
}
