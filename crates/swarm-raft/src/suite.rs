//! The consensus library's own tests of what is kept for it, over ours; and what they do not test:
//! reopening, and a cache that is smaller than the log.

use std::sync::Arc;

use openraft::StorageError;
use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, RaftLogReader as _, RaftLogStorage as _};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt as _;
use swarm_store::{Command, When};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::journal::Journal;
use crate::kinds::{Entry, Kinds, LogId};
use crate::state::{Keeper, State};

struct Builder;

fn opened(folder: &TempDir) -> (Arc<Disk>, Journal, Keeper) {
    let disk = Arc::new(Disk::open(folder.path()).unwrap());
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
