//! The newer engine and clients, from Debian's suite sid, unpacked below `target/`.
//!
//! apt runs with sources, lists and cache of its own, so that the machine's package system never
//! hears of sid; `dpkg -x` only unpacks. Invariant: the folder appears whole or not at all.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use swarm_testkit::lab::{Newer, run};

use crate::progress::step;
use crate::setup::apt;

/// An engine with its containerd; a client with Compose v2 and BuildKit.
const PACKAGES: [&str; 5] =
    ["docker.io", "containerd", "docker-cli", "docker-compose", "docker-buildx"];

/// The archive that the machine's own packages come from: the one of its release's main suite.
fn archive() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release names no VERSION_CODENAME")?.trim_matches('"');
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Identifier: Packages"]);
    let output = targets.output().context("asking apt for its sources")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = text.lines().find_map(|line| {
        let (release, archive) = line.split_once(' ')?;
        (release == codename).then(|| archive.to_owned())
    });
    own.with_context(|| format!("apt has no source for Debian {codename}"))
}

/// Fetches the packages unless they are there.
pub fn fetch() -> Result<()> {
    if Newer::find().is_ok() {
        return Ok(());
    }
    let root = Newer::root();
    let parent = root.parent().context("no folder for the newer engine")?;
    let work = parent.join("apt");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    for folder in ["lists/partial", "cache/archives/partial", "debs", "root"] {
        fs::create_dir_all(work.join(folder))?;
    }
    let work = work.canonicalize()?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keys}] {} sid main\n", archive()?);
    fs::write(work.join("sources.list"), source)?;
    step("look up the newer Docker Engine in Debian sid", || {
        run(apt(&[]).args(options(&work)).arg("update"))
    })?;
    step(&format!("download {} of Debian sid", PACKAGES.join(" ")), || {
        let mut download = apt(&[]);
        download.args(options(&work)).arg("download").args(PACKAGES);
        run(download.current_dir(work.join("debs")))
    })?;
    step("unpack them below target/", || {
        for entry in fs::read_dir(work.join("debs"))? {
            let mut unpack = Command::new("dpkg");
            run(unpack.arg("-x").arg(entry?.path()).arg(work.join("root")))?;
        }
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::rename(work.join("root"), &root)?;
        Ok(fs::remove_dir_all(&work)?)
    })?;
    Newer::find().map(drop)
}

fn options(work: &Path) -> Vec<String> {
    let at = work.display();
    [
        format!("Dir::Etc::sourcelist={at}/sources.list"),
        "Dir::Etc::sourceparts=/dev/null".into(),
        "Dir::Etc::preferencesparts=/dev/null".into(),
        format!("Dir::State::lists={at}/lists"),
        format!("Dir::Cache={at}/cache"),
        "Acquire::Languages=none".into(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
        // The folders are root's own: apt's sandbox user could not write there.
        "APT::Sandbox::User=root".into(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".into(), option])
    .collect()
}
