//! What a node remembers of itself beside its identity: where it listens, where it is reached, and
//! whom it can ask. One file, replaced as a whole.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::pace::Pace;

/// The file in the node's folder.
const FILE: &str = "node.json";
/// Its form; a newer one is refused.
const FORMAT: u32 = 1;

/// What a member of a swarm remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    format: u32,
    /// Where it listens as a manager.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Whether that was one of this machine's own addresses when it was chosen; `None` where nobody
    /// looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_own: Option<bool>,
    /// Managers that it has heard of, `HOST:PORT`; the last ones known.
    pub managers: Vec<String>,
    /// It was made of a backup, and has not gone on with it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// With what pace its store was opened.
    #[serde(default)]
    pub pace: Pace,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what this program writes.
    #[error(
        "{path} is damaged ({reason}); move the folder away and join the swarm again, or restore it"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A newer version wrote it.
    #[error("{path} has format {found}, and this version reads {FORMAT}; use the newer version")]
    Newer {
        /// The file.
        path: String,
        /// Its form.
        found: u32,
    },
}

impl Kept {
    /// For a node that has just become a member.
    pub fn new(listen: SocketAddr, advertise: SocketAddr, managers: Vec<String>) -> Self {
        let pace = Pace::default();
        Self { format: FORMAT, listen, advertise, is_own: None, managers, restored: false, pace }
    }

    /// For one that is made of a backup: it knows no other manager.
    pub fn restored(listen: SocketAddr, advertise: SocketAddr) -> Self {
        Self { restored: true, ..Self::new(listen, advertise, Vec::new()) }
    }

    /// Reads the file, where there is one.
    pub fn load(folder: &Path) -> Result<Option<Self>, KeptError> {
        let path = folder.join(FILE);
        let shown = || path.display().to_string();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeptError::Io { path: shown(), error }),
        };
        let damaged = |error: serde_json::Error| KeptError::Damaged {
            path: shown(),
            reason: error.to_string(),
        };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        let found = value["format"].as_u64().and_then(|format| u32::try_from(format).ok());
        if let Some(found) = found.filter(|found| *found > FORMAT) {
            return Err(KeptError::Newer { path: shown(), found });
        }
        serde_json::from_value(value).map(Some).map_err(damaged)
    }

    /// Writes the file: beside its place, synced, renamed.
    pub fn save(&self, folder: &Path) -> Result<(), KeptError> {
        let path = folder.join(FILE);
        let written = || {
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            std::fs::File::open(folder)?.sync_all()
        };
        written().map_err(|error| KeptError::Io { path: path.display().to_string(), error })
    }

    /// Deletes the file.
    pub fn forget(folder: &Path) -> Result<(), KeptError> {
        let path = folder.join(FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(KeptError::Io { path: path.display().to_string(), error })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Kept::load(folder.path()).unwrap(), None);
        let address = "10.0.0.1:2377".parse().unwrap();
        let kept = Kept::new(address, address, vec!["10.0.0.2:2377".to_owned()]);
        kept.save(folder.path()).unwrap();
        assert_eq!(Kept::load(folder.path()).unwrap(), Some(kept));
        let file = folder.path().join(FILE);
        for (text, words) in [("{", "is damaged"), (r#"{"format":2}"#, "use the newer version")] {
            std::fs::write(&file, text).unwrap();
            let error = Kept::load(folder.path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        Kept::forget(folder.path()).unwrap();
        Kept::forget(folder.path()).unwrap();
        assert_eq!(Kept::load(folder.path()).unwrap(), None);
    }
}
