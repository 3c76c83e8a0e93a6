//! A private registry in the lab: Debian's docker-registry, with or without a password.
//!
//! Hosts trust it without TLS, because the lab's whole network is an insecure registry to them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Lab;
use super::run::{run, until};

/// Where a registry runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryPlace {
    /// Beside the manager, on the fabric's own address.
    Fabric,
    /// Inside a host; it dies with it.
    Host(u8),
}

/// A registry to start.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    pub place: RegistryPlace,
    pub port: u16,
    /// User and password, if it asks for them.
    pub auth: Option<(String, String)>,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { place: RegistryPlace::Fabric, port: 5000, auth: None }
    }
}

/// A running registry; it lives until its host dies or the lab goes down.
#[derive(Debug, Clone)]
pub struct Registry {
    /// `IP:PORT`: the first part of its images' names.
    pub address: String,
}

/// For the registry to listen.
const PATIENCE: Duration = Duration::from_mins(1);

impl Lab {
    /// Starts a registry and waits until it listens.
    pub fn registry(&self, config: &RegistryConfig) -> Result<Registry> {
        let (host, name) = match config.place {
            RegistryPlace::Fabric => (0, format!("registry-{}", config.port)),
            RegistryPlace::Host(i) => (i, format!("registry-h{i}-{}", config.port)),
        };
        let dir = self.dir().join(name);
        fs::create_dir_all(&dir)?;
        let mut yaml = format!(
            "version: 0.1\nlog: {{ level: warn }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n\
             \x20 delete: {{ enabled: true }}\nhttp: {{ addr: \"0.0.0.0:{}\" }}\n",
            dir.join("data").display(),
            config.port
        );
        if let Some((user, password)) = &config.auth {
            let hashed = run(Command::new("htpasswd").args(["-Bbn", user, password]))
                .context("htpasswd is of the package apache2-utils")?;
            let file = dir.join("htpasswd");
            fs::write(&file, hashed.stdout)?;
            let path = file.display();
            write!(yaml, "auth:\n  htpasswd: {{ realm: lab, path: {path} }}\n")?;
        }
        let file = dir.join("config.yml");
        fs::write(&file, yaml)?;
        let log = fs::File::create(dir.join("log"))?;
        let mut command = match config.place {
            RegistryPlace::Fabric => self.fabric_command("docker-registry"),
            RegistryPlace::Host(i) => self.command(i, "docker-registry")?,
        };
        let mut child = command
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let address = format!("{}:{}", self.ip(host), config.port);
        until(PATIENCE, format_args!("registry at {address}"), || {
            if let Some(status) = child.try_wait()? {
                let said = fs::read_to_string(dir.join("log")).unwrap_or_default();
                bail!("docker-registry: {status}; {said}");
            }
            Ok(self.dial(&address, Duration::from_millis(500)).ok())
        })?;
        // Reaps it when it is killed with its host or its lab.
        std::thread::spawn(move || child.wait());
        Ok(Registry { address })
    }
}
