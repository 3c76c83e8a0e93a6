//! How often the keeper did what, for `docker info` and for whoever measures.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Counts by the event's name.
#[derive(Debug, Default)]
pub(crate) struct Moves(Mutex<BTreeMap<&'static str, u64>>);

impl Moves {
    /// One more.
    pub fn count(&self, action: &'static str) {
        *self.0.lock().entry(action).or_default() += 1;
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().clone()
    }
}
