//! What is kept on disk: one redb file in the data directory, written in transactions that are on
//! disk when they return. It leaves batching to the writer.
//!
//! Invariants: the file is one process's; a failed write changes nothing, and the file is opened
//! again before the next one, so that a disk with room again is used again.

use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use crate::Token;
use crate::clock::Millis;

/// The file in the data directory.
pub const FILE: &str = "tokens.redb";
/// Bytes of memory for pages: the whole file of a large service is some 10 MiB.
const CACHE: usize = 16 << 20;

/// Token -> when it was made, when it was last used.
const CLUSTERS: TableDefinition<u128, (u64, u64)> = TableDefinition::new("clusters");
/// Token and address -> the registration's length in seconds; 0 for one that left.
const NODES: TableDefinition<(u128, &str), u32> = TableDefinition::new("nodes");
/// The version of this layout, for later ones.
const LAYOUT: TableDefinition<&str, u64> = TableDefinition::new("layout");
const VERSION: u64 = 1;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Create { token: Token, at: Millis },
    Use { token: Token, at: Millis },
    Node { token: Token, address: Box<str>, ttl: u32 },
    Left { token: Token, address: Box<str> },
    Gone { token: Token, address: Box<str> },
    Replace { token: Token, at: Millis, addresses: Vec<Box<str>>, ttl: u32 },
    Remove { token: Token },
}

/// All that was kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Token, when it was made, when it was last used.
    pub(crate) clusters: Vec<(Token, Millis, Millis)>,
    /// Token, address, length in seconds; none for one that left.
    pub(crate) nodes: Vec<(Token, Box<str>, Option<u32>)>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The directory cannot be made or used.
    #[error("data directory {path}: {source}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two services would write over each other.
    #[error("{path} is in use by another process; each service needs a data directory of its own",
        path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else, or was written to by something else.
    #[error(
        "{path} is damaged or no token store ({reason}); restore it from a copy, or move it away \
         to start without tokens",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer version wrote it.
    #[error("{path} was written by a newer version (layout {found}, known is {VERSION})",
        path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u64,
    },
    /// The disk failed, or is full.
    #[error("{path}: {reason}", path = path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// How.
        reason: String,
    },
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    database: Option<Database>,
}

impl Disk {
    /// Opens the file in `directory`, making both where they are not there.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Kept), DiskError> {
        let failed = |source| DiskError::Directory { path: directory.to_owned(), source };
        make_directory(directory).map_err(failed)?;
        let path = directory.join(FILE);
        let mut disk = Self { path, database: None };
        let database = disk.ready()?;
        let kept = read(database).map_err(|error| disk.error(error))?;
        let kept = kept.map_err(|found| DiskError::Newer { path: disk.path.clone(), found })?;
        Ok((disk, kept))
    }

    fn ready(&mut self) -> Result<&Database, DiskError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path).map_err(|error| self.error(error))?,
        };
        Ok(self.database.insert(database))
    }

    /// Writes all changes, or none of them.
    pub(crate) fn write(&mut self, changes: &[Change]) -> Result<(), DiskError> {
        let database = self.ready()?;
        let written = write(database, changes);
        written.map_err(|error| {
            self.database = None;
            self.error(error)
        })
    }

    fn error(&self, error: redb::Error) -> DiskError {
        let path = self.path.clone();
        match error {
            redb::Error::DatabaseAlreadyOpen => DiskError::InUse { path },
            redb::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
                DiskError::Failed { path, reason: error.to_string() }
            }
            redb::Error::PreviousIo => {
                DiskError::Failed { path, reason: "an earlier write failed".to_owned() }
            }
            other => DiskError::Damaged { path, reason: other.to_string() },
        }
    }
}

/// For the service's user alone: the tokens in it are all that a stranger would need.
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(StorageError::Io)?;
    let file = FileBackend::new(file)?;
    // A file that was altered is called so, where it would otherwise be trusted until it fails.
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(file)?)
}

/// Everything, or the layout's version where it is a newer one.
fn read(database: &Database) -> Result<Result<Kept, u64>, redb::Error> {
    let transaction = database.begin_write()?;
    {
        // Made here, so that there is nothing to miss when they are read.
        transaction.open_table(CLUSTERS)?;
        transaction.open_table(NODES)?;
        let mut layout = transaction.open_table(LAYOUT)?;
        let found = layout.get("version")?.map(|found| found.value());
        match found {
            None => drop(layout.insert("version", VERSION)?),
            Some(VERSION) => {}
            Some(newer) => return Ok(Err(newer)),
        }
    }
    transaction.commit()?;
    let transaction = database.begin_read()?;
    let mut kept = Kept::default();
    for row in transaction.open_table(CLUSTERS)?.iter()? {
        let (token, times) = row?;
        let (created, used) = times.value();
        kept.clusters.push((Token::from_bits(token.value()), created, used));
    }
    for row in transaction.open_table(NODES)?.iter()? {
        let (key, ttl) = row?;
        let (token, address) = key.value();
        let ttl = Some(ttl.value()).filter(|ttl| *ttl > 0);
        kept.nodes.push((Token::from_bits(token), address.into(), ttl));
    }
    Ok(Ok(kept))
}

fn write(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut clusters = transaction.open_table(CLUSTERS)?;
        let mut nodes = transaction.open_table(NODES)?;
        for change in changes {
            match change {
                Change::Create { token, at } => {
                    clusters.insert(token.bits(), (*at, *at))?;
                }
                Change::Use { token, at } => {
                    let created = clusters.get(token.bits())?.map(|found| found.value().0);
                    if let Some(created) = created {
                        clusters.insert(token.bits(), (created, *at))?;
                    }
                }
                Change::Node { token, address, ttl } => {
                    nodes.insert((token.bits(), &**address), *ttl)?;
                }
                Change::Left { token, address } => {
                    nodes.insert((token.bits(), &**address), 0)?;
                }
                Change::Gone { token, address } => {
                    nodes.remove((token.bits(), &**address))?;
                }
                Change::Replace { token, at, addresses, ttl } => {
                    let created = clusters.get(token.bits())?.map(|found| found.value().0);
                    clusters.insert(token.bits(), (created.unwrap_or(*at), *at))?;
                    nodes.retain_in(all_of(*token), |_, _| false)?;
                    for address in addresses {
                        nodes.insert((token.bits(), &**address), *ttl)?;
                    }
                }
                Change::Remove { token } => {
                    clusters.remove(token.bits())?;
                    nodes.retain_in(all_of(*token), |_, _| false)?;
                }
            }
        }
    }
    Ok(transaction.commit()?)
}

/// Addresses are ASCII, so that all of a token's keys are below this end.
fn all_of(token: Token) -> std::ops::Range<(u128, &'static str)> {
    (token.bits(), "")..(token.bits(), "\u{7f}")
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
