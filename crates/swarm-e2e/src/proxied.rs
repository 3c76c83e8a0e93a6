//! `swarm proxy` in the fabric, with a real nginx or HAProxy as its child or without one.
//!
//! Leaves to the tests what is behind it. Invariant: each has a folder of its own, and ends when it is dropped.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use swarm_testkit::lab::Lab;

use crate::binaries;
use crate::watch::Watch;

/// Where a proxy's files are, and where it listens.
#[derive(Debug)]
pub struct Proxied {
    /// Its folder.
    pub folder: PathBuf,
    /// What is kept.
    pub config: PathBuf,
    address: String,
    port: u16,
}

impl Proxied {
    /// With a folder called `name`, to listen on a port of the fabric.
    pub fn new(lab: &Lab, name: &str, port: u16) -> Result<Self> {
        let folder = lab.dir().join(name);
        fs::create_dir_all(&folder)?;
        let config = folder.join("proxy.conf");
        Ok(Self { config, folder, address: format!("{}:{port}", lab.ip(0)), port })
    }

    /// Starts `swarm proxy KIND` for what `endpoint` knows, with more flags.
    pub fn start(&self, lab: &Lab, kind: &str, endpoint: &str, more: &[&str]) -> Result<Watch> {
        let mut command = lab.fabric_command(&binaries::swarm()?.display().to_string());
        command.args(["proxy", kind, "-H", endpoint, "--config"]).arg(&self.config);
        let pid = format!("pid={}", self.folder.join("proxy.pid").display());
        command.args(["--set", &format!("http_port={}", self.port), "--set", &pid]).args(more);
        Watch::start(command)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What is kept now.
    pub fn config(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.config)?)
    }
}
