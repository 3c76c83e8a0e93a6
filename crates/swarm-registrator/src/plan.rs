//! What differs between what is wanted and what is there.
//!
//! Invariants: what is there as it should be is not touched; what is spared is not removed; who
//! applies a plan, and looks again, finds an empty one.

use std::collections::{BTreeMap, BTreeSet};

use crate::registry::{Entry, Held, Observed};

/// What is to be done, each with its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be written, first.
    pub put: Vec<(Entry, &'static str)>,
    /// To be taken out, then.
    pub remove: Vec<(Held, &'static str)>,
    /// Wanted, and another's.
    pub refused: Vec<(String, String)>,
}

impl Plan {
    /// Nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty()
    }
}

/// `spared` are containers whose entries stay though they are not wanted.
pub fn plan(
    wanted: &BTreeMap<String, Entry>,
    observed: &Observed,
    spared: &BTreeSet<String>,
) -> Plan {
    let mut plan = Plan::default();
    for (key, entry) in wanted {
        if let Some(owner) = observed.taken.get(key) {
            plan.refused.push((key.clone(), format!("{owner} has registered it already")));
            continue;
        }
        match observed.held.get(key) {
            None => plan.put.push((entry.clone(), "it is not there")),
            Some(held) if held.form != entry.form => plan.put.push((entry.clone(), "it differs")),
            Some(_) => {}
        }
    }
    for (key, held) in &observed.held {
        if !wanted.contains_key(key) && !spared.contains(&held.container) {
            plan.remove.push((held.clone(), "no running container publishes it"));
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(key: &str, form: &str) -> Entry {
        Entry { key: key.into(), form: form.into(), container: format!("c-{key}"), body: None }
    }

    fn held(key: &str, form: &str) -> Held {
        Held { key: key.into(), form: form.into(), container: format!("c-{key}") }
    }

    /// What the registry holds after the plan.
    fn after(mut observed: Observed, plan: &Plan) -> Observed {
        for (entry, _) in &plan.put {
            observed.held.insert(entry.key.clone(), held(&entry.key, &entry.form));
        }
        for (gone, _) in &plan.remove {
            observed.held.remove(&gone.key);
        }
        observed
    }

    proptest! {
        #[test]
        fn a_plan_leads_to_what_is_wanted_and_then_is_empty(
            wanted in proptest::collection::btree_map("[a-f]", "[xy]", 0..6),
            there in proptest::collection::btree_map("[a-f]", "[xy]", 0..6),
            taken in proptest::collection::btree_set("[e-h]", 0..3),
            spared in proptest::collection::btree_set("[a-f]", 0..3),
        ) {
            let wanted: BTreeMap<_, _> = wanted.iter().map(|(k, f)| (k.clone(), entry(k, f))).collect();
            let observed = Observed {
                held: there.iter().filter(|(k, _)| !taken.contains(*k)).map(|(k, f)| (k.clone(), held(k, f))).collect(),
                taken: taken.iter().map(|k| (k.clone(), "b".to_owned())).collect(),
            };
            let spared: BTreeSet<_> = spared.iter().map(|k| format!("c-{k}")).collect();
            let first = plan(&wanted, &observed, &spared);
            for (entry, _) in &first.put {
                prop_assert!(!taken.contains(&entry.key));
                let before = observed.held.get(&entry.key);
                prop_assert!(before.is_none_or(|held| held.form != entry.form), "it was right already");
            }
            let end = after(observed.clone(), &first);
            for (key, entry) in &wanted {
                prop_assert_eq!(end.held.get(key).is_some_and(|h| h.form == entry.form), !taken.contains(key));
            }
            for (key, held) in &observed.held {
                let stays = wanted.contains_key(key) || spared.contains(&held.container);
                prop_assert_eq!(end.held.contains_key(key), stays);
            }
            prop_assert!(plan(&wanted, &end, &spared).is_empty());
            prop_assert_eq!(first.refused.len(), wanted.keys().filter(|k| taken.contains(*k)).count());
        }
    }
}
