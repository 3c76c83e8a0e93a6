//! The one static binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::run as checked;

use super::Release;
use crate::cargo::{cargo, metadata, root, show};

/// How large it is at most.
const LARGEST: usize = 25_000_000;
/// A program header that names the dynamic linker.
const INTERPRETER: u32 = 3;

/// A folder whose name differs from machine to machine: what it is called instead, and what of it the compiler
/// would name.
struct Place<'a> {
    folder: &'a Path,
    called: &'static str,
    below: &'static str,
}

/// The workspace, cargo's home, and the target folder, wherever that is, with what build scripts generate in it. Of
/// several that fit the compiler takes the last one, and the target folder is mostly in the workspace.
fn places<'a>(root: &'a Path, home: Option<&'a Path>, target: &'a Path) -> Vec<Place<'a>> {
    let place = |folder, called, below| Place { folder, called, below };
    let home = home.map(|home| place(home, "/cargo", "registry/"));
    let (root, target) = (place(root, "/swarm", "crates/"), place(target, "/target", ""));
    [Some(root), home, Some(target)].into_iter().flatten().collect()
}

/// What the compiler is told.
fn flags(places: &[Place<'_>], architecture: &str) -> Vec<String> {
    let mut flags = vec!["-C target-feature=+crt-static".to_owned()];
    // Where it was built is nobody's business, and would make other bytes of it.
    flags.extend(
        places.iter().map(|place| {
            format!("--remap-path-prefix={}={}", place.folder.display(), place.called)
        }),
    );
    // Relocations as bits instead of 24 bytes each, which saves 1 MB, and functions of one code once.
    flags.push("-C link-arg=-Wl,-z,pack-relative-relocs".to_owned());
    if architecture == "x86_64" {
        // There Rust links by its own lld; other linkers do not know this.
        flags.push("-C link-arg=-Wl,--icf=all".to_owned());
    }
    flags
}

/// Builds it, and says where it is.
pub fn build(release: &Release) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("no target directory")?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let root = root();
    let places = places(&root, home.as_deref(), Path::new(folder));
    let mut command = cargo(&["build", "--release", "--locked", "--package", "swarm"]);
    let flags = flags(&places, std::env::consts::ARCH).join(" ");
    command.args(["--target", &target]).env("RUSTFLAGS", flags);
    command.env("CARGO_PROFILE_RELEASE_STRIP", "symbols").env("CARGO_INCREMENTAL", "0");
    command.env("SOURCE_DATE_EPOCH", &release.time).env("SWARM_COMMIT", &release.commit);
    show(command)?;
    let binary = PathBuf::from(folder).join(&target).join("release/swarm");
    let bytes = fs::read(&binary).with_context(|| binary.display().to_string())?;
    if bytes.len() > LARGEST {
        let size = bytes.len();
        bail!("the binary has {size} bytes, and {LARGEST} are promised: see [profile.release]");
    }
    if !has(&bytes, &release.commit) {
        bail!("the binary does not know that it was built from commit {}", release.commit);
    }
    if let Some(place) = places.iter().find(|place| place.is_named(&bytes)) {
        let folder = place.folder.display();
        bail!("the binary names {folder}: built elsewhere it would have other bytes");
    }
    Ok(binary)
}

impl Place<'_> {
    fn is_named(&self, binary: &[u8]) -> bool {
        let name = format!("{}/{}", self.folder.display(), self.below);
        self.folder != Path::new(self.called) && has(binary, &name)
    }
}

fn has(binary: &[u8], word: &str) -> bool {
    binary.windows(word.len()).any(|part| part == word.as_bytes())
}

/// Whether it is what is promised: static, and of this version.
pub fn check(release: &Release, binary: &Path) -> Result<()> {
    let bytes = fs::read(binary).with_context(|| format!("reading {}", binary.display()))?;
    if needs_linker(&bytes)? {
        bail!("{} is not static: it asks for a dynamic linker", binary.display());
    }
    let version = checked(Command::new(binary).arg("--version"))?;
    let version = String::from_utf8_lossy(&version.stdout);
    if !version.contains(&release.version) {
        bail!("the binary says {:?}, not version {}", version.trim(), release.version);
    }
    Ok(())
}

/// Whether an ELF file of 64 bits names a dynamic linker (System V ABI, program header).
fn needs_linker(elf: &[u8]) -> Result<bool> {
    let short = || anyhow::anyhow!("the binary is no whole ELF file");
    if elf.get(..5) != Some(b"\x7fELF\x02") {
        bail!("the binary is no ELF file of 64 bits");
    }
    let number = |at: usize, bytes: usize| -> Result<usize> {
        let bytes = elf.get(at..at + bytes).ok_or_else(short)?;
        let little = bytes.iter().rev().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        Ok(usize::try_from(little)?)
    };
    let (table, each, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for header in 0..count {
        if number(table + header * each, 4)? == INTERPRETER as usize {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of one program header of this kind.
    fn elf(kind: u8) -> Vec<u8> {
        let mut elf = vec![0; 0x40 + 0x38];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        (elf[0x20], elf[0x36], elf[0x38]) = (0x40, 0x38, 1);
        elf[0x40] = kind;
        elf
    }

    #[test]
    fn what_asks_for_a_linker_is_not_static() {
        assert!(needs_linker(&elf(3)).unwrap());
        assert!(!needs_linker(&elf(1)).unwrap());
        assert!(needs_linker(b"#!/bin/sh").is_err());
        assert!(needs_linker(&elf(3)[..0x40]).is_err(), "cut off");
        // This very test is a program as cargo makes them.
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needs_linker(&own).unwrap());
    }

    /// A package as ours are: code that a build script generates, and panics that tell where they are.
    fn package(folder: &Path) {
        let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest =
            "[package]\nname = \"small\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[workspace]\n";
        write("Cargo.toml", manifest);
        write(
            "build.rs",
            "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
             let text = \"pub fn made(n: usize) -> u8 { [1, 2, 3][n] }\";\n    \
             std::fs::write(format!(\"{out}/made.rs\"), text).unwrap();\n}\n",
        );
        write(
            "src/main.rs",
            "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\
             fn main() { println!(\"{}\", made(std::env::args().count())) }\n",
        );
    }

    /// Builds it with a release's flags, in a folder and with a target folder of these names.
    fn built(folder: &Path, target: &Path) -> Vec<u8> {
        package(folder);
        let mut command = cargo(&["build", "--release", "--offline"]);
        let places = places(folder, None, target);
        let flags = flags(&places, std::env::consts::ARCH);
        command.current_dir(folder).env("CARGO_TARGET_DIR", target);
        command.env("RUSTFLAGS", flags.join(" ")).env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        checked(&mut command).unwrap();
        let binary = fs::read(target.join("release/small")).unwrap();
        assert!(has(&binary, "/target/"), "its panic tells a place");
        assert!(!places.iter().any(|place| place.is_named(&binary)));
        binary
    }

    #[test]
    fn where_it_is_built_does_not_change_a_byte() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let one = built(&at("one"), &at("one/target"));
        let other = built(&at("another/place"), &at("elsewhere"));
        assert!(one == other, "{} and {} bytes that differ", one.len(), other.len());
    }
}
