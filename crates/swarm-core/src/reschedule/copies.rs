//! Which containers on working engines belong to which intent, found in one pass.

use std::cmp::Ordering;
use std::collections::HashMap;

use swarm_model::Intent;

use super::transition;
use super::view::{ContainerView, EngineView, State};

/// A container and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The intent's place in the view; `None` where there is none of this id.
    pub intent: Option<usize>,
    /// The engine.
    pub engine: &'a EngineView<'a>,
    /// The container.
    pub container: &'a ContainerView<'a>,
}

/// All containers on working engines that carry an intent's id.
#[derive(Debug)]
pub struct Copies<'a> {
    sorted: Vec<Found<'a>>,
    orphans: usize,
}

impl<'a> Copies<'a> {
    /// Reads them off the engines.
    pub fn new(intents: &[&Intent], engines: &'a [EngineView<'a>]) -> Self {
        let index: HashMap<&str, usize> =
            intents.iter().enumerate().map(|(at, intent)| (intent.id.as_str(), at)).collect();
        let working = engines.iter().filter(|engine| matches!(engine.state, State::Healthy { .. }));
        let mut sorted: Vec<Found<'a>> = working
            .flat_map(|engine| engine.containers.iter().map(move |container| (engine, container)))
            .filter(|(_, container)| !is_set_aside(container))
            .map(|(engine, container)| Found {
                intent: index.get(container.intent).copied(),
                engine,
                container,
            })
            .collect();
        // Orphans first, for `None` is smallest.
        sorted.sort_by(|a, b| a.intent.cmp(&b.intent).then_with(|| by_place(a, b)));
        let orphans = sorted.partition_point(|found| found.intent.is_none());
        Self { sorted, orphans }
    }

    /// Those of the intent at this place of the view, in the order of their engines' ids.
    pub fn of(&self, intent: usize) -> &[Found<'a>] {
        let from = self.sorted.partition_point(|found| found.intent < Some(intent));
        let to = self.sorted.partition_point(|found| found.intent <= Some(intent));
        self.sorted.get(from..to).unwrap_or_default()
    }

    /// Those that carry the id of no intent.
    pub fn orphans(&self) -> &[Found<'a>] {
        self.sorted.get(..self.orphans).unwrap_or_default()
    }
}

/// An old copy that was set aside is a person's to remove; one that runs again is a copy again.
fn is_set_aside(container: &ContainerView<'_>) -> bool {
    !container.running && transition::is_aside(container.name, container.generation, container.id)
}

fn by_place<'a>(a: &Found<'a>, b: &Found<'a>) -> Ordering {
    let key = |found: &Found<'a>| (found.engine.engine.id.as_str(), found.container.id);
    key(a).cmp(&key(b))
}
