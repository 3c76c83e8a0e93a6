//! Which keys of a directory were touched since they were last read: the server's notices, kept as
//! a set, so that a reader who is slow misses nothing and the memory for it is bounded by the
//! directory's keys.
//!
//! It leaves reading to `watch`. From 3.6 on ZooKeeper keeps a watch over a whole tree and names
//! what was touched; older ones notice each znode once, so there each key is watched, and after each
//! notice watched again.
//!
//! Invariants: a mark is set after the notice came and cleared before the key is read; once the
//! connection broke, the marks are over: the library does not renew a tree's watch, and notices are
//! lost meanwhile (ZOOKEEPER-4698).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use zookeeper_client::{
    AddWatchMode, Client, Error, EventType, OneshotWatcher, PersistentWatcher, SessionState,
    WatchedEvent,
};

use crate::path;

/// The marks of one directory. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Marks {
    board: Arc<Board>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeSet<String>,
    over: bool,
}

impl Marks {
    /// Notices what happens to the children of `directory` from now on; [`Error::Unimplemented`]
    /// from servers that cannot watch a tree.
    pub(crate) async fn by_tree(client: &Client, directory: &str) -> Result<Self, Error> {
        let watcher = client.watch(directory, AddWatchMode::PersistentRecursive).await?;
        let directory = directory.to_owned();
        Ok(Self::by(|board| async move { follow_tree(watcher, &directory, &board).await }))
    }

    /// The same for servers that cannot.
    pub(crate) async fn by_key(client: &Client, directory: &str) -> Result<Self, Error> {
        let (client, directory) = (client.clone(), directory.to_owned());
        // Watched before it is read: what happens in between is marked.
        let children = Children::of(&client, &directory).await?;
        Ok(Self::by(|board| async move {
            // The end of the session is told by the board, whatever ended it.
            let _ = follow_keys(&client, &directory, children, &board).await;
        }))
    }

    fn by<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(Arc<Board>) -> F) -> Self {
        let board = Arc::new(Board::default());
        let ending = Ending(Arc::clone(&board));
        let run = run(Arc::clone(&board));
        let task = tokio::spawn(async move {
            let _ending = ending;
            run.await;
        });
        Self { board, task: task.abort_handle() }
    }

    /// Waits for marks and takes them all; `None` when there will be no more.
    pub(crate) async fn taken(&self) -> Option<BTreeSet<String>> {
        loop {
            let changed = self.board.changed.notified();
            {
                let mut state = self.board.state.lock();
                if state.over {
                    return None;
                }
                if !state.names.is_empty() {
                    return Some(std::mem::take(&mut state.names));
                }
            }
            changed.await;
        }
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Board {
    fn mark(&self, name: &str) {
        self.state.lock().names.insert(name.to_owned());
        self.changed.notify_one();
    }
}

/// Says so when the following ended, however it did.
struct Ending(Arc<Board>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state.lock().over = true;
        self.0.changed.notify_one();
    }
}

async fn follow_tree(mut watcher: PersistentWatcher, directory: &str, board: &Board) {
    loop {
        let event = watcher.changed().await;
        if event.event_type == EventType::Session {
            return;
        }
        if let Some(name) = path::name_in(directory, &event.path) {
            board.mark(name);
        }
    }
}

/// The names in a directory, with a watch on them; where it is not there, on its appearing.
struct Children {
    names: BTreeSet<String>,
    watcher: OneshotWatcher,
}

impl Children {
    async fn of(client: &Client, directory: &str) -> Result<Self, Error> {
        loop {
            match client.list_and_watch_children(directory).await {
                Ok((names, watcher)) => {
                    return Ok(Self { names: names.into_iter().collect(), watcher });
                }
                Err(Error::NoNode) => {}
                Err(error) => return Err(error),
            }
            let (there, watcher) = client.check_and_watch_stat(directory).await?;
            if there.is_none() {
                return Ok(Self { names: BTreeSet::new(), watcher });
            }
        }
    }
}

async fn follow_keys(
    client: &Client,
    directory: &str,
    mut children: Children,
    board: &Board,
) -> Result<(), Error> {
    let mut states = client.state_watcher();
    let mut watched = FuturesUnordered::new();
    let mut known = BTreeSet::new();
    loop {
        let Children { names, watcher } = children;
        // Watched before they are marked, and so before they are read.
        for name in names.difference(&known) {
            watched.extend(watch_key(client, directory, name).await?);
        }
        for name in known.symmetric_difference(&names) {
            board.mark(name);
        }
        known = names;
        let mut changed = std::pin::pin!(watcher.changed());
        loop {
            tokio::select! {
                state = states.changed() => if state != SessionState::SyncConnected {
                    return Ok(());
                },
                event = &mut changed => {
                    still_there(&event)?;
                    break;
                }
                Some((name, event)) = watched.next() => {
                    let event: WatchedEvent = event;
                    still_there(&event)?;
                    let name: String = name;
                    // Watched again before it is marked, and so before it is read.
                    match watch_key(client, directory, &name).await? {
                        Some(change) => watched.push(change),
                        None => drop(known.remove(&name)),
                    }
                    board.mark(&name);
                }
            }
        }
        children = Children::of(client, directory).await?;
    }
}

fn still_there(event: &WatchedEvent) -> Result<(), Error> {
    let over = event.event_type == EventType::Session;
    if over { Err(Error::SessionExpired) } else { Ok(()) }
}

/// A wait for the next change of a key; none when it is gone.
async fn watch_key(
    client: &Client,
    directory: &str,
    name: &str,
) -> Result<Option<impl Future<Output = (String, WatchedEvent)> + use<>>, Error> {
    let znode = if directory == "/" { format!("/{name}") } else { format!("{directory}/{name}") };
    let (there, watcher) = client.check_and_watch_stat(&znode).await?;
    let name = name.to_owned();
    Ok(there.map(|_| async move { (name, watcher.changed().await) }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};
    use zookeeper_client::{Acls, CreateMode};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn marked(marks: &Marks, expected: &[&str]) {
        let mut missing: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        while !missing.is_empty() {
            let names = tokio::time::timeout(PATIENCE, marks.taken()).await;
            let names = names.expect("marks are set").expect("the connection holds");
            missing.retain(|name| !names.contains(name));
        }
    }

    /// Both ways mark whatever is touched, however often, and end with the connection.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_touched_is_marked_by_tree_and_by_key() {
        let mut server = ZooKeeperServer::start(Config::default()).unwrap();
        let address = server.address(0);
        let client = Client::connect(&address).await.unwrap();
        let other = Client::connect(&address).await.unwrap();
        let open = CreateMode::Persistent.with_acls(Acls::anyone_all());
        for directory in ["/tree", "/keys"] {
            let marks = match directory {
                "/tree" => Marks::by_tree(&client, directory).await,
                _ => Marks::by_key(&client, directory).await,
            };
            let marks = marks.unwrap();
            let at = |name: &str| format!("{directory}/{name}");
            // The directory is made after it is watched.
            other.create(directory, b"", &open).await.unwrap();
            for round in 0..3_u8 {
                for name in ["a", "b"] {
                    other.create(&at(name), b"", &open).await.unwrap();
                }
                marked(&marks, &["a", "b"]).await;
                for value in 0..3 {
                    other.set_data(&at("a"), &[round, value], None).await.unwrap();
                    marked(&marks, &["a"]).await;
                }
                other.delete(&at("b"), None).await.unwrap();
                marked(&marks, &["b"]).await;
                // Gone and there again before anybody looked.
                other.delete(&at("a"), None).await.unwrap();
                other.create(&at("a"), b"again", &open).await.unwrap();
                marked(&marks, &["a"]).await;
                other.set_data(&at("a"), b"changed", None).await.unwrap();
                marked(&marks, &["a"]).await;
                other.delete(&at("a"), None).await.unwrap();
                marked(&marks, &["a"]).await;
            }
        }
        for marks in [
            Marks::by_tree(&client, "/end").await.unwrap(),
            Marks::by_key(&client, "/none").await.unwrap(),
        ] {
            if server.server(0).is_running() {
                server.server(0).crash().unwrap();
            }
            let end = tokio::time::timeout(PATIENCE, marks.taken()).await;
            assert_eq!(end.expect("they end"), None);
        }
    }
}
