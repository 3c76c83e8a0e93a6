//! Whether an engine has failed, for the purpose of making its containers elsewhere.
//!
//! Invariant: `Failed` is said of an engine only that this manager has itself asked without an answer
//! for the whole grace, and for which nobody else vouches; or without an answer, and that is given up
//! by who hears of it all the time; or that a person took out of the pool.

use super::view::{Confirmation, EngineView, Millis, Registration, State, View};

/// What is to be thought of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It works; see [`State::Healthy`].
    Works {
        /// Whether what is not seen on it is not there.
        settled: bool,
    },
    /// It does not answer; that it failed is not certain.
    Doubtful {
        /// Why nothing is done.
        reason: String,
        /// When to look again though nothing happens.
        again: Option<Millis>,
    },
    /// It failed.
    Failed(Why),
}

/// Why an engine is believed to have failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// For what is done about it: how long it was silent, and who else does not vouch for it.
    pub reason: String,
    /// For what waits: the same words for as long as nothing changes.
    pub now: String,
}

impl Verdict {
    /// Of this engine.
    pub fn of(engine: &EngineView<'_>, view: &View<'_>) -> Self {
        let name = &engine.engine.name;
        let (since, error) = match engine.state {
            State::Healthy { settled } => return Self::Works { settled },
            State::Gone => {
                let reason = format!("{name} was taken out of the pool");
                return Self::Failed(Why { now: reason.clone(), reason });
            }
            State::Silent { since, error } => (since, error),
            State::Unknown { since } => (since, "it never answered this manager"),
        };
        if engine.registration == Registration::Down {
            let reason = format!("{name} is down and does not answer ({error})");
            return Self::Failed(Why { now: reason.clone(), reason });
        }
        let since = since.max(view.watching_since);
        let silence = view.now - since;
        let grace = view.settings.grace;
        let silent = format!("{name} does not answer ({error})");
        let doubtful =
            |why: &str, again| Self::Doubtful { reason: format!("{silent}; {why}"), again };
        if silence < grace {
            let why = format!("its containers are moved when it has not for {} s", grace.as_secs());
            return doubtful(&why, Some(since + grace));
        }
        // Also where the store or the agent would tell in time: a message may be missed.
        let later = Some(view.now + grace);
        let also = match (engine.registration, view.settings.confirmation) {
            (Registration::StoreUnavailable, _) => {
                return doubtful(
                    "the store does not either, so it may be this manager's fault",
                    later,
                );
            }
            (Registration::Renewed { ago, ttl }, _) if ago < silence => {
                let lapse =
                    ttl.map(|ttl| view.now + ttl.saturating_sub(ago)).filter(|at| *at > view.now);
                return doubtful("its agent still vouches for it", lapse.or(later));
            }
            (Registration::Present, Confirmation::Registration) => {
                return doubtful("its registration is still in the store", later);
            }
            (Registration::Renewed { .. }, _) => " and its agent has not renewed its registration",
            (Registration::Absent, _) => " and its registration is gone",
            (Registration::Present | Registration::NotApplicable | Registration::Down, _) => "",
        };
        let reason = format!("{name} has not answered for {} s ({error}){also}", silence.as_secs());
        Self::Failed(Why { reason, now: silent.clone() })
    }

    /// Whether it works.
    pub fn works(&self) -> bool {
        matches!(self, Self::Works { .. })
    }

    /// Whether it works, and what is not seen on it is not there.
    pub fn settled(&self) -> bool {
        matches!(self, Self::Works { settled: true })
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
