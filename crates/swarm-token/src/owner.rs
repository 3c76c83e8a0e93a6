//! The owner's key: who has it sees all tokens, removes them and sets their engines.
//!
//! It is made at the first start and kept in the data directory, for its owner alone to read, or
//! read from a file that the owner names. Invariant: it is compared in constant time, wiped from
//! memory after use, and never shown or logged.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// The key's file in the data directory.
pub const KEY_FILE: &str = "owner.key";
/// Characters: below this a key could be guessed.
const SHORTEST: usize = 16;
/// Bytes that are read of a key's file.
const LONGEST: u64 = 4_096;

/// The key.
#[derive(Clone)]
pub struct OwnerKey(Zeroizing<String>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum OwnerKeyError {
    /// It can be neither read nor made.
    #[error("owner key {path}: {source}", path = path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could be guessed, or is none.
    #[error(
        "owner key {path}: expected one line of {SHORTEST} characters or more, none of them a blank",
        path = path.display()
    )]
    Unfit {
        /// Where.
        path: PathBuf,
    },
}

impl OwnerKey {
    /// Reads the key in `path`.
    pub fn read(path: &Path) -> Result<Self, OwnerKeyError> {
        let failed = |source| OwnerKeyError::File { path: path.to_owned(), source };
        let mut text = Zeroizing::new(String::new());
        File::open(path)
            .map_err(failed)?
            .take(LONGEST)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let key = text.trim();
        if key.len() < SHORTEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(OwnerKeyError::Unfit { path: path.to_owned() });
        }
        Ok(Self(Zeroizing::new(key.to_owned())))
    }

    /// Reads the key of a data directory, or makes it. A key that is half written, because the
    /// machine stopped just then, has another name and is written over.
    pub fn of_directory(directory: &Path) -> Result<Self, OwnerKeyError> {
        let path = directory.join(KEY_FILE);
        if !path.exists() {
            make(&path).map_err(|source| OwnerKeyError::File { path: path.clone(), source })?;
        }
        Self::read(&path)
    }

    /// Whether `given` is the key.
    pub fn is(&self, given: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), given.as_bytes()).is_ok()
    }

    /// The key itself, for whoever must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn make(path: &Path) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let (high, low): (u128, u128) = rand::random();
    let digits = Zeroizing::new(format!("{high:032x}{low:032x}"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(digits.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}

impl fmt::Debug for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = OwnerKey::of_directory(folder.path()).unwrap();
        let again = OwnerKey::of_directory(folder.path()).unwrap();
        assert!(first.is(again.reveal()) && first.reveal().len() == 64);
        assert!(!first.is("") && !first.is(&first.reveal()[1..]) && !first.is(&"0".repeat(64)));
        let mode = std::fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(first.reveal()));
    }

    #[test]
    fn a_key_that_is_none_is_refused_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in [
            "",
            "short",
            "two words that are long enough",
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = OwnerKey::read(&path).unwrap_err().to_string();
            assert!(error.contains("/key: expected one line"), "{error}");
        }
        std::fs::write(&path, "a-passphrase-of-mine\n").unwrap();
        assert!(OwnerKey::read(&path).unwrap().is("a-passphrase-of-mine"));
        let error = OwnerKey::read(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("/none: No such file"), "{error}");
    }
}
