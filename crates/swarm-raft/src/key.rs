//! The file of the store's key: the key itself, or, on a manager that is locked, the key sealed under
//! one or two lock keys, each of which opens it.
//!
//! Two, because the lock is not this file's alone: whoever changes it has another file under it, and
//! two files cannot be replaced at once. Between the two changes this one opens with either key.
//!
//! Invariant: the file is replaced as a whole (written beside its place, synced, renamed, the folder
//! synced), so that a loss of power leaves the one before or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::seal::Seal;

/// The key's length in bytes.
const KEY: usize = 32;
/// With what a sealed file begins; a plain one is the key alone, which is shorter.
const SEALED: &[u8] = b"swarm sealed store key 1\n";
/// What a sealed key is sealed with: nothing else opens in its place.
const PLACE: &[u8] = b"store key";
/// How long one sealed copy is: format, nonce, key, tag.
const COPY: usize = 1 + 12 + KEY + 16;

/// The key that locks a store's key: made of an unlock key, and of nothing else's use.
#[derive(Clone)]
pub struct StoreLock(Zeroizing<[u8; KEY]>);

impl StoreLock {
    /// Of these bytes.
    pub fn new(bytes: Zeroizing<[u8; KEY]>) -> Self {
        Self(bytes)
    }

    fn seal(&self) -> io::Result<Seal> {
        Seal::new(&*self.0)
    }
}

impl std::fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreLock")
    }
}

/// The store's key, and where it is kept.
pub(crate) struct StoreKey {
    path: PathBuf,
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey")
    }
}

impl StoreKey {
    /// Reads the key from `path`.
    pub fn load(path: &Path, lock: Option<&StoreLock>) -> io::Result<Self> {
        let found = Zeroizing::new(fs::read(path)?);
        let key = match found.strip_prefix(SEALED) {
            None => found,
            Some(copies) => Zeroizing::new(opened(copies, lock)?),
        };
        let this = Self { path: path.to_owned(), key };
        this.seal()?;
        Ok(this)
    }

    /// Makes a key and keeps it at `path`, where there must be none; it is on disk when this returns.
    pub fn create(path: &Path, lock: Option<&StoreLock>) -> io::Result<Self> {
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut key = Zeroizing::new(vec![0; KEY]);
        aws_lc_rs::rand::fill(&mut key).map_err(|_| io::Error::other("no randomness"))?;
        let this = Self { path: path.to_owned(), key };
        this.write(lock.map(std::slice::from_ref).unwrap_or_default())?;
        Ok(this)
    }

    /// What seals under it.
    pub fn seal(&self) -> io::Result<Seal> {
        Seal::new(&self.key)
    }

    /// Keeps the key under each of these, or plain under none; where it is kept so already, nothing
    /// is written.
    pub fn keep(&self, under: &[StoreLock]) -> io::Result<()> {
        let found = Zeroizing::new(fs::read(&self.path)?);
        let is_so = match found.strip_prefix(SEALED) {
            None => under.is_empty(),
            Some(copies) => {
                let opens = |lock| opened(copies, Some(lock)).is_ok_and(|key| key == *self.key);
                copies.len() == under.len() * COPY && under.iter().all(opens)
            }
        };
        if is_so { Ok(()) } else { self.write(under) }
    }

    fn write(&self, under: &[StoreLock]) -> io::Result<()> {
        let content = if under.is_empty() {
            self.key.clone()
        } else {
            let mut sealed = Zeroizing::new(SEALED.to_vec());
            for lock in under {
                sealed.extend(lock.seal()?.seal(PLACE, &self.key)?);
            }
            sealed
        };
        // Always the same name: what a crash leaves is replaced, and no key lies about.
        let beside = self.path.with_extension("key.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(&content)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn opened(copies: &[u8], lock: Option<&StoreLock>) -> io::Result<Vec<u8>> {
    let wrong = |words: &str| io::Error::new(io::ErrorKind::PermissionDenied, words.to_owned());
    let lock = lock.ok_or_else(|| wrong("it is locked, and no unlock key was given"))?;
    let seal = lock.seal()?;
    let mut copies = copies.chunks_exact(COPY);
    let key = copies.find_map(|copy| seal.open(PLACE, copy).ok());
    key.ok_or_else(|| wrong("the unlock key is not the one that locks it, or it is damaged"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn lock(byte: u8) -> StoreLock {
        StoreLock::new(Zeroizing::new([byte; KEY]))
    }

    #[test]
    fn a_key_is_made_once_and_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        let made = StoreKey::create(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(StoreKey::create(&path, None).is_err(), "a key is never overwritten");
        assert_eq!(StoreKey::load(&path, None).unwrap().key, made.key);
        assert_eq!(StoreKey::load(&path, Some(&lock(1))).unwrap().key, made.key, "a plain one");
        fs::write(&path, "short").unwrap();
        assert!(StoreKey::load(&path, None).is_err());
    }

    #[test]
    fn a_locked_key_opens_with_each_of_its_locks_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        let made = StoreKey::create(&path, Some(&lock(1))).unwrap();
        let opens = |by: Option<u8>| {
            let found = StoreKey::load(&path, by.map(lock).as_ref());
            found.map(|found| assert_eq!(found.key, made.key)).is_ok()
        };
        assert_eq!([None, Some(1), Some(2)].map(opens), [false, true, false]);
        assert!(!fs::read(&path).unwrap().windows(KEY).any(|part| part == made.key.as_slice()));
        made.keep(&[lock(1), lock(2)]).unwrap();
        assert_eq!([None, Some(1), Some(2), Some(3)].map(opens), [false, true, true, false]);
        made.keep(&[lock(2)]).unwrap();
        assert_eq!([None, Some(1), Some(2)].map(opens), [false, false, true]);
        let before = fs::read(&path).unwrap();
        made.keep(&[lock(2)]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before, "nothing is written for nothing");
        made.keep(&[]).unwrap();
        assert!(opens(None));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
