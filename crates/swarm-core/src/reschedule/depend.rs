//! Who needs whom: a container that shares another's network or volumes can only be made where that
//! one is, so the other goes first.

use std::collections::HashMap;

use serde_json::Value;
use swarm_model::{Intent, Place};

use crate::placement::extract;
use crate::placement::request::Dependency;

/// What an intent's configuration says it needs.
pub fn dependencies(intent: &Intent) -> Vec<Dependency> {
    let config = intent.config.fields();
    let host = config.get("HostConfig").and_then(Value::as_object);
    host.map(extract::dependencies).unwrap_or_default()
}

/// Finds intents the way dependencies name them: by name, by intent id, by container id or its
/// beginning (twelve characters at least, as Docker shows it).
#[derive(Debug)]
pub struct Names<'a> {
    exact: HashMap<&'a str, usize>,
    short: HashMap<&'a str, usize>,
}

/// As many characters of an id as Docker shows.
const SHORT: usize = 12;

impl<'a> Names<'a> {
    /// Of these intents; the answers are places in this list.
    pub fn new(intents: &[&'a Intent]) -> Self {
        let mut exact = HashMap::with_capacity(intents.len() * 3);
        let mut short = HashMap::with_capacity(intents.len());
        for (index, intent) in intents.iter().enumerate() {
            exact.insert(intent.id.as_str(), index);
            if let Place::At { container, .. } = &intent.place {
                exact.insert(container, index);
                if let Some(begin) = container.get(..SHORT) {
                    short.insert(begin, index);
                }
            }
        }
        // A name is what people mean, should it look like an id.
        exact.extend(
            intents.iter().enumerate().map(|(index, intent)| (intent.name.as_str(), index)),
        );
        Self { exact, short }
    }

    /// The intent of this name.
    pub fn find(&self, reference: &str) -> Option<usize> {
        let reference = reference.rsplit('/').next().unwrap_or(reference);
        let exact = self.exact.get(reference);
        exact.or_else(|| self.short.get(reference.get(..SHORT)?)).copied()
    }
}

/// The intents at `indices`, and no others, so that what one needs comes before it; ties by id, so that the order is
/// the same wherever it is computed. Intents that need each other in a circle keep the order of ids.
pub fn order(intents: &[&Intent], names: &Names<'_>, indices: &[usize]) -> Vec<usize> {
    let mut by_id = indices.to_vec();
    by_id.sort_by(|a, b| intents[*a].id.cmp(&intents[*b].id));
    let mut state: HashMap<usize, bool> = by_id.iter().map(|index| (*index, false)).collect();
    let mut ordered = Vec::with_capacity(by_id.len());
    // A stack of our own: chains may be long.
    for start in by_id {
        let mut stack = vec![(start, false)];
        while let Some((index, done)) = stack.pop() {
            if done {
                ordered.push(index);
                continue;
            }
            match state.get_mut(&index) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            stack.push((index, true));
            let mut needs: Vec<usize> = dependencies(intents[index])
                .iter()
                .filter_map(|needed| names.find(&needed.container))
                .collect();
            needs.sort_by(|a, b| intents[*b].id.cmp(&intents[*a].id));
            stack.extend(needs.into_iter().map(|needed| (needed, false)));
        }
    }
    ordered
}

#[cfg(test)]
#[path = "depend_tests.rs"]
mod tests;
