//! The one static binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::run as checked;

use super::Release;
use crate::cargo::{cargo, metadata, root, show};

/// How large it is at most.
const LARGEST: u64 = 25_000_000;
/// A program header that names the dynamic linker.
const INTERPRETER: u32 = 3;

/// Builds it, and says where it is.
pub fn build(release: &Release) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags = vec!["-C target-feature=+crt-static".to_owned()];
    // Where it was built is nobody's business, and differs from machine to machine.
    flags.push(format!("--remap-path-prefix={}=/swarm", root().display()));
    if let Ok(home) = home {
        flags.push(format!("--remap-path-prefix={home}=/cargo"));
    }
    // Relocations as bits instead of 24 bytes each, which saves 1 MB, and functions of one code once.
    flags.push("-C link-arg=-Wl,-z,pack-relative-relocs".to_owned());
    if std::env::consts::ARCH == "x86_64" {
        // There Rust links by its own lld; other linkers do not know this.
        flags.push("-C link-arg=-Wl,--icf=all".to_owned());
    }
    let mut command = cargo(&["build", "--release", "--locked", "--package", "swarm"]);
    command.args(["--target", &target]).env("RUSTFLAGS", flags.join(" "));
    command.env("CARGO_PROFILE_RELEASE_STRIP", "symbols").env("CARGO_INCREMENTAL", "0");
    command.env("SOURCE_DATE_EPOCH", &release.time);
    show(command)?;
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("no target directory")?;
    let binary = PathBuf::from(folder).join(target).join("release/swarm");
    let size = fs::metadata(&binary).with_context(|| binary.display().to_string())?.len();
    if size > LARGEST {
        bail!("the binary has {size} bytes, and {LARGEST} are promised: see [profile.release]");
    }
    Ok(binary)
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
}
