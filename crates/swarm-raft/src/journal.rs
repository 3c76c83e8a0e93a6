//! The log as the consensus library wants it: appended, read, cut off at either end, with the vote
//! beside it. On disk as sealed records; its end also in memory, so that what is replicated and
//! applied while all is well is never read back.
//!
//! Invariants: what was appended can be read at once, and is in memory until the disk has it; what
//! was announced as flushed is on disk; there is no hole.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures_util::{Stream, stream};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::{Disk, Single, Table};
use crate::kinds::{Entry, Kinds, LogId, Vote};
use crate::writer::Batch;

/// How much of the log's end stays in memory, in bytes.
const CACHED: usize = 8 << 20;
/// How much is read, and sent, at once, in bytes; one entry is at most a little over 3 MiB.
pub(crate) const PORTION: usize = 1 << 20;

/// A handle of the log.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    disk: Arc<Disk>,
    tail: Arc<Mutex<Tail>>,
}

#[derive(Debug, Default)]
struct Tail {
    /// The log's end, without a hole.
    cached: VecDeque<Entry>,
    size: usize,
    /// The first index of each append that the disk does not have yet, in order.
    unflushed: VecDeque<u64>,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

pub(crate) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let wrong = |error: postcard::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    postcard::from_bytes(bytes).map_err(wrong)
}

/// What an entry takes in memory, in bytes.
pub(crate) fn weight(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(command) => 64 + command.weight(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 256,
    }
}

impl Journal {
    /// Reads the log through once: every record has to open and follow the one before. Blocks.
    pub fn open(disk: Arc<Disk>) -> io::Result<Self> {
        let single = |single| disk.single(single);
        let optional = |bytes: Option<Vec<u8>>| bytes.map(|bytes| decode::<Option<LogId>>(&bytes));
        let mut tail = Tail {
            vote: single(Single::Vote)?.map(|bytes| decode(&bytes)).transpose()?,
            committed: optional(single(Single::Committed)?).transpose()?.flatten(),
            purged: optional(single(Single::Purged)?).transpose()?.flatten(),
            ..Tail::default()
        };
        tail.last = tail.purged;
        let mut next = tail.purged.map_or(0, |purged| purged.index + 1);
        loop {
            let records = disk.read(Table::Log, u128::from(next)..=u128::MAX, PORTION)?;
            if records.is_empty() {
                break;
            }
            for (key, bytes) in records {
                let entry: Entry = decode(&bytes)?;
                if key != u128::from(next) || entry.log_id.index != next {
                    let words = format!("the log has entry {key} where {next} should be");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, words));
                }
                tail.last = Some(entry.log_id);
                tail.push(entry);
                next += 1;
            }
            tail.trim();
        }
        Ok(Self { disk, tail: Arc::new(Mutex::new(tail)) })
    }

    /// Entries of `from..until`, as many as are in `limit` bytes but at least one.
    async fn portion(&self, from: u64, until: u64, limit: usize) -> io::Result<Vec<Entry>> {
        let (mut cached, begins) = {
            let tail = self.tail.lock();
            let begins = tail.begins();
            (tail.between(from.max(begins), until, limit), begins)
        };
        if from >= begins || from >= until {
            return Ok(cached);
        }
        let disk = Arc::clone(&self.disk);
        let keys = u128::from(from)..=u128::from(until.min(begins) - 1);
        let read = tokio::task::spawn_blocking(move || disk.read(Table::Log, keys, limit));
        let records = read.await.map_err(io::Error::other)??;
        let read = records.iter().map(|(_, bytes)| decode(bytes));
        let mut entries = read.collect::<io::Result<Vec<Entry>>>()?;
        let joins = |entry: &Entry| entry.log_id.index + 1 == begins;
        if entries.is_empty() || (limit == usize::MAX && entries.last().is_some_and(joins)) {
            entries.append(&mut cached);
        }
        Ok(entries)
    }
}

impl Tail {
    /// The index of the first entry in memory, or of the next one.
    fn begins(&self) -> u64 {
        let next = self.last.map_or(0, |last| last.index + 1);
        self.cached.front().map_or(next, |entry| entry.log_id.index)
    }

    fn push(&mut self, entry: Entry) {
        self.size += weight(&entry);
        self.last = Some(entry.log_id);
        self.cached.push_back(entry);
    }

    /// Forgets the oldest entries beyond the bound, as far as the disk has them.
    fn trim(&mut self) {
        let unflushed = self.unflushed.iter().min().copied().unwrap_or(u64::MAX);
        while self.size > CACHED
            && self.cached.front().is_some_and(|entry| entry.log_id.index < unflushed)
        {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some(entry) = self.cached.pop_front() {
            self.size -= weight(&entry);
        }
    }

    fn between(&self, from: u64, until: u64, limit: usize) -> Vec<Entry> {
        let skip = usize::try_from(from.saturating_sub(self.begins())).unwrap_or(usize::MAX);
        let mut size = 0;
        let mut found = Vec::new();
        for entry in self.cached.iter().skip(skip).take_while(|entry| entry.log_id.index < until) {
            size += weight(entry);
            if size > limit && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        found
    }
}

/// `from..until` of any range.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let until = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(until) => *until,
        Bound::Unbounded => u64::MAX,
    };
    (from, until)
}

impl RaftLogReader<Kinds> for Journal {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, until) = bounds(&range);
        self.portion(from, until, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, from: u64, until: u64) -> io::Result<Vec<Entry>> {
        self.portion(from, until, PORTION).await
    }

    async fn entries_stream<R>(
        &mut self,
        range: R,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, until) = bounds(&range);
        let begin = (self.clone(), from, until, VecDeque::new());
        Box::pin(stream::try_unfold(begin, |(journal, from, until, mut ready)| async move {
            if ready.is_empty() && from < until {
                ready.extend(journal.portion(from, until, PORTION).await?);
            }
            let entry: Option<Entry> = ready.pop_front();
            Ok(entry.map(|entry| {
                let next = entry.log_id.index + 1;
                (entry, (journal, next, until, ready))
            }))
        }))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.tail.lock().vote)
    }
}

impl RaftLogStorage<Kinds> for Journal {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Kinds>> {
        let tail = self.tail.lock();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let batch = Batch::default().single(Single::Vote, encode(vote)?);
        self.disk.write_through(batch).await?;
        self.tail.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // It may be behind after a crash: the log is committed again by whoever leads then.
        let batch = Batch::default().single(Single::Committed, encode(&committed)?).lazily();
        self.disk.write(batch).await?;
        self.tail.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.tail.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Kinds>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = Batch::default();
        {
            let mut tail = self.tail.lock();
            let mut first = None;
            for entry in entries {
                let index = entry.log_id.index;
                first.get_or_insert(index);
                batch = batch.put(Table::Log, u128::from(index), encode(&entry)?);
                tail.push(entry);
            }
            tail.unflushed.push_back(first.unwrap_or(u64::MAX));
        }
        let tail = Arc::clone(&self.tail);
        let batch = batch.then(move || {
            let mut tail = tail.lock();
            tail.unflushed.pop_front();
            tail.trim();
            drop(tail);
            flushed.io_completed(Ok(()));
        });
        self.disk.write(batch).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let next = last.map_or(0, |last| last.index + 1);
        {
            let mut tail = self.tail.lock();
            while tail.cached.back().is_some_and(|entry| entry.log_id.index >= next) {
                if let Some(entry) = tail.cached.pop_back() {
                    tail.size -= weight(&entry);
                }
            }
            if tail.last > last {
                tail.last = last.max(tail.purged);
            }
        }
        let batch = Batch::default().delete(Table::Log, u128::from(next), u128::MAX);
        self.disk.write_through(batch).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        {
            let mut tail = self.tail.lock();
            tail.purged = Some(upto);
            while tail.cached.front().is_some_and(|entry| entry.log_id.index <= upto.index) {
                tail.drop_front();
            }
            if tail.last.is_none_or(|last| last.index < upto.index) {
                tail.last = Some(upto);
            }
        }
        let batch = Batch::default().single(Single::Purged, encode(&Some(upto))?).delete(
            Table::Log,
            0,
            u128::from(upto.index),
        );
        self.disk.write_through(batch).await
    }
}
