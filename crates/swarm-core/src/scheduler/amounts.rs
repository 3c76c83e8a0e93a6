//! What a node has left: processors, memory, and Docker's generic resources, counted or named.

use std::collections::{BTreeMap, BTreeSet};

use swarm_model::service::{Discrete, GenericResource, Named, Resources};

/// What is left of a generic resource of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kind {
    count: i64,
    names: BTreeSet<String>,
}

/// What is left of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Left {
    cpu: i64,
    memory: i64,
    kinds: BTreeMap<String, Kind>,
}

impl Left {
    /// All that a node has.
    pub fn of(total: &Resources) -> Self {
        let mut left = Self { cpu: total.nano_cpus, memory: total.memory_bytes, ..Self::default() };
        left.change_generic(&total.generic_resources, 1);
        left
    }

    /// Whether `wanted` is left.
    pub fn has(&self, wanted: &Resources) -> bool {
        wanted.nano_cpus <= self.cpu
            && wanted.memory_bytes <= self.memory
            && asked(&wanted.generic_resources).all(|(kind, count)| {
                self.kinds.get(kind).is_some_and(|left| count <= left.amount())
            })
    }

    /// Which generic resources a task gets: names where the node has names.
    pub fn choose(&self, wanted: &Resources) -> Vec<GenericResource> {
        let mut chosen = Vec::new();
        for (kind, count) in asked(&wanted.generic_resources) {
            let Some(left) = self.kinds.get(kind) else { continue };
            if left.names.is_empty() {
                let discrete = Discrete { kind: kind.to_owned(), value: count };
                chosen.push(GenericResource::Discrete(discrete));
                continue;
            }
            let names = left.names.iter().take(usize::try_from(count).unwrap_or(0));
            chosen.extend(names.map(|name| {
                GenericResource::Named(Named { kind: kind.to_owned(), value: name.clone() })
            }));
        }
        chosen
    }

    /// Takes (`sign` -1) or gives back (1) what a task reserves and was given.
    pub fn change(&mut self, wanted: Option<&Resources>, given: &[GenericResource], sign: i64) {
        if let Some(wanted) = wanted {
            self.cpu = self.cpu.saturating_add(wanted.nano_cpus.saturating_mul(sign));
            self.memory = self.memory.saturating_add(wanted.memory_bytes.saturating_mul(sign));
        }
        self.change_generic(given, sign);
    }

    fn change_generic(&mut self, given: &[GenericResource], sign: i64) {
        for resource in given {
            match resource {
                GenericResource::Discrete(discrete) => {
                    let kind = self.kinds.entry(discrete.kind.clone()).or_default();
                    kind.count = kind.count.saturating_add(discrete.value.saturating_mul(sign));
                }
                GenericResource::Named(named) => {
                    let names = &mut self.kinds.entry(named.kind.clone()).or_default().names;
                    if sign < 0 {
                        names.remove(&named.value);
                    } else {
                        names.insert(named.value.clone());
                    }
                }
            }
        }
    }

    /// Whether more was taken than there is.
    pub fn is_overbooked(&self) -> bool {
        self.cpu < 0 || self.memory < 0 || self.kinds.values().any(|kind| kind.count < 0)
    }
}

impl Kind {
    fn amount(&self) -> i64 {
        let names = i64::try_from(self.names.len()).unwrap_or(i64::MAX);
        self.count.max(0).saturating_add(names)
    }
}

/// What is asked for, by kind. A task can only ask for a number: Docker lets no task name a thing.
fn asked(wanted: &[GenericResource]) -> impl Iterator<Item = (&str, i64)> {
    wanted.iter().filter_map(|resource| match resource {
        GenericResource::Discrete(discrete) => Some((discrete.kind.as_str(), discrete.value)),
        GenericResource::Named(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(count: i64) -> Resources {
        let gpus = GenericResource::Discrete(Discrete { kind: "gpu".into(), value: count });
        Resources { generic_resources: vec![gpus], ..Resources::default() }
    }

    #[test]
    fn names_are_given_once_and_come_back() {
        let name =
            |value: &str| GenericResource::Named(Named { kind: "gpu".into(), value: value.into() });
        let total =
            Resources { generic_resources: vec![name("a"), name("b")], ..Resources::default() };
        let mut left = Left::of(&total);
        let first = left.choose(&gpus(1));
        left.change(Some(&gpus(1)), &first, -1);
        assert_eq!((first, left.choose(&gpus(1))), (vec![name("a")], vec![name("b")]));
        assert!(left.has(&gpus(1)) && !left.has(&gpus(2)));
        left.change(Some(&gpus(1)), &[name("a")], 1);
        assert_eq!(left, Left::of(&total));
    }

    #[test]
    fn numbers_run_out() {
        let mut left = Left::of(&gpus(3));
        let two = left.choose(&gpus(2));
        left.change(Some(&gpus(2)), &two, -1);
        assert!(left.has(&gpus(1)) && !left.has(&gpus(2)) && !left.is_overbooked());
        left.change(None, &two, -1);
        assert!(left.is_overbooked());
    }
}
