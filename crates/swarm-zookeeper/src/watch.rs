//! Watching a directory: what is marked as touched is read, compared with what was told, and told
//! where it is new. Only touched keys are read.
//!
//! It leaves to `marks` how the server's notices become marks. Every connection that breaks ends a
//! watch's session for it: the next one begins with the whole directory.
//!
//! Invariants: a failure is told once, another kind of failure again; after one, the next thing told
//! is the whole directory.

use std::collections::{BTreeMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use swarm_backoff::Backoff;
use swarm_kv::{Change, Item, Result, Revision, StoreError, Watch};
use tokio::time::{sleep, timeout};
use zookeeper_client::Error;

use crate::marks::Marks;
use crate::session::{Session, Shared};
use crate::{path, read};

/// Before the first new attempt after a failure; doubled with each.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest wait between two attempts.
const LAST_RETRY: Duration = Duration::from_secs(15);

/// The changes of a directory, for ever.
pub(crate) fn watch(shared: Arc<Shared>, directory: &str) -> Watch {
    let watcher = Watcher {
        shared,
        directory: directory.to_owned(),
        following: None,
        changes: VecDeque::new(),
        backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        pause: None,
        told: None,
    };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        let change = watcher.next().await;
        Some((change, watcher))
    }))
}

struct Watcher {
    shared: Arc<Shared>,
    directory: String,
    following: Option<Following>,
    /// Read and not told yet; at most what one reading holds.
    changes: VecDeque<Change>,
    backoff: Backoff,
    /// After a failure, before the next attempt.
    pause: Option<Duration>,
    /// The kind of the last failure that was told, while it lasts.
    told: Option<Discriminant<StoreError>>,
}

/// A directory whose changes are noticed.
struct Following {
    session: Arc<Session>,
    marks: Marks,
    known: BTreeMap<String, Revision>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Change> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Ok(change);
            }
            if let (Some(pause), None) = (self.pause, &self.following) {
                sleep(pause).await;
            }
            match self.advance().await {
                Ok(changes) => {
                    (self.pause, self.told) = (None, None);
                    self.backoff.reset();
                    self.changes = changes;
                }
                Err(error) => {
                    if let Some(following) = self.following.take() {
                        self.shared.give_up(&following.session);
                    }
                    self.pause = Some(self.backoff.step());
                    let kind = discriminant(&error);
                    if self.told.replace(kind) != Some(kind) {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn advance(&mut self) -> Result<VecDeque<Change>> {
        let access = Arc::clone(&self.shared.access);
        let Some(following) = &mut self.following else {
            let beginning = begin(&self.shared, &self.directory);
            let (following, items) = self.shared.in_time(beginning).await?;
            self.following = Some(following);
            return Ok(VecDeque::from([Change::Whole(items)]));
        };
        let Some(names) = following.marks.taken().await else {
            return Err(access.words.unreachable("the connection broke off"));
        };
        let keys = names.iter().map(|name| path::child(&self.directory, name)).collect();
        let reading = read::values(&following.session.client, keys);
        match timeout(access.deadline, reading).await {
            Ok(Ok(items)) => Ok(following.compare(items)),
            Ok(Err(error)) => Err(access.words.of(&error, &self.directory)),
            Err(_) => Err(access.too_late()),
        }
    }
}

/// Begins to notice changes, and then reads the whole.
async fn begin(shared: &Arc<Shared>, directory: &str) -> Result<(Following, Vec<Item>)> {
    let words = &shared.access.words;
    let znode = path::directory(directory).map_err(|reason| words.refused(reason))?;
    loop {
        let session = shared.session().await?;
        let trees = shared.watches_trees();
        let error = match begin_with(&session, directory, &znode, trees).await {
            Ok((marks, items)) => {
                let known = items.iter().map(|item| (item.key.clone(), item.revision)).collect();
                return Ok((Following { session, marks, known }, items));
            }
            Err(error) => error,
        };
        if error == Error::Unimplemented && trees {
            shared.cannot_watch_trees(&session);
        } else {
            shared.give_up(&session);
            return Err(words.of(&error, directory));
        }
    }
}

async fn begin_with(
    session: &Session,
    directory: &str,
    znode: &str,
    trees: bool,
) -> std::result::Result<(Marks, Vec<Item>), Error> {
    let client = &session.client;
    let marks = if trees {
        Marks::by_tree(client, znode).await?
    } else {
        Marks::by_key(client, znode).await?
    };
    Ok((marks, read::list(client, directory, znode).await?))
}

impl Following {
    /// What is to be told of keys that were read again.
    fn compare(&mut self, items: Vec<(String, Option<Item>)>) -> VecDeque<Change> {
        let mut changes = VecDeque::new();
        for (key, item) in items {
            match item {
                Some(item) => {
                    let before = self.known.insert(key, item.revision);
                    if before != Some(item.revision) {
                        changes.push_back(Change::Put(item));
                    }
                }
                None => {
                    if self.known.remove(&key).is_some() {
                        changes.push_back(Change::Deleted(key));
                    }
                }
            }
        }
        changes
    }
}
