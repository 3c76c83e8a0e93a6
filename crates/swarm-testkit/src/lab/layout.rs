//! Where everything of one lab is: paths, namespace names, addresses, cgroups.
//!
//! Every trace a lab leaves on the machine is named here, and `sweep` finds each one by these
//! names alone. A lab's name has no dot, so no lab's namespaces match another's.

use std::path::{Path, PathBuf};

use super::config::LabConfig;

/// Marks every process of a lab in its environment; the value is the lab's directory.
pub const MARK: &str = "SWARM_LAB";

/// The names of one lab's things.
#[derive(Debug, Clone)]
pub struct Layout {
    name: String,
    net: String,
    host_names: String,
    base: PathBuf,
}

impl Layout {
    pub fn of(config: &LabConfig) -> Self {
        Self {
            name: config.name.clone(),
            net: config.net.clone(),
            host_names: config.host_names.clone(),
            base: config.base.clone(),
        }
    }

    /// The lab's directory.
    pub fn dir(&self) -> PathBuf {
        self.base.join(&self.name)
    }

    /// The lock that serialises changes to the lab between processes.
    pub fn lock(&self) -> PathBuf {
        self.base.join(format!(".{}.lock", self.name))
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("lab.json")
    }

    /// The directory of host `i`.
    pub fn host(&self, i: u8) -> PathBuf {
        self.dir().join(format!("h{i}"))
    }

    /// The engine's socket of host `i`.
    pub fn sock(&self, i: u8) -> PathBuf {
        self.host(i).join("docker.sock")
    }

    /// The host-side name of PID 1 of host `i`.
    pub fn init_pid(&self, i: u8) -> PathBuf {
        self.host(i).join("init.pid")
    }

    /// The address of host `i`; 0 is the fabric's own.
    pub fn ip(&self, i: u8) -> String {
        format!("{}.{}", self.net, if i == 0 { 1 } else { 10 + u16::from(i) })
    }

    pub fn hostname(&self, i: u8) -> String {
        format!("{}{i}", self.host_names)
    }

    /// The name of the fabric's network namespace.
    pub fn fabric_netns(&self) -> String {
        format!("swarmlab-{}.fab", self.name)
    }

    /// The name of the network namespace of host `i`.
    pub fn netns(&self, i: u8) -> String {
        format!("swarmlab-{}.h{i}", self.name)
    }

    /// Is that a network namespace of this lab?
    pub fn owns_netns(&self, name: &str) -> bool {
        name.strip_prefix(&format!("swarmlab-{}.", self.name)).is_some_and(|rest| {
            rest == "fab"
                || rest
                    .strip_prefix('h')
                    .is_some_and(|i| !i.is_empty() && i.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    /// The file by which a network namespace is entered.
    pub fn netns_path(name: &str) -> PathBuf {
        Path::new("/run/netns").join(name)
    }

    /// The lab's cgroup, relative to a hierarchy's root.
    pub fn cgroup(&self) -> String {
        format!("swarm-lab-{}", self.name)
    }

    /// The same MAC address after every reboot: a new one stays wrong in peers' ARP tables.
    pub fn mac(i: u8) -> String {
        format!("02:4c:41:42:00:{i:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_owns_its_namespaces_and_no_other_labs() {
        let a = Layout::of(&LabConfig::named("a"));
        assert!(a.owns_netns(&a.netns(1)) && a.owns_netns(&a.netns(200)));
        assert!(a.owns_netns(&a.fabric_netns()));
        let longer = Layout::of(&LabConfig::named("a-h1"));
        for other in [longer.netns(1), longer.fabric_netns(), "swarmlab-a.hx".into(), "a".into()] {
            assert!(!a.owns_netns(&other), "{other}");
        }
    }

    #[test]
    fn addresses_follow_the_host_number() {
        let lab = Layout::of(&LabConfig::named("a"));
        assert_eq!(lab.ip(0), "10.77.0.1");
        assert_eq!(lab.ip(1), "10.77.0.11");
        assert_eq!(lab.ip(200), "10.77.0.210");
        assert_eq!(Layout::mac(200), "02:4c:41:42:00:c8");
    }
}
