//! What the primary keeps in the pool's store: objects of one kind, one key each, held in memory
//! and written behind, so that no reader waits for the store and a burst of changes to one object
//! is one write.
//!
//! Only the primary has a ledger loaded; it reads everything afresh when it takes over, and is the
//! only writer from then on. Whoever must know that a change is kept waits for it
//! ([`Ledger::stored`]).
//!
//! Invariants: an object's writes reach the store one after the other; each depends on the revision
//! written before and on the guard of the present primary; a change that the store refused stays in
//! memory and is tried again for as long as this manager is primary.

mod writer;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use swarm_kv::{Guard, KeyValue, Revision, StoreError};
use swarm_model::Kept;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::warn;

/// Tells the guard that writes carry now; the error says why nothing may be written.
pub type GuardSource = Arc<dyn Fn() -> Result<Option<Guard>, StoreError> + Send + Sync>;

/// One object.
struct Row<T> {
    /// `None` when it is to be deleted.
    value: Option<Arc<T>>,
    /// What the store has, as far as it is known.
    revision: Option<Revision>,
    /// The number of its last change.
    version: u64,
    /// The change that the store has.
    stored: u64,
    /// The change that failed last, and how.
    failed: Option<(u64, StoreError)>,
    /// It waits for a writer, or one is at it.
    queued: bool,
    /// Until when a first write of it whose answer was lost may still come to the store.
    late: Option<Instant>,
}

struct Table<T> {
    rows: HashMap<Arc<str>, Row<T>>,
    /// The last object of each name.
    names: HashMap<Box<str>, Arc<str>>,
    /// Counts the changes made here, of all objects and over all of this manager's terms.
    count: u64,
    /// The changes up to this one were of an earlier term: nobody here knows whether they are kept.
    forgotten: u64,
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self {
            value: None,
            revision: None,
            version: 0,
            stored: 0,
            failed: None,
            queued: false,
            late: None,
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: HashMap::new(), names: HashMap::new(), count: 0, forgotten: 0 }
    }
}

impl<T> Table<T> {
    /// A new term begins, or one is over.
    fn renew(&mut self, with: Self) {
        let count = self.count;
        *self = Self { count, forgotten: count, ..with };
    }
}

impl<T: Kept + Send + Sync + 'static> Table<T> {
    /// Puts a row's new value in, and keeps the names in step.
    fn put(&mut self, id: &Arc<str>, value: Option<Arc<T>>) {
        let Some(row) = self.rows.get_mut(id) else { return };
        let old = std::mem::replace(&mut row.value, value.clone());
        let same = |a: &Arc<T>, b: &Arc<T>| a.name() == b.name();
        if let Some(old) = &old
            && !value.as_ref().is_some_and(|new| same(old, new))
            && self.names.get(old.name()) == Some(id)
        {
            self.names.remove(old.name());
        }
        if let Some(new) = value.filter(|new| !old.is_some_and(|old| same(&old, new))) {
            self.names.insert(new.name().into(), Arc::clone(id));
        }
    }
}

/// Objects of one kind.
pub struct Ledger<T> {
    store: Arc<dyn KeyValue>,
    directory: String,
    guard: GuardSource,
    table: Mutex<Table<T>>,
    queue: mpsc::UnboundedSender<Arc<str>>,
    /// Counts writes that ended, well or not.
    ended: watch::Sender<u64>,
}

impl<T> fmt::Debug for Ledger<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("directory", &self.directory)
            .field("objects", &self.table.lock().rows.len())
            .finish_non_exhaustive()
    }
}

impl<T: Kept + Send + Sync + 'static> Ledger<T> {
    /// An empty ledger over `directory`; its writer runs until the ledger is dropped.
    pub fn new(store: Arc<dyn KeyValue>, directory: String, guard: GuardSource) -> Arc<Self> {
        // Unbounded, and yet bounded: an object stands in it at most once.
        let (queue, waiting) = mpsc::unbounded_channel();
        let ledger = Arc::new(Self {
            store,
            directory,
            guard,
            table: Mutex::default(),
            queue,
            ended: watch::Sender::new(0),
        });
        tokio::spawn(writer::run(Arc::downgrade(&ledger), waiting));
        ledger
    }

    /// Takes over what the store has. What cannot be read is named in the log and left alone.
    pub async fn load(&self) -> Result<(), StoreError> {
        let items = self.store.list(&self.directory).await?;
        let mut table = Table::default();
        for item in items {
            let id: Arc<str> = item.key.rsplit('/').next().unwrap_or_default().into();
            match T::parse(&item.value) {
                Ok(value) => {
                    let row = Row { revision: Some(item.revision), ..Row::default() };
                    table.rows.insert(Arc::clone(&id), row);
                    table.put(&id, Some(Arc::new(value)));
                }
                // An empty value is a directory's own (ZooKeeper).
                Err(_) if item.value.is_empty() => {}
                Err(error) => {
                    warn!(key = %item.key, %error, "a stored {} cannot be read", T::KIND);
                }
            }
        }
        self.table.lock().renew(table);
        Ok(())
    }

    /// Forgets everything: another manager is primary now.
    pub fn clear(&self) {
        self.table.lock().renew(Table::default());
        self.ended.send_modify(|count| *count += 1);
    }

    /// One object.
    pub fn get(&self, id: &str) -> Option<Arc<T>> {
        self.table.lock().rows.get(id)?.value.clone()
    }

    /// The object of this name.
    pub fn named(&self, name: &str) -> Option<Arc<T>> {
        let table = self.table.lock();
        table.rows.get(table.names.get(name)?)?.value.clone()
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.table.lock().rows.values().filter_map(|row| row.value.clone()).collect()
    }

    /// How many there are, those on their way out included.
    pub fn len(&self) -> usize {
        self.table.lock().rows.len()
    }

    /// How many changes the store does not have yet.
    pub fn pending(&self) -> usize {
        self.table.lock().rows.values().filter(|row| row.stored < row.version).count()
    }

    /// The first object that `wanted` accepts.
    pub fn find(&self, mut wanted: impl FnMut(&T) -> bool) -> Option<Arc<T>> {
        let table = self.table.lock();
        table
            .rows
            .values()
            .filter_map(|row| row.value.as_ref())
            .find(|value| wanted(value))
            .cloned()
    }

    /// Keeps a new or whole changed object; the number is for [`Self::stored`].
    pub fn set(&self, id: &str, value: T) -> u64 {
        let mut table = self.table.lock();
        let id: Arc<str> = id.into();
        table.rows.entry(Arc::clone(&id)).or_default();
        table.put(&id, Some(Arc::new(value)));
        self.changed(&mut table, &id)
    }

    /// Deletes an object; one that is not there is deleted already.
    pub fn delete(&self, id: &str) -> u64 {
        let mut table = self.table.lock();
        let Some((id, _)) = table.rows.get_key_value(id) else { return 0 };
        let id = Arc::clone(id);
        table.put(&id, None);
        self.changed(&mut table, &id)
    }

    /// Changes an object; `None` when it is not there or `change` left it as it was.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut T)) -> Option<u64>
    where
        T: Clone + PartialEq,
    {
        let mut table = self.table.lock();
        let (id, row) = table.rows.get_key_value(id)?;
        let old = row.value.as_ref()?;
        let mut new = T::clone(old);
        change(&mut new);
        if new == **old {
            return None;
        }
        let id = Arc::clone(id);
        table.put(&id, Some(Arc::new(new)));
        Some(self.changed(&mut table, &id))
    }

    fn changed(&self, table: &mut Table<T>, id: &Arc<str>) -> u64 {
        table.count += 1;
        let count = table.count;
        let Some(row) = table.rows.get_mut(id) else { return 0 };
        row.version = count;
        if !row.queued {
            row.queued = true;
            // The writer lives as long as this does.
            let _ = self.queue.send(Arc::clone(id));
        }
        row.version
    }

    /// Waits until the store has the change of this number, or has refused it. When this manager is
    /// primary no more, nobody here can say which, and that is an error too.
    pub async fn stored(&self, id: &str, version: u64) -> Result<(), StoreError> {
        let mut ended = self.ended.subscribe();
        loop {
            ended.mark_unchanged();
            {
                let table = self.table.lock();
                if version > 0 && version <= table.forgotten {
                    let reason = "this manager is not the primary any more".to_owned();
                    return Err(StoreError::NotPrimary { reason });
                }
                match table.rows.get(id) {
                    // Deleted in the store too.
                    None => return Ok(()),
                    Some(row) if row.stored >= version => return Ok(()),
                    Some(Row { failed: Some((at, error)), .. }) if *at >= version => {
                        return Err(error.clone());
                    }
                    Some(_) => {}
                }
            }
            if ended.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Counts writes that ended, and so tells of every change, a little later.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    fn key(&self, id: &str) -> String {
        format!("{}/{id}", self.directory)
    }
}

#[cfg(test)]
mod tests;
