//! Managers whose records are damaged or gone: of several they are filled again from the others; alone,
//! and where too few are left, they say what a person has to do, and begin nothing anew.

use std::fs;
use std::path::Path;

use super::*;
use crate::disk::{KEY, RECORDS};
use crate::{StoreLock, kept_aside};

/// Keys, of which the store then has enough that its middle is in use.
const KEYS: usize = 60;

struct Three {
    streets: Arc<Streets>,
    folders: [TempDir; 3],
    managers: Vec<Arc<Embedded>>,
    lock: Option<StoreLock>,
}

const NAMES: [&str; 3] = ["a:1", "b:1", "c:1"];

impl Three {
    async fn new(lock: Option<StoreLock>) -> Self {
        let (streets, folders) = (Arc::default(), [(); 3].map(|()| tempfile::tempdir().unwrap()));
        let mut this = Self { streets, folders, managers: Vec::new(), lock };
        for (number, join) in [&[][..], &["a:1"], &["a:1"]].into_iter().enumerate() {
            let manager = this.open(number, join).await.unwrap();
            this.managers.push(manager);
        }
        votes(&this.managers[0], 3).await;
        for number in 0..KEYS {
            let write = Write::new(format!("swarm/d/{number}"), vec![1; 500]);
            this.managers[0].put(write).await.unwrap();
        }
        this
    }

    /// As a daemon does that was a member before: it never begins a store.
    async fn open(&self, number: usize, join: &[&str]) -> Result<Arc<Embedded>, StoreError> {
        let mut options = options(&self.folders[number], &self.streets, NAMES[number], join);
        options.lock = self.lock.clone();
        if !self.managers.is_empty() {
            options.swarm.as_mut().unwrap().founds = false;
        }
        let opened = Embedded::open(options).await?;
        self.streets.0.lock().insert(NAMES[number].to_owned(), Arc::clone(&opened));
        Ok(opened)
    }

    async fn stop(&self, number: usize) {
        self.streets.0.lock().remove(NAMES[number]);
        self.managers[number].shutdown().await;
    }

    fn folder(&self, number: usize) -> &Path {
        self.folders[number].path()
    }

    async fn end(self) {
        for number in 0..3 {
            self.stop(number).await;
        }
    }
}

fn overwrite(folder: &Path) {
    let records = folder.join(RECORDS);
    let mut bytes = fs::read(&records).unwrap();
    let quarter = bytes.len() / 4;
    bytes[quarter..3 * quarter].fill(0x5a);
    fs::write(records, bytes).unwrap();
}

fn reason(opened: Result<Arc<Embedded>, StoreError>) -> String {
    match opened {
        Err(StoreError::Refused { reason, .. } | StoreError::Unreachable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// What was done to it; whether there was anything to be kept.
type Case = (&'static str, fn(&Path), bool);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_is_filled_again_from_the_others() {
    let lock = StoreLock::new(zeroize::Zeroizing::new([7; 32]));
    let mut three = Three::new(Some(lock)).await;
    let cases: [Case; 5] = [
        ("overwritten", overwrite, true),
        (
            "cut off",
            |folder| {
                let file = fs::File::options().write(true).open(folder.join(RECORDS)).unwrap();
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            },
            true,
        ),
        ("emptied", |folder| fs::write(folder.join(RECORDS), "").unwrap(), true),
        ("deleted", |folder| fs::remove_file(folder.join(RECORDS)).unwrap(), false),
        ("its key deleted", |folder| fs::remove_file(folder.join(KEY)).unwrap(), true),
    ];
    let mut kept = 0;
    for (what, damage, records) in cases {
        let before = three.managers[2].id();
        three.stop(2).await;
        damage(three.folder(2));
        let bytes = fs::read(three.folder(2).join(RECORDS)).ok();
        let opened = three.open(2, &["a:1", "b:1"]).await;
        three.managers[2] = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
        votes(&three.managers[0], 3).await;
        assert_ne!(three.managers[2].id(), before, "{what}: no forgotten vote counts twice");
        let members = three.managers[0].members().await;
        assert!(members.iter().all(|member| member.id != before), "{what}: {members:?}");
        three.managers[2].barrier().await.unwrap();
        let all = |manager: &Embedded| {
            let followed = manager.follow_all("swarm/", None);
            (followed.revision, format!("{:?}", followed.changes))
        };
        assert_eq!(all(&three.managers[2]), all(&three.managers[0]), "{what}");
        kept += usize::from(records);
        let aside = kept_aside(three.folder(2)).unwrap();
        assert_eq!(aside.len(), kept.min(3), "{what}: {aside:?}");
        // An empty file is made a database before it is found out; one without its key is well.
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty() && !what.contains("key")) {
            let newest = aside.iter().rfind(|path| !path.display().to_string().contains(KEY));
            assert!(fs::read(newest.unwrap()).unwrap() == bytes, "{what}: as it was");
        }
        // As it is now it opens like any other, and under the same lock.
        let id = three.managers[2].id();
        three.stop(2).await;
        three.managers[2] = three.open(2, &["a:1", "b:1"]).await.unwrap();
        assert_eq!(three.managers[2].id(), id, "{what}");
        votes(&three.managers[0], 3).await;
    }
    let key = fs::read(three.folder(2).join(KEY)).unwrap();
    assert!(key.starts_with(b"swarm sealed store key"), "it is locked as it was");
    three.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_lock_opens_is_whole_and_is_left_where_it_is() {
    let lock = |byte| Some(StoreLock::new(zeroize::Zeroizing::new([byte; 32])));
    let mut three = Three::new(lock(7)).await;
    let before = three.managers[2].id();
    three.stop(2).await;
    for other in [lock(8), None] {
        three.lock = other;
        let told = reason(three.open(2, &["a:1", "b:1"]).await);
        assert!(told.contains("store.key cannot be opened"), "{told}");
    }
    assert!(kept_aside(three.folder(2)).unwrap().is_empty());
    assert_eq!(three.managers[0].members().await.len(), 3, "nobody was taken out");
    three.lock = lock(7);
    three.managers[2] = three.open(2, &["a:1", "b:1"]).await.unwrap();
    assert_eq!(three.managers[2].id(), before, "it is who it was");
    three.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_moved_and_words_say_what_to_do() {
    let mut three = Three::new(None).await;
    for number in [1, 2] {
        three.stop(number).await;
        overwrite(three.folder(number));
    }
    let before = fs::read(three.folder(2).join(RECORDS)).unwrap();
    let told = reason(three.open(2, &["a:1", "b:1"]).await);
    for words in ["store.redb is damaged", "force-new-cluster", "swarm restore", "tried again"] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(fs::read(three.folder(2).join(RECORDS)).unwrap(), before);
    assert_eq!(kept_aside(three.folder(2)).unwrap().len(), 0);
    assert_eq!(three.managers[0].members().await.len(), 3, "nobody was taken out");

    // The well one goes on alone, and both are filled again.
    three.stop(0).await;
    let alone = options(&three.folders[0], &three.streets, NAMES[0], &[]);
    let alone = Embedded::open(EmbeddedOptions { alone: true, ..alone }).await.unwrap();
    three.streets.0.lock().insert(NAMES[0].to_owned(), Arc::clone(&alone));
    let mut lead = alone.leadership();
    timeout(PATIENCE, lead.wait_for(|now| now.leads)).await.unwrap().unwrap();
    three.managers[0] = alone;
    for number in [1, 2] {
        three.managers[number] = three.open(number, &["a:1"]).await.unwrap();
        votes(&three.managers[0], number + 1).await;
    }
    assert_eq!(three.managers[2].list("swarm/d").await.unwrap().len(), KEYS);
    three.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_knows_no_other_begins_nothing_anew() {
    let streets = Arc::new(Streets::default());
    let folder = tempfile::tempdir().unwrap();
    open(&folder, &streets, "a:1", &[]).await.shutdown().await;
    let again = |alone: bool| {
        let mut options = options(&folder, &streets, "a:1", &[]);
        options.swarm.as_mut().unwrap().founds = false;
        Embedded::open(EmbeddedOptions { alone, ..options })
    };
    again(false).await.unwrap().shutdown().await;
    let records = folder.path().join(RECORDS);
    let well = fs::read(&records).unwrap();
    overwrite(folder.path());
    let told = reason(again(false).await);
    assert!(told.contains("is damaged") && told.contains("swarm restore"), "{told}");
    assert!(kept_aside(folder.path()).unwrap().is_empty());
    fs::write(&records, "").unwrap();
    let told = reason(again(false).await);
    assert!(told.contains("transactions are missing"), "{told}");
    fs::remove_file(&records).unwrap();
    for alone in [false, true, false] {
        let told = reason(again(alone).await);
        assert!(told.contains("is gone or empty") && told.contains("swarm restore"), "{told}");
        assert!(!records.exists(), "nothing is made");
    }
    // Where it was put back all goes on.
    fs::write(&records, well).unwrap();
    again(false).await.unwrap().shutdown().await;
    // Its file alone, as of a disk that lost what was in it, and its mark.
    for file in [RECORDS, crate::mark::MARK] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    fs::write(&records, "").unwrap();
    let told = reason(again(false).await);
    assert!(told.contains("is gone or empty"), "{told}");
}
