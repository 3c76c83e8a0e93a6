//! What a lab is made of: its name, its network, and the engine of each host.
//!
//! The configuration is saved in the lab's directory, so that another process (`lab start`,
//! `lab down`) continues with the same one. Nothing here touches the machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// A name must fit into a Linux interface's or cgroup's path and into a socket's 108 bytes.
const LONGEST_NAME: usize = 32;

/// Hosts are numbered 1..=200: host `i` has the address `.10+i`.
pub const MOST_HOSTS: u8 = 200;

/// One lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabConfig {
    /// Distinguishes labs on one machine: lower-case letters, digits and dashes.
    pub name: String,
    /// The first three numbers of the lab's /24. Labs are isolated, so they may share it.
    pub net: String,
    /// What hosts' names begin with; host 1 is `host-1`.
    #[serde(default = "host_names")]
    pub host_names: String,
    /// Bytes per frame on the fabric.
    pub mtu: u16,
    /// The directory that holds every lab's own directory.
    pub base: PathBuf,
    /// Seconds a host may take to answer its API.
    pub patience: u64,
    /// The engine of every host without an entry in `hosts`.
    pub default: HostConfig,
    /// The engines of particular hosts.
    pub hosts: BTreeMap<u8, HostConfig>,
}

/// The engine of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostConfig {
    /// False for a bare host: namespaces and network, no engine.
    pub engine: bool,
    /// The daemon; its folder comes first in its PATH (docker-proxy, docker-init).
    pub dockerd: PathBuf,
    /// The containerd that the daemon starts, with the shims beside it.
    pub containerd: PathBuf,
    /// TCP listeners inside the host; it always listens on its unix socket.
    pub listen: Vec<String>,
    /// More flags, the last ones on the command line.
    pub args: Vec<String>,
    /// Whether PID 1 is the real systemd, over files of the host's own: for what installs things. Its
    /// engine is a unit of it.
    #[serde(default)]
    pub systemd: bool,
    /// `overlay2` when unset, `vfs` on a file system that overlayfs cannot stack upon.
    pub storage_driver: Option<String>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            engine: true,
            dockerd: "/usr/sbin/dockerd".into(),
            containerd: "/usr/bin/containerd".into(),
            listen: vec!["tcp://0.0.0.0:2375".into()],
            args: Vec::new(),
            systemd: false,
            storage_driver: None,
        }
    }
}

impl HostConfig {
    /// Serves TLS with client verification on port 2376 instead of plain TCP on 2375.
    #[must_use]
    pub fn with_tls(mut self, ca: &str, cert: &str, key: &str) -> Self {
        self.listen = vec!["tcp://0.0.0.0:2376".into()];
        self.args.extend([
            "--tlsverify".into(),
            format!("--tlscacert={ca}"),
            format!("--tlscert={cert}"),
            format!("--tlskey={key}"),
        ]);
        self
    }
}

impl LabConfig {
    /// A lab of that name with the machine's own engine on every host.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            net: "10.77.0".into(),
            host_names: host_names(),
            mtu: 1500,
            base: default_base(),
            patience: 60,
            default: HostConfig::default(),
            hosts: BTreeMap::new(),
        }
    }

    /// The engine of host `i`.
    pub fn host(&self, i: u8) -> HostConfig {
        self.hosts.get(&i).unwrap_or(&self.default).clone()
    }

    /// Applies `DOCKERD`, `CONTAINERD`, `DOCKERD_ARGS` (for all hosts, or for host 3 as
    /// `DOCKERD_3`), `LAB_NET` and `LAB_MTU`.
    pub fn apply_env(&mut self) -> Result<()> {
        self.apply(std::env::vars())
    }

    fn apply(&mut self, vars: impl Iterator<Item = (String, String)>) -> Result<()> {
        // Those of single hosts come second, over the default of all.
        let (all, single): (Vec<_>, Vec<_>) = vars.partition(|(key, _)| host_of(key).is_none());
        for (key, value) in all {
            match key.as_str() {
                "LAB_NET" => self.net = value,
                "LAB_MTU" => match value.parse() {
                    Ok(mtu) => self.mtu = mtu,
                    Err(_) => bail!("LAB_MTU={value}: not a number of bytes"),
                },
                _ => set(&mut self.default, &key, &value),
            }
        }
        for (key, value) in single {
            if let Some((what, i)) = host_of(&key) {
                set(self.hosts.entry(i).or_insert(self.default.clone()), what, &value);
            }
        }
        self.check()
    }

    /// Refuses names and networks that the recipe cannot carry.
    pub fn check(&self) -> Result<()> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.chars().all(good) {
            bail!(
                "lab name {:?}: 1 to {LONGEST_NAME} lower-case letters, digits or dashes",
                self.name
            );
        }
        let parts: Vec<_> = self.net.split('.').map(str::parse::<u8>).collect();
        if parts.len() != 3 || parts.iter().any(Result::is_err) {
            bail!("lab network {:?}: the first three numbers of an IPv4 /24", self.net);
        }
        Ok(())
    }
}

fn host_names() -> String {
    "host-".into()
}

fn set(host: &mut HostConfig, what: &str, value: &str) {
    match what {
        "DOCKERD" => host.dockerd = value.into(),
        "CONTAINERD" => host.containerd = value.into(),
        "DOCKERD_ARGS" => host.args = value.split_whitespace().map(Into::into).collect(),
        _ => {}
    }
}

/// `DOCKERD_3` is `DOCKERD` of host 3.
fn host_of(key: &str) -> Option<(&str, u8)> {
    let (what, i) = key.rsplit_once('_')?;
    let i = i.parse().ok().filter(|i| (1..=MOST_HOSTS).contains(i))?;
    ["DOCKERD", "CONTAINERD", "DOCKERD_ARGS"].contains(&what).then_some((what, i))
}

/// Where labs live: `LAB_BASE`, or a place on disk (an engine's data on a tmpfs is memory).
pub fn default_base() -> PathBuf {
    std::env::var_os("LAB_BASE").map_or_else(|| "/var/tmp/swarm-lab".into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_sets_all_hosts_and_then_single_ones() {
        let mut config = LabConfig::named("x");
        let vars = [
            ("DOCKERD_2", "/new/dockerd"),
            ("DOCKERD_ARGS", "--debug  --ipv6=false"),
            ("DOCKERD_ARGS_3", ""),
            ("DOCKERD_NOT", "/nowhere"),
            ("LAB_NET", "10.9.8"),
        ];
        config.apply(vars.iter().map(|(k, v)| ((*k).into(), (*v).into()))).unwrap();
        assert_eq!(config.net, "10.9.8");
        assert_eq!(config.host(1).args, ["--debug", "--ipv6=false"]);
        assert_eq!(config.host(1).dockerd, PathBuf::from("/usr/sbin/dockerd"));
        assert_eq!(config.host(2).dockerd, PathBuf::from("/new/dockerd"));
        assert_eq!(config.host(2).args, ["--debug", "--ipv6=false"]);
        assert!(config.host(3).args.is_empty());
    }

    #[test]
    fn bad_names_and_networks_are_refused() {
        for name in ["", "A", "a b", "a/b", "..", "x.y", &"n".repeat(33)] {
            assert!(LabConfig::named(name).check().is_err(), "{name:?}");
        }
        for net in ["", "10.77", "10.77.0.0", "10.77.256", "a.b.c"] {
            let config = LabConfig { net: net.into(), ..LabConfig::named("ok-1") };
            assert!(config.check().is_err(), "{net:?}");
        }
        assert!(LabConfig::named("ok-1").check().is_ok());
    }

    #[test]
    fn configuration_survives_its_file() {
        let mut config = LabConfig::named("x");
        config.hosts.insert(2, HostConfig::default().with_tls("/ca", "/cert", "/key"));
        let text = serde_json::to_string(&config).unwrap();
        let back: LabConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(back.host(2), config.host(2));
        assert_eq!(back.host(2).listen, ["tcp://0.0.0.0:2376"]);
    }
}
