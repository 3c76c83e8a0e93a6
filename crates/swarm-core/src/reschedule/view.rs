//! What a plan is made from: borrowed views, cheap to build from what the runtime has anyway.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use swarm_model::{EngineRef, Intent};

/// A moment on the manager's own steady clock, in milliseconds; where it begins does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Add<Duration> for Millis {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(more.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Millis {
    type Output = Duration;

    /// Zero where `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// What counts as a confirmation that an engine failed where the store has its registration still
/// and cannot tell when it was renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirmation {
    /// That it has not answered this manager for the whole grace.
    #[default]
    Probe,
    /// Only that its registration is gone.
    Registration,
}

/// How patient a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long an engine must be silent before what it had is made elsewhere.
    pub grace: Duration,
    /// See [`Confirmation`].
    pub confirmation: Confirmation,
    /// How many containers may be between two engines at once, so that whether there is room for the
    /// next is asked when the ones before it have their place.
    pub at_once: usize,
}

impl Default for Settings {
    /// Ten seconds: longer than a restart of dockerd and than the re-election of a switch.
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), confirmation: Confirmation::default(), at_once: 16 }
    }
}

/// How an engine looks to this manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// It answers, and everything on it has been read.
    Healthy {
        /// The reading began after everything that this manager knows of intents placed there was
        /// written, and after this manager became primary; nothing is marked to be read again.
        /// While this is false, a container that is not seen may be there all the same.
        settled: bool,
    },
    /// It answered this manager once, and does not now.
    Silent {
        /// When the first probe without an answer began.
        since: Millis,
        /// How the last one failed.
        error: &'a str,
    },
    /// It never answered this manager.
    Unknown {
        /// When this manager first tried, or first read of it in an intent.
        since: Millis,
    },
    /// A person took it out of the pool (`node rm`).
    Gone,
}

/// What the store says about an engine's agent, as of [`View::now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// The registration lapsed, or was withdrawn.
    Absent,
    /// It is there.
    Renewed {
        /// How long ago the agent renewed it.
        ago: Duration,
        /// How long a renewal lasts, where that is known.
        ttl: Option<Duration>,
    },
    /// It is there; when it was renewed cannot be told.
    Present,
    /// Whoever names the engines hears of each of them as often as this manager does, and has given this
    /// one up.
    Down,
    /// The store gives no answer.
    StoreUnavailable,
    /// Engines come from a fixed list: there is no agent to ask.
    NotApplicable,
}

/// A container with an intent's id on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerView<'a> {
    /// The engine's id of it.
    pub id: &'a str,
    /// Its name, without a slash.
    pub name: &'a str,
    /// `com.docker.swarm.id`.
    pub intent: &'a str,
    /// `com.docker.swarm.generation`; 1 where it has none.
    pub generation: u64,
    /// Whether it runs; a paused or restarting one does.
    pub running: bool,
    /// Whether it was ever started (`State.StartedAt` is not the year 1).
    pub ever_started: bool,
}

/// An engine, as this manager sees it.
#[derive(Debug, Clone, Copy)]
pub struct EngineView<'a> {
    /// Who.
    pub engine: &'a EngineRef,
    /// How it looks.
    pub state: State<'a>,
    /// What the store says of it.
    pub registration: Registration,
    /// Its containers that carry an intent's id, in any order; only looked at while it is healthy.
    pub containers: &'a [ContainerView<'a>],
}

/// What this manager is doing about an intent, or about copies that carry its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt<'a> {
    /// Nothing.
    None,
    /// A client's request or a step of an earlier plan is at it: it is left alone, and so are its
    /// copies.
    Busy,
    /// The last step failed, and the next is not to be tried before `at`.
    Failed {
        /// When.
        at: Millis,
        /// How it failed.
        error: &'a str,
    },
}

/// Everything.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Now.
    pub now: Millis,
    /// Since when this manager's own watching counts: when it became primary, or noticed that it
    /// had not run for a while; the later of the two.
    pub watching_since: Millis,
    /// How patient to be.
    pub settings: Settings,
    /// All intents, as the store has them.
    pub intents: &'a [&'a Intent],
    /// All engines of the pool, and those that intents name.
    pub engines: &'a [EngineView<'a>],
    /// What is being done, by the intent's id.
    pub attempt: &'a dyn Fn(&str) -> Attempt<'a>,
    /// Whether a container of this intent's id was removed by a person while a copy of it could not
    /// be reached.
    pub removed: &'a dyn Fn(&str) -> bool,
    /// Whether a named volume is the same data on every engine.
    pub shared_volume: &'a dyn Fn(&str) -> bool,
    /// Whether placement would find a node for it now, and if not, why: the words of the refusal.
    pub suitable: &'a dyn Fn(&Intent) -> Result<(), String>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("now", &self.now)
            .field("watching_since", &self.watching_since)
            .field("intents", &self.intents)
            .field("engines", &self.engines)
            .finish_non_exhaustive()
    }
}
