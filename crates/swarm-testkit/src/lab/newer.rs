//! The newer engine and clients beside the machine's own, for pools of mixed versions.
//!
//! `cargo xtask setup` unpacks Debian sid's packages below `target/`, installing nothing. Their
//! binaries run on Debian 12; only runc stays the machine's own. This file knows where they are.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::config::HostConfig;

/// The unpacked packages.
#[derive(Debug, Clone)]
pub struct Newer {
    root: PathBuf,
}

impl Newer {
    /// Where they belong: `SWARM_NEWER`, or `target/engines/sid` of this workspace.
    pub fn root() -> PathBuf {
        std::env::var_os("SWARM_NEWER").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/engines/sid"),
            PathBuf::from,
        )
    }

    /// The packages, if all of them are there.
    pub fn find() -> Result<Self> {
        let newer = Self { root: Self::root() };
        for file in [newer.dockerd(), newer.containerd(), newer.docker(), newer.compose()] {
            if !file.exists() {
                bail!("no {}; `cargo xtask setup` fetches it", file.display());
            }
        }
        Ok(Self { root: newer.root.canonicalize()? })
    }

    pub fn dockerd(&self) -> PathBuf {
        self.root.join("usr/sbin/dockerd")
    }

    pub fn containerd(&self) -> PathBuf {
        self.root.join("usr/bin/containerd")
    }

    /// The `docker` client.
    pub fn docker(&self) -> PathBuf {
        self.root.join("usr/bin/docker")
    }

    /// Compose v2, as a program of its own.
    pub fn compose(&self) -> PathBuf {
        self.plugins().join("docker-compose")
    }

    /// The folder of the client's plugins: compose, buildx.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("usr/libexec/docker/cli-plugins")
    }

    /// Puts the newer engine into a host's configuration.
    pub fn engine(&self, host: &mut HostConfig) {
        host.dockerd = self.dockerd();
        host.containerd = self.containerd();
    }
}
