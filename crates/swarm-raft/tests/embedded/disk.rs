//! What becomes of a manager whose files are held, missing, damaged, or cannot be written.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use swarm_kv::{KeyValue as _, StoreError, Write};
use swarm_raft::{Embedded, EmbeddedOptions};
use tempfile::TempDir;

const KEYS: u32 = 60;

async fn open(folder: &Path) -> Result<Arc<Embedded>, StoreError> {
    Embedded::open(EmbeddedOptions::new(folder)).await
}

/// A folder with some keys in it, written one by one.
async fn filled(folder: &Path) -> Arc<Embedded> {
    let embedded = open(folder).await.unwrap();
    for number in 0..KEYS {
        embedded.put(Write::new(format!("d/{number:03}"), vec![1; 500])).await.unwrap();
    }
    embedded
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

/// Opens it: either everything is there, or it is refused in words.
async fn all_or_refused(folder: &Path, what: &str) -> bool {
    match open(folder).await {
        Ok(embedded) => {
            let keys = embedded.list("d").await.unwrap().len();
            embedded.shutdown().await;
            assert_eq!(keys, KEYS as usize, "{what}: it opened with a part only");
            true
        }
        Err(StoreError::Refused { reason, .. }) => {
            assert!(reason.contains("store."), "{what}: {reason}");
            false
        }
        Err(error) => unreachable!("{what}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = filled(folder.path()).await;
    let error = open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("another process has it open"), "{error}");
    embedded.shutdown().await;
    assert!(all_or_refused(folder.path(), "after the first one ended").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("below")).await.unwrap_err().to_string();
    assert!(error.contains("the data folder cannot be made"), "{error}");
    fs::create_dir(folder.path().join("store.redb")).unwrap();
    let error = open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("store.redb cannot be written"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_is_told_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await.shutdown().await;
    let key = folder.path().join("store.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let error = open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("store.key cannot be read") && error.contains("put it back"), "{error}");
    fs::write(&key, [1; 32]).unwrap();
    let error = open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("sealed under another key"), "{error}");
    fs::write(&key, kept).unwrap();
    assert!(all_or_refused(folder.path(), "with its own key again").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = filled(folder.path()).await;
    // As a crash leaves it, and as a clean end does.
    let crashed = copy(folder.path());
    embedded.shutdown().await;
    assert!(all_or_refused(copy(crashed.path()).path(), "a crash").await);
    let mut chance = StdRng::seed_from_u64(11);
    let mut refused = 0;
    for round in 0..60 {
        let source = if round % 2 == 0 { crashed.path() } else { folder.path() };
        let damaged = copy(source);
        let records = damaged.path().join("store.redb");
        let mut bytes = fs::read(&records).unwrap();
        let place = chance.random_range(0..bytes.len());
        let what = match round % 3 {
            0 => {
                bytes.truncate(place);
                format!("cut off at {place}")
            }
            1 => {
                bytes[place..].fill(0);
                format!("torn at {place}")
            }
            _ => {
                let end = (place + 64).min(bytes.len());
                bytes[place..end].fill(0x5a);
                format!("overwritten at {place}")
            }
        };
        fs::write(&records, bytes).unwrap();
        refused += u32::from(!all_or_refused(damaged.path(), &what).await);
    }
    println!("{refused} of 60 damaged stores were refused, the others had all");
    assert!(refused > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_is_told_and_one_moved_away_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = open(folder.path()).await.unwrap();
    embedded.shutdown().await;
    let old = fs::read(folder.path().join("store.redb")).unwrap();
    filled(folder.path()).await.shutdown().await;
    let records = folder.path().join("store.redb");
    let present = fs::read(&records).unwrap();
    fs::write(&records, old).unwrap();
    let error = open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("transactions are missing"), "{error}");
    fs::write(&records, "").unwrap();
    let error = open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("transactions are missing"), "{error}");
    fs::write(&records, present).unwrap();
    assert!(all_or_refused(folder.path(), "what it was").await);
    fs::remove_file(&records).unwrap();
    let embedded = open(folder.path()).await.unwrap();
    assert_eq!(embedded.list("d").await.unwrap(), []);
    embedded.shutdown().await;
}
