//! Packages of a Debian suite, mostly another one than the machine's, unpacked below `target/` and
//! never installed.
//!
//! apt runs with sources, lists and cache of its own, so that the machine's package system never
//! hears of the suite; apt checks the archive's signature, `dpkg -x` only unpacks. Which packages,
//! and whether they are there already, is the callers' (`sid`, `bullseye`, `prometheus`). Invariant: the folder
//! appears whole or not at all.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use swarm_testkit::lab::run;

use crate::progress::step;
use crate::setup::apt;

/// One exact package.
#[derive(Debug, Clone, Copy)]
pub struct Pin {
    /// The version, whole.
    pub version: &'static str,
    /// Debian's name of an architecture, and the SHA-256 of its package, in hexadecimal digits.
    pub hashes: &'static [(&'static str, &'static str)],
}

/// A package, and which one it must be; without a pin, the suite's newest is taken.
pub type Package = (&'static str, Option<Pin>);

/// What to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Suite<'a> {
    /// Debian's name of the suite.
    pub name: &'a str,
    /// What of it.
    pub packages: &'a [Package],
    /// The folder to unpack it to; its parent is used for the work.
    pub root: &'a Path,
}

impl Suite<'_> {
    /// Fetches and unpacks the packages; what stands in the folder is replaced.
    pub fn fetch(&self) -> Result<()> {
        let architecture = architecture()?;
        let wanted = self.wanted(&architecture)?;
        let parent = self.root.parent().context("the folder to unpack to has no parent")?;
        let work = parent.join(format!("apt-{}", self.name));
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        for folder in ["lists/partial", "cache/archives/partial", "debs", "root"] {
            fs::create_dir_all(work.join(folder))?;
        }
        let work = work.canonicalize()?;
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let source = format!("deb [signed-by={keys}] {} {} main\n", archive()?, self.name);
        fs::write(work.join("sources.list"), source)?;
        step(&format!("look up the packages of Debian {}", self.name), || {
            run(apt(&[]).args(options(&work)).arg("update"))
        })?;
        step(&format!("download {} of Debian {}", wanted.join(" "), self.name), || {
            let mut download = apt(&[]);
            download.args(options(&work)).arg("download").args(&wanted);
            run(download.current_dir(work.join("debs")))
        })?;
        step("check and unpack them below target/", || {
            for entry in fs::read_dir(work.join("debs"))? {
                let deb = entry?.path();
                self.check(&deb, &architecture)?;
                run(Command::new("dpkg").arg("-x").arg(deb).arg(work.join("root")))?;
            }
            if self.root.exists() {
                fs::remove_dir_all(self.root)?;
            }
            fs::rename(work.join("root"), self.root)?;
            Ok(fs::remove_dir_all(&work)?)
        })
    }

    /// The packages as apt is asked for them.
    fn wanted(&self, architecture: &str) -> Result<Vec<String>> {
        let package = |(name, pin): &Package| match pin {
            None => Ok((*name).to_owned()),
            Some(pin) => {
                pin.hash(name, architecture)?;
                Ok(format!("{name}={}", pin.version))
            }
        };
        self.packages.iter().map(package).collect()
    }

    /// Compares a downloaded package with its pin, if it has one.
    fn check(&self, deb: &Path, architecture: &str) -> Result<()> {
        let file = deb.file_name().unwrap_or_default().to_string_lossy();
        let is_it = |name: &str| file.split('_').next() == Some(name);
        let Some((name, Some(pin))) = self.packages.iter().find(|(name, _)| is_it(name)) else {
            return Ok(());
        };
        let found = hex(&Sha256::digest(fs::read(deb)?));
        let expected = pin.hash(name, architecture)?;
        if found != expected {
            bail!("{file} has the SHA-256 {found}, expected was {expected}; it is not unpacked");
        }
        Ok(())
    }
}

impl Pin {
    fn hash(&self, name: &str, architecture: &str) -> Result<&'static str> {
        let hash = self.hashes.iter().find(|(known, _)| *known == architecture);
        hash.map(|(_, hash)| *hash).with_context(|| {
            let known: Vec<_> = self.hashes.iter().map(|(known, _)| *known).collect();
            format!("no hash is known of {name} for {architecture}, only for {}", known.join(", "))
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Debian's name of this machine's architecture.
fn architecture() -> Result<String> {
    let output = run(Command::new("dpkg").arg("--print-architecture"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The machine's own suite, by its code name.
pub fn codename() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release names no VERSION_CODENAME")?;
    Ok(codename.trim_matches('"').to_owned())
}

/// The archive that the machine's own packages come from: the one of its release's main suite.
fn archive() -> Result<String> {
    let codename = codename()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_pinned_is_asked_for_by_version_and_checked_by_hash() {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin { version: "1-2+b3", hashes: &[("amd64", EMPTY)] };
        let packages = [("tool", Some(pin)), ("other", None)];
        let suite = Suite { name: "any", packages: &packages, root: folder.path() };
        assert_eq!(suite.wanted("amd64").unwrap(), ["tool=1-2+b3", "other"]);
        let error = suite.wanted("riscv64").unwrap_err().to_string();
        assert_eq!(error, "no hash is known of tool for riscv64, only for amd64");
        for (file, content, fits) in [
            ("tool_1-2+b3_amd64.deb", "", true),
            ("tool_1-2+b3_amd64.deb", "x", false),
            ("other_7_amd64.deb", "x", true),
        ] {
            let deb = folder.path().join(file);
            fs::write(&deb, content).unwrap();
            assert_eq!(suite.check(&deb, "amd64").is_ok(), fits, "{file} {content:?}");
        }
    }
}
