//! The last changes, by revision, so that a watcher reads what it missed and not everything.
//!
//! Only keys are recorded: what a watcher is shown is the key's present state. A state that was
//! overwritten meanwhile is skipped, as the port allows.

use std::collections::VecDeque;
use std::sync::Arc;

use swarm_kv::Change;

/// How many changes are kept; a watcher that is further behind reads the whole directory. A pool's
/// burst is a few changes per container of one engine, some thousands.
const KEPT: usize = 8192;

/// What a watcher gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// What to show; a single [`Change::Whole`] at the beginning, or when too much was missed.
    pub changes: Vec<Change>,
    /// From where to follow on.
    pub revision: u64,
}

/// Who changed last.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeLog {
    recorded: VecDeque<(u64, Arc<str>)>,
    /// All changes after this revision are recorded.
    floor: u64,
}

impl ChangeLog {
    /// Nothing is known of what was before `revision`.
    pub fn starting(revision: u64) -> Self {
        Self { recorded: VecDeque::new(), floor: revision }
    }

    pub fn record(&mut self, revision: u64, key: Arc<str>) {
        self.recorded.push_back((revision, key));
        if self.recorded.len() > KEPT
            && let Some((lost, _)) = self.recorded.pop_front()
        {
            self.floor = lost;
        }
    }

    /// The keys that changed after `revision`, in the order of their last changes; `None` when not
    /// all of them are known.
    pub fn after(&self, revision: u64) -> Option<impl Iterator<Item = &Arc<str>>> {
        if revision < self.floor {
            return None;
        }
        let begin = self.recorded.partition_point(|(at, _)| *at <= revision);
        let changed: Vec<_> = self.recorded.range(begin..).collect();
        let mut last = std::collections::HashMap::new();
        for (place, (_, key)) in changed.iter().enumerate() {
            last.insert(&**key, place);
        }
        let is_last = move |place: usize, key: &str| last.get(key) == Some(&place);
        let keys = changed.into_iter().enumerate();
        Some(keys.filter_map(move |(place, (_, key))| is_last(place, key).then_some(key)))
    }
}
