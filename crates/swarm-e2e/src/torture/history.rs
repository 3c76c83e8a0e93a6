//! What happened in a round, in the order of one clock: the engines' own events, the faults, and
//! what clients asked and heard.
//!
//! Engines, managers and clients are processes of one machine, so their times compare.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

/// Milliseconds since the round began.
pub type Millis = u64;

/// What a container did, by its engine's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Created,
    /// It runs.
    Started,
    /// It runs no more.
    Died,
    /// It has another name: the one of the event.
    Renamed,
    /// It is gone.
    Destroyed,
}

/// One event of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The engine's host.
    pub engine: u8,
    /// The container's id.
    pub id: String,
    /// Its name, after the event.
    pub name: String,
    /// The name that its client cares for.
    pub slot: String,
    /// What it did.
    pub change: Change,
}

/// What a client wants of its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Make it, by this name.
    Create(String),
    /// Start it.
    Start(String),
    /// Stop it.
    Stop(String),
    /// Give it another name.
    Rename(String, String),
    /// Remove it.
    Remove(String),
}

/// What a client heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// It was not done, and never will be.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// By an engine's own word.
    Event(Event),
    /// From here on an engine is without power, or cut off from a manager.
    Out(u8),
    /// Nothing of it runs any more.
    Off(u8),
    /// It has power and can be reached again.
    Back(u8),
    /// From here on it may be that no manager can act for a while.
    Shaken,
    /// An engine is asked for a change by a manager; the request's first words.
    Asked(u8, usize, String),
    /// A manager says that it is the primary from here on.
    Primary(usize),
    /// A manager is stopped in its tracks.
    Paused(usize),
    /// It goes on.
    Woken(usize),
    /// A person wants an engine's containers elsewhere.
    Drained(u8),
    /// A client heard an answer; what it was told, for a person to read.
    Heard(String, Op, Answer, String),
    /// For a person to read.
    Note(String),
}

/// One thing, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Millis,
    /// What.
    pub what: What,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_millis(self.at).as_secs_f64();
        write!(f, "{at:8.3} ")?;
        match &self.what {
            What::Event(event) => {
                let (id, change) = (event.id.get(..8).unwrap_or(&event.id), &event.change);
                write!(f, "host-{}: {} ({id}) {change:?}", event.engine, event.name)
            }
            What::Out(engine) => write!(f, "host-{engine} goes away"),
            What::Off(engine) => write!(f, "host-{engine} is off"),
            What::Back(engine) => write!(f, "host-{engine} is back"),
            What::Shaken => write!(f, "the managers are shaken"),
            What::Asked(engine, manager, words) => {
                write!(f, "manager {} asks host-{engine}: {words}", manager + 1)
            }
            What::Primary(manager) => write!(f, "manager {} is the primary", manager + 1),
            What::Paused(manager) => write!(f, "manager {} is paused", manager + 1),
            What::Woken(manager) => write!(f, "manager {} wakes", manager + 1),
            What::Drained(engine) => write!(f, "host-{engine} is to be drained"),
            What::Heard(slot, op, answer, words) => {
                write!(f, "client of {slot}: {op:?}: {answer:?} ({words})")
            }
            What::Note(words) => write!(f, "{words}"),
        }
    }
}

/// Takes down what happens; cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    begun: Arc<Mutex<SystemTime>>,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { begun: Arc::new(Mutex::new(SystemTime::now())), entries: Arc::default() }
    }
}

impl Recorder {
    /// The round begins now; what came before is no part of it.
    pub fn begin(&self) {
        *self.begun.lock() = SystemTime::now();
        self.entries.lock().clear();
    }

    /// When the round began.
    pub fn begun(&self) -> SystemTime {
        *self.begun.lock()
    }

    /// Now.
    pub fn now(&self) -> Millis {
        self.at(SystemTime::now())
    }

    /// A moment as the history counts it; 0 is all before the round.
    pub fn at(&self, moment: SystemTime) -> Millis {
        let since = moment.duration_since(self.begun()).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes down what happens now.
    pub fn note(&self, what: What) {
        self.note_at(self.now(), what);
    }

    /// Takes down what happened then.
    pub fn note_at(&self, at: Millis, what: What) {
        self.entries.lock().push(Entry { at, what });
    }

    /// Words for a person.
    pub fn say(&self, words: impl Into<String>) {
        self.note(What::Note(words.into()));
    }

    /// All of it so far, in order of time.
    pub fn history(&self) -> Vec<Entry> {
        let mut all = self.entries.lock().clone();
        all.sort_by_key(|entry| entry.at);
        all
    }
}

/// The part of a history around a moment, for a person to read.
pub fn around(history: &[Entry], at: Millis, before: Millis, after: Millis) -> String {
    let (from, to) = (at.saturating_sub(before), at.saturating_add(after));
    let near = history.iter().filter(|entry| (from..=to).contains(&entry.at));
    near.map(Entry::to_string).collect::<Vec<_>>().join("\n")
}
