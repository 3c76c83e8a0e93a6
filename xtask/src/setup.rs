//! `cargo xtask setup`: installs by name what is missing on a Debian machine.
//!
//! The base is what a lab needs; the rest is for the tests. Nothing that is there already is
//! touched; the newer engine (`sid`), Consul (`bullseye`), Prometheus's checker (`prometheus`) and
//! OpenSSH's server (`openssh`) are unpacked below `target/`, never installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::run;

use crate::progress::step;
use crate::{bullseye, openssh, prometheus, sid};

/// A program and the packages that may bring it, the first one known to apt is taken.
type Need = (&'static str, &'static [&'static str]);

/// What a lab cannot do without. Debian 12's docker.io holds the client, later ones' does not.
const BASE: [Need; 7] = [
    ("/usr/sbin/dockerd", &["docker.io"]),
    ("docker", &["docker-cli", "docker.io"]),
    ("ip", &["iproute2"]),
    ("nft", &["nftables"]),
    ("iptables", &["iptables"]),
    ("tini", &["tini"]),
    ("/bin/busybox", &["busybox-static"]),
];

/// What only tests use.
const TESTS: [Need; 10] = [
    ("docker-registry", &["docker-registry"]),
    ("docker-compose", &["docker-compose"]),
    ("htpasswd", &["apache2-utils"]),
    ("curl", &["curl"]),
    ("nginx", &["nginx"]),
    ("haproxy", &["haproxy"]),
    ("ssh", &["openssh-client"]),
    ("faketime", &["faketime"]),
    ("sudo", &["sudo"]),
    ("/usr/lib/systemd/systemd", &["systemd"]),
];

/// What the tests of the page use; a font, so that there is text on its pictures.
const BROWSER: [Need; 3] = [
    ("chromium", &["chromium"]),
    ("chromedriver", &["chromium-driver"]),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", &["fonts-dejavu-core"]),
];

/// What the tests of the stores use, beside Consul, and those of the authority: they run with the unit tests.
const STORES: [Need; 7] = [
    ("cfssl", &["golang-cfssl"]),
    ("etcd", &["etcd-server"]),
    ("etcdctl", &["etcd-client"]),
    ("openssl", &["openssl"]),
    ("java", &["default-jre-headless"]),
    ("/usr/share/java/zookeeper.jar", &["libzookeeper-java"]),
    ("/usr/share/java/slf4j-simple.jar", &["libslf4j-java"]),
];

/// Everything that a lab and the tests need.
pub fn everything() -> Result<()> {
    base()?;
    install(&TESTS)?;
    browser()?;
    sid::fetch()?;
    prometheus::fetch()?;
    openssh::fetch()?;
    stores()
}

/// The servers that the tests of stores and of the authority run.
pub fn stores() -> Result<()> {
    install(&STORES)?;
    bullseye::fetch()
}

/// The browser that looks at the page.
pub fn browser() -> Result<()> {
    install(&BROWSER)
}

/// What a lab needs.
pub fn base() -> Result<()> {
    install(&BASE)
}

fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<_> = needs.iter().filter(|(program, _)| !present(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    if !root()? {
        bail!("missing: {}; run `cargo xtask setup` as root", programs.join(", "));
    }
    if !present("apt-get") {
        bail!("missing: {}; this machine has no apt-get to install them", programs.join(", "));
    }
    step("apt-get update", || run(&mut apt(&["update", "--quiet"])))?;
    let mut packages = Vec::new();
    for (program, names) in missing {
        let known = names.iter().find(|name| known(name));
        packages.push(*known.with_context(|| format!("no package known to apt has {program}"))?);
    }
    packages.sort_unstable();
    packages.dedup();
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(&packages);
    step(&format!("apt-get install {}", packages.join(" ")), || run(&mut apt(&arguments)))?;
    for program in programs {
        if !present(program) {
            bail!("{program} is still missing after its package was installed");
        }
    }
    Ok(())
}

/// `apt-get` that asks no questions.
pub fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn known(package: &str) -> bool {
    // Names that only other packages mention have no version of their own.
    let output = Command::new("apt-cache").args(["policy", package]).output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("Candidate:") && !text.contains("Candidate: (none)")
    })
}

/// Is a program there: by its path, or by its name in PATH or a system folder?
pub fn present(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    program.starts_with('/') && Path::new(program).exists()
        || path
            .split(':')
            .chain(["/usr/sbin", "/sbin"])
            .any(|folder| !program.starts_with('/') && Path::new(folder).join(program).is_file())
}

fn root() -> Result<bool> {
    let output = run(Command::new("id").arg("-u"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(present("sh") && present("/bin/sh"));
        assert!(!present("no-such-program") && !present("/bin/no-such-program"));
    }
}
