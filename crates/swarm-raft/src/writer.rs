//! The thread that writes: all that waits as one transaction, again and again until the disk takes
//! it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redb::Database;
use tokio::sync::{mpsc, watch};

use crate::disk::{Single, Table, guarded, open_database};
use crate::journal::encode;
use crate::mark::Mark;
use crate::seal::Seal;

/// How much one transaction may take, in bytes; more waits for the next.
const TRANSACTION: usize = 8 << 20;
/// How many batches that need no fsync of their own may wait for one that does.
const LAZY: usize = 64;
/// Pauses between attempts on a disk in trouble.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// One change of the records.
pub(crate) enum Change {
    /// Writes a record, not yet sealed.
    Put(Table, u128, Vec<u8>),
    /// Deletes records: from, up to and including.
    Delete(Table, u128, u128),
}

/// Changes that are written together, and what happens then.
#[derive(Default)]
pub(crate) struct Batch {
    changes: Vec<Change>,
    done: Option<Box<dyn FnOnce() + Send>>,
    lazy: bool,
}

impl Batch {
    pub fn put(mut self, table: Table, key: u128, plain: Vec<u8>) -> Self {
        self.changes.push(Change::Put(table, key, plain));
        self
    }

    pub fn single(self, single: Single, plain: Vec<u8>) -> Self {
        self.put(Table::Single, single as u128, plain)
    }

    pub fn delete(mut self, table: Table, from: u128, to: u128) -> Self {
        self.changes.push(Change::Delete(table, from, to));
        self
    }

    /// What happens once the disk has it; never, when it is given up.
    pub fn then(mut self, done: impl FnOnce() + Send + 'static) -> Self {
        self.done = Some(Box::new(done));
        self
    }

    /// Needs no fsync of its own: it is written with the next batch that does.
    pub fn lazily(mut self) -> Self {
        self.lazy = true;
        self
    }

    fn size(&self) -> usize {
        let size = |change: &Change| match change {
            Change::Put(_, _, plain) => plain.len() + 64,
            Change::Delete(..) => 64,
        };
        self.changes.iter().map(size).sum()
    }
}

/// What the thread has.
pub(crate) struct Writer {
    pub path: PathBuf,
    pub seal: Arc<Seal>,
    pub database: Arc<Mutex<Option<Arc<Database>>>>,
    pub batches: mpsc::Receiver<Batch>,
    pub trouble: watch::Sender<Option<String>>,
    pub closing: Arc<AtomicBool>,
    pub mark: Mark,
    /// How many transactions there were.
    pub count: u64,
    /// What a test has the disk do.
    #[cfg(feature = "faults")]
    pub faults: Arc<Faults>,
}

/// What a test has a disk do.
#[cfg(feature = "faults")]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// It takes no writes.
    pub full: AtomicBool,
    /// Each write takes so long, in milliseconds.
    pub slow: std::sync::atomic::AtomicU64,
}

impl Writer {
    /// Writes until nobody can ask for more.
    pub fn run(mut self) {
        let mut waiting: Vec<Batch> = Vec::new();
        while let Some(batch) = self.batches.blocking_recv() {
            waiting.push(batch);
            let mut size: usize = waiting.iter().map(Batch::size).sum();
            while size < TRANSACTION {
                let Ok(batch) = self.batches.try_recv() else { break };
                size += batch.size();
                waiting.push(batch);
            }
            if waiting.iter().all(|batch| batch.lazy) && waiting.len() < LAZY && !self.is_closing()
            {
                continue;
            }
            self.write_all(std::mem::take(&mut waiting));
            if self.is_closing() {
                break;
            }
        }
        self.write_all(waiting);
        self.database.lock().take();
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.batches.is_closed()
    }

    /// Writes in the end, or gives up when the store is closed meanwhile.
    fn write_all(&mut self, waiting: Vec<Batch>) {
        if waiting.is_empty() {
            return;
        }
        let mut pause = PAUSE.0;
        loop {
            match self.attempt(&waiting) {
                Ok(()) => break,
                Err(reason) => {
                    if self.trouble.borrow().as_ref() != Some(&reason) {
                        tracing::error!(reason, "the store's disk does not take writes");
                        self.trouble.send_replace(Some(reason));
                    }
                }
            }
            if self.is_closing() {
                return;
            }
            // After a failed write the database has to be opened anew.
            self.database.lock().take();
            std::thread::sleep(pause.mul_f64(rand::random_range(0.7..1.0)));
            pause = (pause * 2).min(PAUSE.1);
        }
        if self.trouble.borrow().is_some() {
            tracing::info!("the store's disk takes writes again");
            self.trouble.send_replace(None);
        }
        self.count += 1;
        if let Err(error) = self.mark.write(&self.seal, self.count) {
            // It tells less now; the records themselves are written.
            tracing::warn!(%error, "the store's mark cannot be written");
        }
        for done in waiting.into_iter().filter_map(|batch| batch.done) {
            done();
        }
    }

    fn attempt(&self, waiting: &[Batch]) -> Result<(), String> {
        #[cfg(feature = "faults")]
        if self.faults.full.load(Ordering::SeqCst) {
            return Err("No space left on device, as a test has it".to_owned());
        }
        #[cfg(feature = "faults")]
        std::thread::sleep(Duration::from_millis(self.faults.slow.load(Ordering::SeqCst)));
        let present = self.database.lock().clone();
        let database = if let Some(database) = present {
            database
        } else {
            let database = Arc::new(open_database(&self.path).map_err(|error| error.to_string())?);
            *self.database.lock() = Some(Arc::clone(&database));
            database
        };
        match guarded(|| self.transact(&database, waiting)) {
            Ok(written) => written.map_err(|error| match error {
                // The system's words say enough.
                redb::Error::Io(error) => error.to_string(),
                error => error.to_string(),
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    fn transact(&self, database: &Database, waiting: &[Batch]) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        let put = |kind: Table, key: u128, plain: &[u8]| -> Result<(), redb::Error> {
            let sealed = self.seal.seal(&kind.place(key), plain)?;
            let mut table = transaction.open_table(kind.definition())?;
            table.insert(key, &*sealed)?;
            Ok(())
        };
        put(Table::Single, Single::Count as u128, &encode(&(self.count + 1))?)?;
        for change in waiting.iter().flat_map(|batch| &batch.changes) {
            match change {
                Change::Put(kind, key, plain) => put(*kind, *key, plain)?,
                Change::Delete(kind, from, to) => {
                    let mut table = transaction.open_table(kind.definition())?;
                    table.retain_in(*from..=*to, |_, _| false)?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
