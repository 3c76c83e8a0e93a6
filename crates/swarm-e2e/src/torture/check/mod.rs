//! What must hold, a file each, in the simulation's own words (`swarm_sim::check`).
//!
//! The checkers are pure: they read a history and lists, and ask nobody.

mod doubles;
mod fence;
mod moves;
mod promises;
mod settled;
mod stays;

use std::fmt;

use super::history::{Entry, Millis};
use super::plan::Wish;

pub use doubles::running;
pub use moves::{Moves, moves};
pub use promises::{Promises, Wanted};
pub use settled::{End, unsettled};

/// A breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// When.
    pub at: Millis,
    /// Which rule.
    pub rule: &'static str,
    /// What happened.
    pub words: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::cast_precision_loss)] // Some minutes.
        let at = self.at as f64 / 1e3;
        write!(f, "at {at:.3} s, {}: {}", self.rule, self.words)
    }
}

/// The first breach in a whole history, and what the clients were promised in it.
pub fn look(history: &[Entry], wishes: &[Wish], promises: &[Promises]) -> Option<Breach> {
    let broken = promises.iter().find_map(Promises::broken);
    let broken = broken.map(|(at, words)| Breach { at, rule: "promises are kept", words });
    let double = doubles::look(history).or_else(|| fence::look(history));
    double.or_else(|| stays::look(history, wishes)).or(broken)
}

#[cfg(test)]
mod planted {
    //! Histories for the checkers' tests.

    use crate::torture::history::{Change, Entry, Event, Millis, What};

    /// Container `id` of `slot` on `engine`, by the slot's name.
    pub fn event(at: Millis, engine: u8, id: &str, change: Change) -> Entry {
        named(at, engine, id, "s0", change)
    }

    /// As [`event`], with a name.
    pub fn named(at: Millis, engine: u8, id: &str, name: &str, change: Change) -> Entry {
        let slot = name.split('-').next().unwrap_or(name).to_owned();
        let (id, name) = (id.to_owned(), name.to_owned());
        Entry { at, what: What::Event(Event { engine, id, name, slot, change }) }
    }

    /// Anything else.
    pub fn entry(at: Millis, what: What) -> Entry {
        Entry { at, what }
    }
}
