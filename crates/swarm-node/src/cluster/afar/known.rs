//! What a leader told of the engines. Pure.
//!
//! Invariant: until a beginning is whole, what was known before it is shown.

use std::collections::BTreeMap;

use swarm_backend::{ContainerSight, NodeSight, SightLine, Waiting};

/// See the module.
#[derive(Debug, Default)]
pub struct Known {
    shown: Told,
    /// What is being told and not whole yet.
    coming: Option<Told>,
    /// Gives each node that was told of another number.
    last: u64,
    /// Why what is shown may be old.
    trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Told {
    nodes: BTreeMap<String, (NodeSight, Vec<ContainerSight>)>,
    waiting: Vec<Waiting>,
}

impl Known {
    /// From now on everything is told anew.
    pub fn begin(&mut self) {
        self.coming = Some(Told::default());
    }

    /// Takes a line in.
    pub fn take(&mut self, line: SightLine) {
        let told = self.coming.as_mut().unwrap_or(&mut self.shown);
        match line {
            SightLine::Node(node, containers) => {
                self.last += 1;
                let node = NodeSight { revision: self.last, ..*node };
                told.nodes.insert(node.key.clone(), (node, containers));
            }
            SightLine::Gone(key) => drop(told.nodes.remove(&key)),
            SightLine::Waiting(waiting) => told.waiting = waiting,
            SightLine::Ready => {
                if let Some(whole) = self.coming.take() {
                    self.shown = whole;
                }
                self.trouble = None;
            }
        }
    }

    /// Nobody tells any more, or nobody yet.
    pub fn fail(&mut self, why: String) {
        self.coming = None;
        self.trouble = Some(why);
    }

    /// Why what is shown may be old, or is nothing.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The nodes behind the leader's pool.
    pub fn nodes(&self) -> Vec<NodeSight> {
        self.shown.nodes.values().map(|(node, _)| node.clone()).collect()
    }

    /// What is on one.
    pub fn containers(&self, key: &str) -> Vec<ContainerSight> {
        self.shown.nodes.get(key).map(|(_, found)| found.clone()).unwrap_or_default()
    }

    /// What waits to be made anew.
    pub fn waiting(&self) -> &[Waiting] {
        &self.shown.waiting
    }

    /// Whether anything is known of a node's engine.
    pub fn has(&self, key: &str) -> bool {
        self.shown.nodes.contains_key(key)
    }

    /// This manager sees a node by itself.
    pub fn forget(&mut self, key: &str) {
        self.shown.nodes.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: &str, containers: &[&str]) -> SightLine {
        let named =
            |id: &&str| ContainerSight { id: (*id).to_owned(), ..ContainerSight::default() };
        let node = NodeSight { key: key.to_owned(), ..NodeSight::default() };
        SightLine::Node(Box::new(node), containers.iter().map(named).collect())
    }

    fn ids(known: &Known, key: &str) -> Vec<String> {
        known.containers(key).into_iter().map(|one| one.id).collect()
    }

    #[test]
    fn a_beginning_is_shown_as_a_whole_and_then_each_change() {
        let mut known = Known::default();
        known.begin();
        known.take(node("a", &["1"]));
        known.take(node("b", &["2"]));
        assert!(known.nodes().is_empty() && !known.has("a"));
        known.take(SightLine::Ready);
        assert_eq!((ids(&known, "a"), ids(&known, "b")), (vec!["1".into()], vec!["2".into()]));
        let before = known.nodes()[0].revision;
        known.take(node("a", &["1", "3"]));
        assert_ne!(known.nodes()[0].revision, before, "it is read again");
        assert_eq!(ids(&known, "a"), ["1", "3"]);
        known.take(SightLine::Gone("b".to_owned()));
        assert_eq!(known.nodes().len(), 1);
    }

    #[test]
    fn what_was_known_stays_until_another_leader_has_told_everything() {
        let mut known = Known::default();
        known.begin();
        known.take(node("a", &["1"]));
        known.take(SightLine::Ready);
        known.fail("it went away".to_owned());
        assert_eq!((ids(&known, "a"), known.trouble()), (vec!["1".into()], Some("it went away")));
        known.begin();
        known.take(node("b", &["2"]));
        known.fail("again".to_owned());
        assert!(known.has("a") && !known.has("b"), "half of it is none");
        known.begin();
        known.take(node("b", &["2"]));
        known.take(SightLine::Ready);
        assert!(!known.has("a") && known.has("b") && known.trouble().is_none());
        known.forget("b");
        assert!(!known.has("b"));
    }
}
