//! The one file of a manager: tables of sealed records, written by one thread.
//!
//! Writes are queued; the thread takes all that wait, writes them as one transaction and tells each
//! of its writers once the disk has it, so that many writers share one fsync. Where the disk
//! refuses (it is full, or went read-only) the thread keeps what it was given, says so
//! (`Disk::trouble`), and tries again with a pause: nothing is lost and nothing half written, and
//! when the disk is well again work goes on.
//!
//! Invariants: what was told to be written is on disk; a record opens only in its own place; the
//! file belongs to one process.

use std::fs::{self, OpenOptions};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redb::{Database, DatabaseError, ReadableDatabase as _, TableDefinition, TableError};
use swarm_kv::StoreError;
use tokio::sync::{mpsc, watch};

use crate::journal::decode;
use crate::key::{StoreKey, StoreLock};
use crate::mark::{MARK, Mark};
use crate::seal::Seal;
use crate::unusable::{Damage, Unusable, of_database, of_record};
#[cfg(feature = "faults")]
use crate::writer::Faults;
use crate::writer::{Batch, Writer};

/// The file of records.
pub(crate) const RECORDS: &str = "store.redb";
/// The file of the key.
pub(crate) const KEY: &str = "store.key";
/// Pages kept in memory by the database; what is read often is cached above it.
const CACHE: usize = 8 << 20;
/// How many writes may wait for the disk.
const QUEUE: usize = 256;
/// How often a reader looks whether a disk in trouble can be read.
const WAIT: Duration = Duration::from_millis(50);

/// The tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// The log, by index.
    Log,
    /// Chunks of snapshots: generation and number, see [`chunk_key`].
    Chunk,
    /// Single records, see [`Single`].
    Single,
}

impl Table {
    pub(crate) fn definition(self) -> TableDefinition<'static, u128, &'static [u8]> {
        match self {
            Self::Log => TableDefinition::new("log"),
            Self::Chunk => TableDefinition::new("chunk"),
            Self::Single => TableDefinition::new("single"),
        }
    }

    /// What a record of this table is sealed with.
    pub(crate) fn place(self, key: u128) -> [u8; 17] {
        let mut place = [0; 17];
        place[0] = self as u8;
        place[1..].copy_from_slice(&key.to_be_bytes());
        place
    }
}

/// Records of which there is one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Single {
    /// Who this manager is; the first record there is.
    Origin = 1,
    /// The last vote.
    Vote = 2,
    /// Up to where the log is known to be committed.
    Committed = 3,
    /// Up to where the log was cut off.
    Purged = 4,
    /// The snapshot that counts.
    Snapshot = 5,
    /// How many transactions there were, see `mark`.
    Count = 6,
    /// Snapshots that are kept beside the one that counts.
    Older = 7,
}

/// Where a snapshot's chunk is.
pub(crate) fn chunk_key(generation: u64, number: u64) -> u128 {
    u128::from(generation) << 64 | u128::from(number)
}

/// The opened file.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    key: Arc<StoreKey>,
    seal: Arc<Seal>,
    database: Arc<Mutex<Option<Arc<Database>>>>,
    queue: mpsc::Sender<Batch>,
    trouble: watch::Receiver<Option<String>>,
    closing: Arc<AtomicBool>,
    ended: watch::Receiver<bool>,
    /// What a test has it do.
    #[cfg(feature = "faults")]
    faults: Arc<Faults>,
}

impl Disk {
    /// Opens the records in `folder`, which is made where it is not there; their key is under `lock`,
    /// where there is one. Blocks.
    pub fn open(folder: &Path, lock: Option<&StoreLock>) -> Result<Self, Unusable> {
        let refused =
            |reason: String| Unusable::Other(StoreError::Refused { store: shown(folder), reason });
        let unread = |error: io::Error| Unusable::of_reading(shown(folder), &error);
        let cannot = |what: &str, error: &io::Error| refused(format!("{what}: {error}"));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| cannot("the data folder cannot be made", &error))?;
        let path = folder.join(RECORDS);
        let begins = !path.exists();
        let touched = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        touched.map_err(|error| cannot(&format!("{RECORDS} cannot be written"), &error))?;
        let database = match open_database(&path) {
            Ok(database) => database,
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                return Err(refused(error.to_string()));
            }
            Err(error) => return Err(unread(error)),
        };
        let is_new = is_empty(&database).map_err(unread)?;
        let key = folder.join(KEY);
        let key = match (StoreKey::load(&key, lock), is_new) {
            (Ok(key), _) => key,
            (Err(error), true) if error.kind() == io::ErrorKind::NotFound => {
                let made = StoreKey::create(&key, lock);
                made.map_err(|error| cannot(&format!("{KEY} cannot be made"), &error))?
            }
            (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(cannot(&format!("{KEY} cannot be opened"), &error));
            }
            (Err(error), true) => return Err(cannot(&format!("{KEY} cannot be read"), &error)),
            (Err(error), false) => {
                let (store, how) = (shown(folder), error.to_string());
                let damaged = Unusable::Damaged(Damage { store, how, of_key: true });
                let is_gone = error.kind() == io::ErrorKind::NotFound;
                return Err(match error.raw_os_error() {
                    // It may be whole, and cannot be had.
                    Some(_) if !is_gone => Unusable::Other(damaged.into()),
                    _ => damaged,
                });
            }
        };
        let seal = key.seal().map_err(|error| cannot(&format!("{KEY} cannot be used"), &error))?;
        let (key, seal) = (Arc::new(key), Arc::new(seal));
        let mark = Mark::open(folder)
            .map_err(|error| cannot(&format!("{MARK} cannot be opened"), &error))?;
        let database = Arc::new(Mutex::new(Some(Arc::new(database))));
        let (queue, batches) = mpsc::channel(QUEUE);
        let (trouble_told, trouble) = watch::channel(None);
        let (end_told, ended) = watch::channel(false);
        let closing = Arc::new(AtomicBool::new(false));
        let disk = Self {
            folder: folder.to_owned(),
            key,
            seal: Arc::clone(&seal),
            database: Arc::clone(&database),
            queue,
            trouble,
            closing: Arc::clone(&closing),
            ended,
            #[cfg(feature = "faults")]
            faults: Arc::default(),
        };
        let count = disk
            .single(Single::Count)
            .and_then(|count| count.map_or(Ok(0), |bytes| decode(&bytes)));
        let count = count.map_err(unread)?;
        if begins {
            // What was there before was moved away, and its mark says nothing about what begins now.
            mark.write(&seal, 0)
                .map_err(|error| cannot(&format!("{MARK} cannot be written"), &error))?;
        }
        if let Some(marked) = mark.read(&seal).filter(|marked| *marked > count) {
            let lost = marked - count;
            let how = format!("its last {lost} transactions are missing");
            return Err(Unusable::damaged(shown(folder), how));
        }
        let (trouble, told) = (trouble_told, end_told);
        #[cfg(feature = "faults")]
        let faults = Arc::clone(&disk.faults);
        let writer = Writer {
            path,
            seal,
            database,
            batches,
            trouble,
            closing,
            mark,
            count,
            #[cfg(feature = "faults")]
            faults,
        };
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let spawned = thread.spawn(move || {
            writer.run();
            told.send_replace(true);
        });
        spawned.map_err(|error| cannot("no thread for its writer", &error))?;
        Ok(disk)
    }

    /// The folder, for messages.
    pub fn shown(&self) -> String {
        shown(&self.folder)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key of the records.
    pub fn key(&self) -> &Arc<StoreKey> {
        &self.key
    }

    /// Queues a write. It waits only where too many wait already.
    pub async fn write(&self, batch: Batch) -> io::Result<()> {
        self.queue.send(batch).await.map_err(|_| io::Error::other("the store is closed"))
    }

    /// Queues a write and waits until the disk has it.
    pub async fn write_through(&self, batch: Batch) -> io::Result<()> {
        let (told, done) = tokio::sync::oneshot::channel();
        let tell = move || {
            // Whoever asked may have gone.
            let _ = told.send(());
        };
        self.write(batch.then(tell)).await?;
        done.await.map_err(|_| io::Error::other("the store was closed before it was written"))
    }

    /// Why the disk does not take writes, while it does not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Tells of trouble and its end.
    pub fn watch_trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.clone()
    }

    /// From now on takes no writes, or takes them again.
    #[cfg(feature = "faults")]
    pub fn fill(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    /// From now on each write takes at least so long.
    #[cfg(feature = "faults")]
    pub fn slow(&self, each: std::time::Duration) {
        self.faults
            .slow
            .store(u64::try_from(each.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// The database; while the disk is in trouble it is opened anew again and again, and whoever reads
    /// waits for it: an error would end the whole store, which goes on by itself when there is room.
    fn opened(&self) -> io::Result<Arc<Database>> {
        loop {
            if let Some(database) = self.database.lock().clone() {
                return Ok(database);
            }
            if self.closing.load(Ordering::SeqCst) || *self.ended.borrow() {
                return Err(io::Error::other("the store is closed"));
            }
            std::thread::sleep(WAIT);
        }
    }

    /// Opened records of a range, in order, as many as are in `limit` bytes but at least one.
    /// Blocks, while the disk takes no writes too.
    pub fn read(
        &self,
        table: Table,
        keys: RangeInclusive<u128>,
        limit: usize,
    ) -> io::Result<Vec<(u128, Vec<u8>)>> {
        let database = self.opened()?;
        let read = || -> Result<_, redb::Error> {
            let mut found = Vec::new();
            let mut size = 0;
            let transaction = database.begin_read()?;
            let table = match transaction.open_table(table.definition()) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(found),
                table => table?,
            };
            for record in table.range(keys)? {
                let (key, sealed) = record?;
                size += sealed.value().len();
                if size > limit && !found.is_empty() {
                    break;
                }
                found.push((key.value(), sealed.value().to_vec()));
            }
            Ok(found)
        };
        let found = guarded(read)?.map_err(of_record)?;
        let open = |(key, sealed): (u128, Vec<u8>)| match self.seal.open(&table.place(key), &sealed)
        {
            Ok(plain) => Ok((key, plain)),
            Err(broken) => {
                let words = format!("record {key} of {table:?}: {broken}");
                Err(io::Error::new(io::ErrorKind::InvalidData, words))
            }
        };
        found.into_iter().map(open).collect()
    }

    /// One record. Blocks.
    pub fn single(&self, single: Single) -> io::Result<Option<Vec<u8>>> {
        let key = single as u128;
        Ok(self.read(Table::Single, key..=key, usize::MAX)?.pop().map(|(_, plain)| plain))
    }

    /// Ends the writer once everything queued is written, and lets go of the file. What the disk
    /// does not take meanwhile is given up: nobody was told that it was written.
    pub async fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let mut ended = self.ended.clone();
        // Wakes the thread; where it is gone already there is nothing to wake.
        let _ = self.queue.send(Batch::default()).await;
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

/// Opens the database.
pub(crate) fn open_database(path: &Path) -> io::Result<Database> {
    let open = || Database::builder().set_cache_size(CACHE).create(path);
    match guarded(open)? {
        Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
            let words = "another process has it open; each manager needs a data folder of its own";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, words))
        }
        opened => opened.map_err(of_database),
    }
}

fn is_empty(database: &Database) -> io::Result<bool> {
    let read = || -> Result<_, redb::Error> {
        let transaction = database.begin_read()?;
        Ok(transaction.list_tables()?.next().is_none())
    };
    guarded(read)?.map_err(of_record)
}

/// The database's own checks of a damaged file may panic where they should answer.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its structure is broken"))
}

fn shown(folder: &Path) -> String {
    format!("in {}", folder.display())
}
