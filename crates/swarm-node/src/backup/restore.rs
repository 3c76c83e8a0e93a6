//! A manager's folder made of a backup. The daemon that starts on it goes on alone, as after
//! `--force-new-cluster`: with the swarm's authority, services and nodes; the other managers are given
//! up, and workers that know its address come back by themselves.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use swarm_ca::{Disk, DiskError};
use swarm_kv::StoreError;
use swarm_model::Secret;

use super::envelope::{EnvelopeError, Header, Opener};
use super::manifest::Manifest;
use crate::kept::{Kept, KeptError};
use crate::locked::store_lock;
use crate::manager::STORE;
use crate::node::CERTIFICATES;

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup.
    #[error("{}: {error}", path.display())]
    Backup {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: EnvelopeError,
    },
    /// What is in it fits together no more than it opens.
    #[error("{}: what is in it cannot be used: {reason}", path.display())]
    Content {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something is there.
    #[error("{} is not empty: a swarm is restored into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder.
    #[error("{}: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The identity.
    #[error(transparent)]
    Identity(#[from] DiskError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the node remembers.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

/// What is restored where.
#[derive(Debug)]
pub struct Restoring {
    /// The backup.
    pub file: PathBuf,
    /// The folder that becomes a manager's.
    pub folder: PathBuf,
    /// Where the manager listens, if that is to be another place than before.
    pub listen: Option<SocketAddr>,
    /// Where others reach it, likewise.
    pub advertise: Option<SocketAddr>,
}

/// Makes the folder; what a failed attempt left is taken away again. The header, and where the
/// manager will be reached.
pub async fn restore(
    restoring: Restoring,
    passphrase: Secret,
) -> Result<(Header, SocketAddr, bool), RestoreError> {
    let folder = restoring.folder.clone();
    let existed = is_there(&folder)?;
    let made = make(restoring, passphrase).await;
    if made.is_err() {
        let gone = if existed { empty(&folder) } else { fs::remove_dir_all(&folder) };
        if let Err(error) = gone
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %folder.display(), "what is there is to be deleted");
        }
    }
    made
}

/// Whether the folder is there already; it has to be empty then.
fn is_there(folder: &Path) -> Result<bool, RestoreError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(RestoreError::Folder { path: folder.to_owned(), error }),
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(RestoreError::NotEmpty(folder.to_owned())),
            None => Ok(true),
        },
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

async fn make(
    restoring: Restoring,
    passphrase: Secret,
) -> Result<(Header, SocketAddr, bool), RestoreError> {
    let Restoring { file: path, folder, listen, advertise } = restoring;
    let opening = path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        Opener::open(BufReader::new(File::open(opening)?), &passphrase)
    });
    let opened = opened.await.unwrap_or_else(|error| Err(io::Error::other(error).into()));
    let broken = |error| RestoreError::Backup { path: path.clone(), error };
    let odd = |reason: &dyn std::fmt::Display| RestoreError::Content {
        path: path.clone(),
        reason: reason.to_string(),
    };
    let mut backup = opened.map_err(broken)?;
    let manifest = backup.part().map_err(broken)?.unwrap_or_default();
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| odd(&error))?;
    let stored = manifest.stored(SystemTime::now()).map_err(|error| odd(&error))?;
    let roots = manifest.roots().map_err(|error| odd(&error))?;
    let lock = manifest.lock().map_err(|error| odd(&error))?;
    let (listen, advertise) =
        (listen.unwrap_or(manifest.listen), advertise.unwrap_or(manifest.advertise));
    let header = backup.header().clone();
    let store = store_lock(lock.as_ref()).map_err(|error| odd(&error))?;
    // What is wrong with the backup is told as such, not as the store's trouble.
    let mut wrong = None;
    let chunks = || {
        backup.part().map(|part| part.map(|part| part.to_vec())).map_err(|error| {
            let words = error.to_string();
            wrong = Some(error);
            io::Error::other(words)
        })
    };
    let filled =
        swarm_raft::import(folder.join(STORE), store, &advertise.to_string(), chunks).await;
    if let Some(error) = wrong {
        return Err(broken(error));
    }
    filled?;
    let disk = Disk::open(&folder.join(CERTIFICATES))?;
    disk.save_roots(&roots)?;
    disk.save(&stored, lock.as_ref())?;
    // Last of all: by this the folder is a member's.
    Kept::restored(listen, advertise).save(&folder)?;
    Ok((header, advertise, lock.is_some()))
}
