//! What a plan answers: steps, each with its reason, what is held back and why, and when to ask
//! again though nothing happens.

use std::fmt;

use swarm_model::{EngineRef, StalePolicy};

use super::view::Millis;

/// What to do about one intent or one copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write that its engine lost it ([`super::transition::lost`]). Nothing else.
    Lose {
        /// The engine that failed.
        from: EngineRef,
    },
    /// Find a node, write where it goes ([`super::transition::going`]), create it with the labels
    /// of the intent's generation, write where it is ([`super::transition::arrived`]), and start it
    /// if it is to run; not, though, when by then a copy of it is known to run on an engine that came
    /// back meanwhile: the next plan removes that one first.
    Place {
        /// Engines that have an old copy of it still: not there, the name is taken.
        avoid: Vec<EngineRef>,
    },
    /// It was made, or is somewhere else than believed: write where it is
    /// ([`super::transition::arrived`]).
    Finish {
        /// Where.
        engine: EngineRef,
        /// The engine's id of it.
        container: String,
    },
    /// Start it: it was moved, is to run, and never did.
    Start {
        /// Where.
        engine: EngineRef,
        /// The engine's id of it.
        container: String,
    },
    /// Give it its name: a rename was announced and not carried out, or a move ended before the new
    /// copy got its name.
    Rename {
        /// Where.
        engine: EngineRef,
        /// The engine's id of it.
        container: String,
        /// The name it is to have.
        to: String,
    },
    /// The create never happened, or will not be known to have: write
    /// [`super::transition::abandoned`]. When that leaves nothing, keep that it was removed
    /// (a late copy may still appear), then delete the intent.
    Abandon {
        /// The engine that was to have it.
        engine: EngineRef,
    },
    /// It was removed beside the manager: look once more, then delete the intent; where
    /// `remember` is set, keep first that it was removed, for engines that may bring old copies.
    Drop {
        /// Where it was; `None` when a person removed it and only the intent is left.
        engine: Option<EngineRef>,
        /// See [`super::transition::may_have_copies`].
        remember: bool,
    },
    /// Stop this copy, then remove it (volumes stay) or, by its policy, give it a restart policy of
    /// `no` and set it aside as [`super::transition::aside`] names it.
    RemoveStale {
        /// Where.
        engine: EngineRef,
        /// The engine's id of it.
        container: String,
        /// Its name there.
        name: String,
        /// Whether it runs.
        running: bool,
        /// What becomes of it.
        policy: StalePolicy,
    },
}

impl Action {
    /// One word for events, metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Lose { .. } => "lose",
            Self::Place { .. } => "place",
            Self::Finish { .. } => "finish",
            Self::Start { .. } => "start",
            Self::Rename { .. } => "rename",
            Self::Abandon { .. } => "abandon",
            Self::Drop { .. } => "drop",
            Self::RemoveStale { .. } => "remove-stale",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The intent's id.
    pub intent: String,
    /// The container's name, for people.
    pub name: String,
    /// The generation that the step was planned for; when the intent has another by now, the step
    /// is void. 0 when there is no intent any more.
    pub generation: u64,
    /// What to do.
    pub action: Action,
    /// Why, in words for people: for the event, the log and the API.
    pub reason: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.action.word(), self.name, self.reason)
    }
}

/// A wanted container about which nothing is done, though something is amiss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The intent's id.
    pub intent: String,
    /// The container's name.
    pub name: String,
    /// Why nothing is done.
    pub reason: String,
}

/// What to do now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order; steps of different intents on different engines may overlap in time, except
    /// that what an engine's stale copies need comes before anything else on that engine.
    pub steps: Vec<Step>,
    /// Ask again at this moment even though nothing happened.
    pub wake: Option<Millis>,
    /// What is amiss and waits.
    pub held: Vec<Held>,
}

impl Plan {
    /// Asks to be woken at `at`, or earlier.
    pub(super) fn wake_at(&mut self, at: Millis) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}
