//! The binary that is to be on every machine: by default this very program.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Of an ELF header: its magic, class, and where the machine stands (elf(5)).
const MAGIC: &[u8] = b"\x7fELF";
const MACHINE: usize = 18;

/// A file that cannot be it.
#[derive(Debug, thiserror::Error)]
pub enum BadProgram {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is none for Linux.
    #[error("{0} is no Linux program; give one with --binary FILE")]
    Foreign(PathBuf),
}

/// The binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file here.
    pub path: PathBuf,
    /// The version that is installed with it: this program's.
    pub version: String,
    /// SHA-256, in hexadecimal digits.
    pub sum: String,
    /// In bytes.
    pub size: u64,
    /// As `uname -m` says it.
    pub machine: String,
}

impl Program {
    /// Reads a file.
    pub fn read(path: &Path, version: &str) -> Result<Self, BadProgram> {
        let failed = |error| BadProgram::Read { path: path.to_owned(), error };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let (mut hash, mut head, mut size) = (Sha256::new(), Vec::new(), 0_u64);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            let part = buffer.get(..read).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            if head.len() < 64 {
                head.extend(part.iter().take(64));
            }
            hash.update(part);
            size += read as u64;
        }
        let machine = machine(&head).ok_or_else(|| BadProgram::Foreign(path.to_owned()))?;
        let sum = hex(&hash.finalize());
        let version = version.to_owned();
        Ok(Self { path: path.to_owned(), version, sum, size, machine })
    }

    /// Its size for people.
    pub fn megabytes(&self) -> u64 {
        self.size.div_ceil(1 << 20)
    }
}

/// SHA-256, in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn machine(head: &[u8]) -> Option<String> {
    if !head.starts_with(MAGIC) {
        return None;
    }
    let number = u16::from_le_bytes([*head.get(MACHINE)?, *head.get(MACHINE + 1)?]);
    Some(match number {
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv64".to_owned(),
        22 => "s390x".to_owned(),
        21 => "ppc64le".to_owned(),
        40 => "armv7l".to_owned(),
        other => format!("ELF machine {other}"),
    })
}

/// Whether one version is after another (semver.org); what is none is after nothing, and nothing after it.
pub fn is_after(version: &str, other: &str) -> bool {
    matches!((precedence(version), precedence(other)), (Some(one), Some(other)) if one > other)
}

/// A part of what stands behind the dash: numbers are before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

/// The numbers, whether it is a release, and of what is none, what stands behind the dash.
fn precedence(version: &str) -> Option<([u64; 3], bool, Vec<Part>)> {
    let version = version.split('+').next().unwrap_or_default();
    let (core, before) = match version.split_once('-') {
        Some((core, before)) => (core, Some(before)),
        None => (version, None),
    };
    let mut numbers = [0; 3];
    for (at, text) in core.split('.').enumerate() {
        *numbers.get_mut(at)? = text.parse().ok()?;
    }
    let part = |text: &str| text.parse().map_or_else(|_| Part::Word(text.to_owned()), Part::Number);
    let parts = before.into_iter().flat_map(|before| before.split('.')).map(part).collect();
    Some((numbers, before.is_none(), parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_header() {
        let own = Program::read(&std::env::current_exe().unwrap(), "1").unwrap();
        assert_eq!(own.machine, std::env::consts::ARCH);
        assert_eq!((own.sum.len(), own.version.as_str()), (64, "1"));
        assert!(own.size > 1000 && own.megabytes() > 0);
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        std::fs::write(&text, "#!/bin/sh").unwrap();
        assert!(Program::read(&text, "1").unwrap_err().to_string().contains("--binary"));
        assert!(Program::read(Path::new("/none"), "1").is_err());
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (newer, older) in [
            ("1.1.0", "1.0.9"),
            ("1.10.0", "1.9.0"),
            ("2.0.0", "1.9"),
            ("1.0.0", "1.0.0-rc.1"),
            ("1.0.1-rc.1", "1.0.0"),
            ("1.0.0-rc.10", "1.0.0-rc.9"),
            ("1.0.0-rc.1", "1.0.0-beta.2"),
        ] {
            assert!(is_after(newer, older) && !is_after(older, newer), "{newer} {older}");
        }
        for (one, other) in
            [("1.0.0", "1.0.0"), ("1.0.0+b", "1.0.0"), ("mine", "1.0.0"), ("1.0", "1.0.0")]
        {
            assert!(!is_after(one, other) && !is_after(other, one), "{one} {other}");
        }
    }
}
