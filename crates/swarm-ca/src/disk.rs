//! A node's identity on disk: `swarm-node.pem` (its key, then its chain) and `swarm-root-ca.pem`.
//!
//! Key and chain are one file, because two cannot be replaced at once: after a crash between them a
//! node would have a key without its certificate. Every file is written beside its place, synced,
//! renamed, and the folder synced; all are 0600 in a folder of 0700. With an unlock key (autolock)
//! the key is sealed under it; the chain is public.
//!
//! One process has the folder at a time. Calls block on the disk: callers in async code use `spawn_blocking`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use swarm_model::Secret;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::identity::{Identity, IdentityError};
use crate::pem;
use crate::request::{KEY, NodeKey, RequestError};
use crate::roots::{Roots, RootsError};
use crate::unlock::{UnlockError, UnlockKey};

/// The file of key and chain.
const NODE: &str = "swarm-node.pem";
/// The file of trusted roots.
const ROOTS: &str = "swarm-root-ca.pem";
/// The label of a sealed key.
const SEALED: &str = "SWARM SEALED PRIVATE KEY";

/// Why something was not kept or read. Never holds what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk refuses.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is damaged, or somebody's own.
    #[error("{path} cannot be used: {reason}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// The key is sealed, and there is no key to open it.
    #[error(
        "Swarm is encrypted and needs to be unlocked before it can be used. Please use \"docker swarm unlock\" to unlock it."
    )]
    Locked,
    /// The unlock key does not open it.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// A chain that is not the key's.
    #[error("the certificate is not of this node's key")]
    Mismatch,
    /// A chain that names no node.
    #[error("the certificate names no node: {0}")]
    Identity(#[from] IdentityError),
    /// A key that cannot be used.
    #[error(transparent)]
    Key(#[from] RequestError),
    /// A chain that cannot be read.
    #[error("the certificate chain cannot be read: {0}")]
    Chain(String),
}

/// A node's key with its certificate, checked to belong together.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The key.
    pub key: NodeKey,
    /// The certificate, then what is between it and a root.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whom the certificate names.
    pub identity: Identity,
}

impl Stored {
    /// Key and chain in one text, as they are on a disk that is not locked.
    pub fn to_pem(&self) -> Secret {
        Secret::new(pem::write(KEY, self.key.der()) + &pem::write_certificates(&self.chain))
    }

    /// Reads that again.
    pub fn from_pem(text: &str) -> Result<Self, DiskError> {
        Self::read(text, None)
    }

    fn read(text: &str, lock: Option<&UnlockKey>) -> Result<Self, DiskError> {
        let mut sections = pem::read(text).map_err(DiskError::Chain)?.into_iter();
        let key = match sections.next() {
            Some((label, key)) if label == KEY => key,
            Some((label, sealed)) if label == SEALED => {
                lock.ok_or(DiskError::Locked)?.open(&sealed)?
            }
            _ => return Err(DiskError::Chain("it does not begin with a key".to_owned())),
        };
        let chain: String = sections.map(|(label, content)| pem::write(&label, &content)).collect();
        Self::new(NodeKey::from_der(key)?, &chain)
    }

    /// Puts a key and the chain that was issued for it together.
    pub fn new(key: NodeKey, chain: &str) -> Result<Self, DiskError> {
        let chain = pem::read_certificates(chain).map_err(DiskError::Chain)?;
        let own = chain.first().ok_or_else(|| DiskError::Chain("it is empty".to_owned()))?;
        let identity = Identity::of(own)?;
        let (_, read) = X509Certificate::from_der(own).map_err(|_| IdentityError::Unreadable)?;
        if read.public_key().raw != key.public()? {
            return Err(DiskError::Mismatch);
        }
        Ok(Self { key, chain, identity })
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Disk(PathBuf);

impl Disk {
    /// Makes the folder where it is not there.
    pub fn open(folder: &Path) -> Result<Self, DiskError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| DiskError::Io { path: folder.to_owned(), source })?;
        Ok(Self(folder.to_owned()))
    }

    /// Whom the certificate that is kept names, also where its key is locked; nothing where none is kept.
    pub fn identity(&self) -> Result<Option<Identity>, DiskError> {
        let Some(text) = self.read(NODE)? else { return Ok(None) };
        let sections = pem::read(&text).map_err(DiskError::Chain)?.into_iter().skip(1);
        let chain: String = sections.map(|(label, content)| pem::write(&label, &content)).collect();
        let chain = pem::read_certificates(&chain).map_err(DiskError::Chain)?;
        let own = chain.first().ok_or_else(|| DiskError::Chain("it is empty".to_owned()))?;
        Ok(Some(Identity::of(own)?))
    }

    /// Keeps the identity; with `lock`, its key is sealed.
    pub fn save(&self, stored: &Stored, lock: Option<&UnlockKey>) -> Result<(), DiskError> {
        let key = Zeroizing::new(match lock {
            Some(lock) => pem::write(SEALED, &lock.seal(stored.key.der())?),
            None => pem::write(KEY, stored.key.der()),
        });
        let chain = pem::write_certificates(&stored.chain);
        self.write(NODE, &[&key, &chain])
    }

    /// Reads the identity; `None` if the node has none yet.
    pub fn load(&self, lock: Option<&UnlockKey>) -> Result<Option<Stored>, DiskError> {
        let Some(text) = self.read(NODE)? else { return Ok(None) };
        match Stored::read(&text, lock) {
            Ok(stored) => Ok(Some(stored)),
            Err(error @ (DiskError::Locked | DiskError::Unlock(_))) => Err(error),
            Err(error) => {
                let reason = error.to_string();
                Err(DiskError::Damaged { path: self.0.join(NODE), reason })
            }
        }
    }

    /// Keeps the trusted roots. Before the identity that hangs on them, so that what is on disk
    /// always fits together.
    pub fn save_roots(&self, roots: &Roots) -> Result<(), DiskError> {
        self.write(ROOTS, &[&roots.to_pem()])
    }

    /// Reads the trusted roots; `None` if there are none yet.
    pub fn load_roots(&self) -> Result<Option<Roots>, DiskError> {
        let Some(text) = self.read(ROOTS)? else { return Ok(None) };
        let damaged = |error: RootsError| DiskError::Damaged {
            path: self.0.join(ROOTS),
            reason: error.to_string(),
        };
        Roots::kept(&text).map(Some).map_err(damaged)
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<String>>, DiskError> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DiskError::Io { path, source }),
        }
    }

    fn write(&self, name: &str, parts: &[&str]) -> Result<(), DiskError> {
        let path = self.0.join(name);
        // Always the same name: what a crash leaves is replaced, and no key lies about.
        let beside = self.0.join(format!(".{name}.new"));
        let replace = || {
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
            parts.iter().try_for_each(|part| file.write_all(part.as_bytes()))?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.0)?.sync_all()
        };
        replace().map_err(|source| DiskError::Io { path: path.clone(), source })
    }
}
