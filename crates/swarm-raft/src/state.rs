//! The state machine as the consensus library wants it: applied to, cut into snapshots, replaced by
//! one ([`keeper`]). The machine itself is `swarm-store`'s; here are its lock, its clock and its place on disk.
//!
//! Invariants: what is read from the state was applied; the snapshot that counts is whole on disk
//! before the log it replaces is cut off.

mod keeper;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use openraft::EntryPayload;
use openraft::storage::RaftSnapshotBuilder as _;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use swarm_store::{Loader, Machine};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::disk::{Disk, Single, Table, chunk_key};
use crate::journal::{PORTION, decode, encode};
use crate::kinds::{Entry, Kinds, LogId, Membership, Meta};
use crate::writer::Batch;

pub(crate) use keeper::Keeper;

/// So many entries of the log stay behind a snapshot, unless told otherwise.
const BEHIND: u64 = 512;
/// A snapshot is due after so many entries, unless told otherwise,
const ENTRIES: usize = 20_000;
/// or when the log since the last one is as large as the state, and at least this, in bytes: so the
/// disk writes at most twice what it is given, and a restart reads little.
const BYTES: usize = 16 << 20;

/// The state and what belongs to it.
#[derive(Debug)]
pub(crate) struct State {
    disk: Arc<Disk>,
    inner: RwLock<Inner>,
    /// The snapshot that counts.
    current: Mutex<Option<Current>>,
    /// Generations of those that are kept beside it, the oldest first.
    older: Mutex<Vec<u64>>,
    /// How many of them are to be kept.
    most: AtomicUsize,
    /// After how many entries a snapshot is due.
    interval: AtomicUsize,
    /// How much of the log stays behind a snapshot.
    behind: watch::Sender<u64>,
    /// The last generation of chunks given out.
    generation: AtomicU64,
    news: watch::Sender<()>,
    born: Instant,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    /// A snapshot is due.
    pub due: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    machine: Machine,
    applied: Option<LogId>,
    membership: Membership,
}

/// Where on disk a snapshot is, and of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Current {
    generation: u64,
    chunks: u64,
    meta: Meta,
}

/// A snapshot's data: chunks on a disk, and, where they have just come in, the machine they make.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Whose disk.
    pub source: Arc<State>,
    pub generation: u64,
    pub chunks: u64,
    pub machine: Option<Box<Machine>>,
}

/// A snapshot as the library hands it around.
pub(crate) type Parceled = openraft::type_config::alias::SnapshotOf<Kinds, Parcel>;

impl State {
    /// Loads the snapshot that counts. Blocks.
    pub fn open(disk: Arc<Disk>) -> io::Result<Arc<Self>> {
        let current = disk.single(Single::Snapshot)?;
        let current: Option<Current> = current.map(|bytes| decode(&bytes)).transpose()?;
        let mut inner = Inner::default();
        if let Some(current) = &current {
            let mut loader = Loader::new(0);
            for number in 0..current.chunks {
                loader
                    .take(&chunk(&disk, current.generation, number)?)
                    .map_err(|error| odd(&error))?;
            }
            inner.machine = loader.finish().map_err(|error| odd(&error))?;
            inner.applied = current.meta.last_log_id;
            inner.membership = current.meta.last_membership.clone();
        }
        let older = disk.single(Single::Older)?.map(|bytes| decode(&bytes)).transpose()?;
        let older: Vec<u64> = older.unwrap_or_default();
        let generation = current.as_ref().map_or(0, |current| current.generation);
        Ok(Arc::new(Self {
            disk,
            inner: RwLock::new(inner),
            current: Mutex::new(current),
            // Until somebody says how many are to be kept, none is deleted.
            most: AtomicUsize::new(older.len()),
            older: Mutex::new(older),
            interval: AtomicUsize::new(ENTRIES),
            behind: watch::Sender::new(BEHIND),
            generation: AtomicU64::new(generation),
            news: watch::Sender::new(()),
            born: Instant::now(),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            due: Notify::new(),
        }))
    }

    /// Deletes chunks of snapshots that were never finished.
    pub async fn sweep(&self) -> io::Result<()> {
        let mut kept = self.older.lock().clone();
        kept.extend(self.current.lock().as_ref().map(|current| current.generation));
        let (mut batch, mut from) = (Batch::default(), 0);
        for generation in kept {
            if let Some(to) = chunk_key(generation, 0).checked_sub(1).filter(|to| *to >= from) {
                batch = batch.delete(Table::Chunk, from, to);
            }
            from = chunk_key(generation + 1, 0);
        }
        self.disk.write(batch.delete(Table::Chunk, from, u128::MAX)).await
    }

    /// From now on a snapshot is due after `interval` entries (or earlier, by size), and so many of
    /// those before are kept.
    pub fn keep_snapshots(&self, interval: usize, most: usize) {
        self.interval.store(interval.max(1), Ordering::Relaxed);
        self.most.store(most, Ordering::Relaxed);
        if self.is_snapshot_due() {
            self.due.notify_one();
        }
    }

    /// From now on so many entries of the log stay behind a snapshot, for managers that were away for a
    /// moment.
    pub fn keep_behind(&self, entries: u64) {
        self.behind.send_if_modified(|known| std::mem::replace(known, entries) != entries);
    }

    /// How many do.
    pub fn behind(&self) -> watch::Receiver<u64> {
        self.behind.subscribe()
    }

    /// Milliseconds of this manager's own clock.
    pub fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Up to where the log is applied.
    pub fn applied(&self) -> Option<LogId> {
        self.inner.read().applied
    }

    /// What the managers have agreed on being.
    pub fn membership(&self) -> Membership {
        self.inner.read().membership.clone()
    }

    /// Puts another membership in the place of the one there is.
    pub fn replace_membership(&self, membership: Membership) {
        self.inner.write().membership = membership;
    }

    /// Writes a snapshot of what there is now, and lets it count.
    pub async fn cut(self: &Arc<Self>) -> io::Result<()> {
        Keeper(Arc::clone(self)).build_snapshot().await.map(drop)
    }

    /// Puts a state that was kept elsewhere in the place of the one there is, as if it had been
    /// applied up to `applied`.
    pub async fn load(
        &self,
        applied: LogId,
        membership: Membership,
        mut next: impl FnMut() -> io::Result<Option<Vec<u8>>> + Send,
    ) -> io::Result<()> {
        let generation = self.next_generation();
        let (mut loader, mut chunks) = (Loader::new(self.now()), 0);
        while let Some(chunk) = next()? {
            loader.take(&chunk).map_err(|error| odd(&error))?;
            self.keep(generation, chunks, chunk).await?;
            chunks += 1;
        }
        let machine = loader.finish().map_err(|error| odd(&error))?;
        let meta = Meta { last_log_id: Some(applied), last_membership: membership.clone() };
        self.establish(Current { generation, chunks, meta }).await?;
        *self.inner.write() = Inner { machine, applied: Some(applied), membership };
        Ok(())
    }

    /// Reads the machine.
    pub fn read<T>(&self, read: impl FnOnce(&Machine) -> T) -> T {
        read(&self.inner.read().machine)
    }

    /// Every lease has its full time from now.
    pub fn restart_leases(&self) {
        let now = self.now();
        self.inner.write().machine.restart_leases(now);
    }

    /// Waits until the log is applied up to `index`.
    pub async fn reached(&self, index: Option<u64>) {
        let mut news = self.news();
        while self.inner.read().applied.map(|applied| applied.index) < index {
            // The sender is in `self`.
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells whenever something was applied.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// A generation of chunks that nobody else writes.
    pub fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Writes a chunk of a snapshot that does not count yet.
    pub async fn keep(&self, generation: u64, number: u64, chunk: Vec<u8>) -> io::Result<()> {
        let batch = Batch::default().put(Table::Chunk, chunk_key(generation, number), chunk);
        // Waiting for each bounds what is in memory.
        self.disk.write_through(batch).await
    }

    /// Deletes the chunks of a generation.
    pub async fn discard(&self, generation: u64) -> io::Result<()> {
        let (from, to) = (chunk_key(generation, 0), chunk_key(generation + 1, 0) - 1);
        self.disk.write(Batch::default().delete(Table::Chunk, from, to)).await
    }

    /// A chunk of a snapshot, from disk.
    pub async fn chunk(&self, generation: u64, number: u64) -> io::Result<Vec<u8>> {
        let disk = Arc::clone(&self.disk);
        let read = tokio::task::spawn_blocking(move || chunk(&disk, generation, number));
        read.await.map_err(io::Error::other)?
    }

    /// From now on this snapshot counts; of those before as many are kept as are to be.
    async fn establish(&self, next: Current) -> io::Result<()> {
        let present = self.current.lock().as_ref().and_then(|current| current.meta.last_log_id);
        if present > next.meta.last_log_id {
            // One came in from the leader while an older one was being built here.
            return self.discard(next.generation).await;
        }
        let mut batch = Batch::default().single(Single::Snapshot, encode(&next)?);
        let mut older = self.older.lock().clone();
        older.extend(self.current.lock().as_ref().map(|current| current.generation));
        let excess = older.len().saturating_sub(self.most.load(Ordering::Relaxed));
        for gone in older.drain(..excess) {
            let (from, to) = (chunk_key(gone, 0), chunk_key(gone + 1, 0) - 1);
            batch = batch.delete(Table::Chunk, from, to);
        }
        batch = batch.single(Single::Older, encode(&older)?);
        self.disk.write_through(batch).await?;
        *self.current.lock() = Some(next);
        *self.older.lock() = older;
        self.entries.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Applies one entry.
    pub fn apply_one(&self, entry: Entry) -> Option<swarm_store::Outcome> {
        let now = self.now();
        let mut inner = self.inner.write();
        inner.applied = Some(entry.log_id);
        self.entries.fetch_add(1, Ordering::Relaxed);
        match entry.payload {
            EntryPayload::Normal(command) => {
                self.bytes.fetch_add(command.weight(), Ordering::Relaxed);
                Some(inner.machine.apply(command, now))
            }
            EntryPayload::Membership(membership) => {
                inner.membership = Membership::new(Some(entry.log_id), membership);
                None
            }
            EntryPayload::Blank => None,
        }
    }

    fn is_snapshot_due(&self) -> bool {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.entries.load(Ordering::Relaxed) >= self.interval.load(Ordering::Relaxed)
            || bytes >= BYTES.max(self.inner.read().machine.bytes())
    }
}

fn chunk(disk: &Disk, generation: u64, number: u64) -> io::Result<Vec<u8>> {
    let key = chunk_key(generation, number);
    let missing = || {
        let words = format!("chunk {number} of snapshot {generation} is missing");
        io::Error::new(io::ErrorKind::InvalidData, words)
    };
    Ok(disk.read(Table::Chunk, key..=key, PORTION)?.pop().ok_or_else(missing)?.1)
}

fn odd(error: &swarm_store::SnapshotError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a snapshot: {error}"))
}
