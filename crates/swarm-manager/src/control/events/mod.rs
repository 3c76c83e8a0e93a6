//! What happens to the swarm's objects, as `GET /events` tells it: found by comparing what this manager
//! has with what it had, so that each manager tells it, whoever made the change.
//!
//! Reading order: [`face`] (what is told, pure), this file (who watches and remembers), [`joined`]
//! (among an engine's own events).
//!
//! Invariants: what happened before this manager was there is not told; changes that come faster than
//! they are looked at are told as one; a listener has each event that comes after those it was given
//! from the past, and none twice.

mod face;
mod joined;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use swarm_docker::event::{Event, EventQuery};
use swarm_model::{Id, Time};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::face::{Face, Happened, compare};
use super::Control;
use crate::replica::{Tables, Touched};

/// How many are remembered, as by an engine.
const REMEMBERED: usize = 256;
/// How many a listener may be behind before its stream ends.
const BACKLOG: usize = 4096;

/// One event.
#[derive(Debug)]
pub(super) struct Told {
    event: Event,
    /// The line to send, without its newline.
    line: Bytes,
}

/// What happened lately, and who listens.
#[derive(Debug)]
pub(super) struct Events {
    past: Mutex<VecDeque<Arc<Told>>>,
    live: broadcast::Sender<Arc<Told>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { past: Mutex::default(), live: broadcast::Sender::new(BACKLOG) }
    }
}

impl Events {
    fn publish(&self, told: Told) {
        let told = Arc::new(told);
        let mut past = self.past.lock();
        if past.len() == REMEMBERED {
            past.pop_front();
        }
        past.push_back(Arc::clone(&told));
        // Under the lock, so that who listens from now on has not read it in the past. An error means
        // that nobody listens.
        let _ = self.live.send(told);
    }

    /// The past that is asked for, and all that comes.
    fn listen(&self, query: &EventQuery) -> (VecDeque<Arc<Told>>, broadcast::Receiver<Arc<Told>>) {
        let past = self.past.lock();
        let nanos = |at: jiff::Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        let asked = query.since.map(|since| nanos(since)..=query.until.map_or(i64::MAX, nanos));
        let in_time = |told: &&Arc<Told>| {
            asked.as_ref().is_some_and(|asked| asked.contains(&told.event.time_nanos()))
        };
        (past.iter().filter(in_time).cloned().collect(), self.live.subscribe())
    }
}

/// Docker's word for a kind of object, and the object's id.
type Which = (&'static str, Id);

/// What this manager had when it looked last.
#[derive(Debug, Default)]
struct Seen {
    faces: BTreeMap<Which, Face>,
    /// The leader's address, of the last that was known.
    leader: Option<String>,
}

impl Seen {
    /// Looks at what was touched; what happened to it, in the order of time.
    fn look(&mut self, tables: &Tables, touched: &Touched, now: Time) -> Vec<(Which, Happened)> {
        let leader = self.leader.as_deref();
        let mut looks: Vec<(Which, Option<Face>)> = Vec::new();
        // Those of a kind that may have changed: all that were or are there, or those named.
        macro_rules! kind {
            ($word:literal, $table:ident, $face:expr) => {
                let ids: Vec<Id> = if touched.whole {
                    let had = self.faces.keys().filter(|(word, _)| *word == $word);
                    had.map(|(_, id)| id.clone()).chain(tables.$table.keys().cloned()).collect()
                } else {
                    touched.$table.iter().cloned().collect()
                };
                looks.extend(ids.into_iter().map(|id| {
                    let face = tables.$table.get(&id).map(|object| $face(object));
                    (($word, id), face)
                }));
            };
        }
        kind!("node", nodes, |node| Face::of_node(node, leader));
        kind!("service", services, Face::of_service);
        kind!("secret", secrets, Face::of_secret);
        kind!("config", configs, Face::of_config);
        kind!("network", networks, Face::of_network);
        let mut all = Vec::new();
        for (which, face) in looks {
            let happened = compare(self.faces.get(&which), face.as_ref(), now);
            match face {
                Some(face) => self.faces.insert(which.clone(), face),
                None => self.faces.remove(&which),
            };
            all.extend(happened.map(|happened| (which, happened)));
        }
        all.sort_by_key(|(_, happened)| happened.at);
        all
    }
}

/// The event as Docker writes it.
fn told((kind, id): &Which, happened: &Happened) -> Option<Told> {
    let line = serde_json::to_vec(&json!({
        "Type": kind,
        "Action": happened.action,
        "Actor": { "ID": id, "Attributes": happened.attributes },
        "scope": "swarm",
        "time": happened.at.0 / 1_000_000_000,
        "timeNano": happened.at.0,
    }));
    let line = Bytes::from(line.ok()?);
    Some(Told { event: Event::parse(line.clone()).ok()?, line })
}

impl Control {
    /// Tells what happens to the swarm's objects, until it is told to stop.
    pub async fn follow_events(self: Arc<Self>, stop: CancellationToken) {
        let feed = self.replica.feed();
        let mut leadership = self.replica.store().leadership();
        let clock = || Time(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0));
        let start = clock();
        let mut seen =
            Seen { leader: leadership.borrow_and_update().leader.clone(), ..Seen::default() };
        let everything = Touched { whole: true, ..Touched::default() };
        // What is there already is no news.
        self.replica.read(|tables| seen.look(tables, &everything, start));
        loop {
            let touched = tokio::select! {
                () = stop.cancelled() => return,
                touched = feed.changed() => touched,
                changed = leadership.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let Some(leader) = leadership.borrow_and_update().leader.clone() else { continue };
                    seen.leader = Some(leader);
                    let nodes = self.replica.read(|tables| tables.nodes.keys().cloned().collect());
                    Touched { nodes, ..Touched::default() }
                }
            };
            let happened = self.replica.read(|tables| seen.look(tables, &touched, clock()));
            for (which, happened) in happened.iter().filter(|(_, happened)| happened.at >= start) {
                if let Some(told) = told(which, happened) {
                    self.events.publish(told);
                }
            }
        }
    }
}
