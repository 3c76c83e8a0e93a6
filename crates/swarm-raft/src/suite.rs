//! The consensus library's own tests of what is kept for it, over ours; and what they do not test:
//! reopening, and a cache that is smaller than the log.

use std::sync::Arc;

use openraft::StorageError;
use openraft::entry::RaftEntry as _;
use openraft::storage::{
    IOFlushed, RaftLogReader as _, RaftLogStorage as _, RaftStateMachine as _,
};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt as _;
use swarm_store::{Command, When};
use tempfile::TempDir;

use crate::disk::{Disk, Table};
use crate::journal::Journal;
use crate::kinds::{Entry, Kinds, LogId};
use crate::state::{Keeper, State};

struct Builder;

fn opened(folder: &TempDir) -> (Arc<Disk>, Journal, Keeper) {
    let disk = Arc::new(Disk::open(folder.path(), None).unwrap());
    let state = State::open(Arc::clone(&disk)).unwrap();
    let journal = Journal::open(Arc::clone(&disk)).unwrap();
    (disk, journal, Keeper(state))
}

impl StoreBuilder<Kinds, Journal, Keeper, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Journal, Keeper), StorageError<Kinds>> {
        let folder = tempfile::tempdir().unwrap();
        let (_, journal, keeper) = opened(&folder);
        Ok((folder, journal, keeper))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_librarys_own_tests_pass() {
    Suite::test_all(Builder).await.unwrap();
}

fn entry(index: u64, size: usize) -> Entry {
    let id = LogId {
        leader_id: openraft::impls::leader_id_adv::LeaderId { term: 1, node_id: 1 },
        index,
    };
    let mut entry = Entry::new_blank(id);
    entry.payload = openraft::EntryPayload::Normal(Command::Put {
        key: format!("d/{index}"),
        value: vec![7; size].into(),
        when: When::Always,
        lease: None,
        guard: None,
    });
    entry
}

async fn append(journal: &mut Journal, entries: impl IntoIterator<Item = Entry> + Send) {
    let entries: Vec<_> = entries.into_iter().collect();
    let (told, flushed) = Kinds::oneshot();
    journal.append(entries, IOFlushed::signal(told)).await.unwrap();
    flushed.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_larger_than_the_cache_is_read_whole_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, mut journal, _) = opened(&folder);
    for ten in 0..40 {
        append(&mut journal, (ten * 10..ten * 10 + 10).map(|index| entry(index, 50_000))).await;
    }
    let check = async |journal: &mut Journal, from: u64| {
        for begin in [from, from + 1, 250, 390, 399] {
            let entries = journal.try_get_log_entries(begin..400).await.unwrap();
            let indices: Vec<_> = entries.iter().map(|entry| entry.log_id.index).collect();
            assert_eq!(indices, (begin..400).collect::<Vec<_>>());
            let some = journal.limited_get_log_entries(begin, 400).await.unwrap();
            assert!(!some.is_empty() && some.len() < 25 && some[0].log_id.index == begin);
        }
    };
    check(&mut journal, 0).await;
    journal.purge(entry(99, 0).log_id).await.unwrap();
    check(&mut journal, 100).await;
    assert_eq!(journal.try_get_log_entries(0..102).await.unwrap().len(), 2);
    disk.close().await;
    drop((journal, disk));
    let (_, mut journal, _) = opened(&folder);
    check(&mut journal, 100).await;
    journal.truncate_after(Some(entry(150, 0).log_id)).await.unwrap();
    append(&mut journal, [entry(151, 10)]).await;
    let entries = journal.try_get_log_entries(149..400).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>(), [149, 150, 151]);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_snapshots_stay_as_are_to_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, _, keeper) = opened(&folder);
    let state = Arc::clone(&keeper.0);
    let on_disk = |disk: &Disk| {
        let chunks = disk.read(Table::Chunk, 0..=u128::MAX, usize::MAX).unwrap();
        chunks.iter().map(|(key, _)| u64::try_from(key >> 64).unwrap()).collect::<Vec<_>>()
    };
    state.keep_snapshots(2, 1);
    for (index, kept) in [(1, vec![1]), (2, vec![1, 2]), (3, vec![2, 3])] {
        state.apply_one(entry(index, 10));
        state.cut().await.unwrap();
        assert_eq!(on_disk(&disk), kept);
    }
    // One that was never finished goes at the next start; those that are kept do not.
    state.keep(9, 0, vec![1]).await.unwrap();
    disk.close().await;
    drop((state, keeper, disk));
    let (disk, _, keeper) = opened(&folder);
    keeper.0.sweep().await.unwrap();
    disk.write_through(crate::writer::Batch::default()).await.unwrap();
    assert_eq!(on_disk(&disk), [2, 3]);
    keeper.0.keep_snapshots(2, 0);
    keeper.0.cut().await.unwrap();
    assert_eq!(on_disk(&disk).len(), 1);
    // After so many entries one is due.
    keeper.0.apply_one(entry(4, 10));
    let due = || tokio::time::timeout(std::time::Duration::ZERO, keeper.0.due.notified());
    let mut applying = keeper.clone();
    let none = futures_util::stream::iter(Vec::new());
    applying.apply(none).await.unwrap();
    assert!(due().await.is_err());
    keeper.0.apply_one(entry(5, 10));
    keeper.0.keep_snapshots(2, 0);
    due().await.unwrap();
}
