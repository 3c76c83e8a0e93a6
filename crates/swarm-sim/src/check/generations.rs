//! Generations only rise, and each has one create request at most.

use std::collections::{BTreeMap, BTreeSet};

use swarm_model::Intent;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Generations {
    written: BTreeMap<String, u64>,
    created: BTreeSet<(String, u64)>,
}

impl Generations {
    pub(super) fn written(&mut self, intent: &Intent) -> Option<String> {
        let highest = self.written.entry(intent.id.clone()).or_default();
        let before = *highest;
        *highest = before.max(intent.generation);
        (intent.generation < before).then(|| {
            format!("{} was at generation {before}, and is at {}", intent.id, intent.generation)
        })
    }

    /// A late write may bring a deleted intent back as it once was; the creates stay counted.
    pub(super) fn deleted(&mut self, intent: &str) {
        self.written.remove(intent);
    }

    pub(super) fn create(&mut self, intent: &str, generation: u64) -> Option<String> {
        let new = self.created.insert((intent.to_owned(), generation));
        (!new).then(|| format!("generation {generation} of {intent} is asked for twice"))
    }
}
