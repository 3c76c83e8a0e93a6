//! The feed: one picture of the pool or swarm for all who look, and the changes since.
//!
//! The watcher alone writes; a client's stream takes what it has not had yet when its connection
//! has room for it, so that a slow one holds nothing but its place.

mod journal;
mod picture;
mod stream;
mod watcher;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use swarm_backend::Overview;
use tokio::sync::watch;

use crate::sse::Place;
use journal::Journal;
use picture::{Json, Picture};

pub use stream::body;
pub use watcher::run;

/// How many events a client that comes is told of.
const EVENTS: usize = 300;
/// How long the first look may take.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// See the module.
pub struct Feed {
    sight: Arc<dyn Overview>,
    /// What the page has to carry when it acts; `None` where it may not.
    key: Option<String>,
    state: Mutex<State>,
    /// Counts what was added to `state`.
    news: watch::Sender<u64>,
    lookers: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    picture: Picture,
    journal: Journal,
    events: VecDeque<Json>,
    /// The picture is that of a pool.
    ready: bool,
}

impl State {
    fn new() -> Self {
        Self {
            picture: Picture::default(),
            journal: Journal::new(rand::random()),
            events: VecDeque::new(),
            ready: false,
        }
    }

    fn whole(&self) -> Whole {
        Whole {
            place: self.journal.place(),
            pool: self.picture.pool(),
            nodes: self.picture.nodes(),
            services: self.picture.services(),
            containers: self.picture.containers(),
            events: self.events.iter().cloned().collect(),
        }
    }
}

/// Everything at one moment.
struct Whole {
    place: Place,
    pool: Option<Json>,
    nodes: Vec<Json>,
    services: Vec<Json>,
    containers: Vec<Json>,
    events: Vec<Json>,
}

/// Somebody looks; dropping it says that he does not any more.
pub struct Looker(Arc<Feed>);

impl Drop for Looker {
    fn drop(&mut self) {
        self.0.lookers.send_modify(|count| *count -= 1);
    }
}

impl Feed {
    /// A feed that nobody looks at.
    pub fn new(sight: Arc<dyn Overview>, key: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            sight,
            key,
            state: Mutex::new(State::new()),
            news: watch::Sender::new(0),
            lookers: watch::Sender::new(0),
        })
    }

    /// From now on the picture is kept up.
    pub fn look(self: &Arc<Self>) -> Looker {
        self.lookers.send_modify(|count| *count += 1);
        Looker(Arc::clone(self))
    }

    /// Everything as one JSON object; `None` when there was no look in time.
    pub async fn snapshot(self: &Arc<Self>) -> Option<Bytes> {
        let _looker = self.look();
        let mut news = self.news.subscribe();
        let ready = news.wait_for(|_| self.state.lock().ready);
        tokio::time::timeout(FIRST_LOOK, ready).await.ok()?.ok()?;
        let whole = self.state.lock().whole();
        let mut out = Vec::with_capacity(1 << 16);
        let key = serde_json::to_string(&self.key).unwrap_or_else(|_| "null".to_owned());
        out.extend_from_slice(
            format!("{{\"place\":\"{}\",\"key\":{key},\"pool\":", whole.place.text()).as_bytes(),
        );
        out.extend_from_slice(whole.pool.as_ref().map_or("null", |pool| pool.get()).as_bytes());
        for (key, list) in [
            ("nodes", &whole.nodes),
            ("services", &whole.services),
            ("containers", &whole.containers),
            ("events", &whole.events),
        ] {
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            write_list(&mut out, list);
        }
        out.push(b'}');
        Some(out.into())
    }

    fn changed(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.news.send_modify(|count| *count += 1);
    }
}

/// A JSON array of what is JSON already.
fn write_list(out: &mut Vec<u8>, list: &[Arc<RawValue>]) {
    out.push(b'[');
    for (place, one) in list.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(one.get().as_bytes());
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
