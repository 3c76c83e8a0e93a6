//! The order in which suitable nodes are given tasks: a tree with one level per spread preference,
//! whose leaves are heaps of nodes.
//!
//! At every level the branch with the fewest tasks of the service goes first; in a leaf, nodes where
//! the service did not fail lately, then the fewest tasks of the service, then the fewest tasks, then
//! chance.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use swarm_model::Node;
use swarm_model::service::Placement;

/// A suitable node, ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub failures: usize,
    pub share: u32,
    pub tasks: u32,
    /// Drawn, so that equals are equally likely.
    pub draw: u32,
    pub index: usize,
}

#[derive(Debug)]
enum Below {
    Branches(BTreeMap<String, Branch>),
    Leaf(BinaryHeap<Reverse<Candidate>>),
}

/// A part of the tree.
#[derive(Debug)]
pub(super) struct Branch {
    tasks: u64,
    below: Below,
}

impl Branch {
    /// The tree over these candidates.
    pub fn grow<'n>(
        candidates: Vec<Candidate>,
        labels: &[Label<'_>],
        node: &dyn Fn(usize) -> &'n Node,
    ) -> Self {
        let tasks = candidates.iter().map(|candidate| u64::from(candidate.share)).sum();
        let Some((label, deeper)) = labels.split_first() else {
            let heap: Vec<_> = candidates.into_iter().map(Reverse).collect();
            return Self { tasks, below: Below::Leaf(heap.into()) };
        };
        let mut parts: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            let value = label.of(node(candidate.index));
            // There are few values and many nodes: the text is copied once.
            if let Some(part) = parts.get_mut(value) {
                part.push(candidate);
            } else {
                parts.insert(value.to_owned(), vec![candidate]);
            }
        }
        let branches =
            parts.into_iter().map(|(value, part)| (value, Self::grow(part, deeper, node)));
        Self { tasks, below: Below::Branches(branches.collect()) }
    }

    /// Takes the best node out, to be [put back](Self::put) if it is suitable still.
    pub fn take(&mut self) -> Option<Candidate> {
        let taken = match &mut self.below {
            Below::Leaf(heap) => heap.pop().map(|Reverse(candidate)| candidate),
            Below::Branches(branches) => loop {
                let fewest = branches.iter().min_by_key(|(_, branch)| branch.tasks)?.0.clone();
                match branches.get_mut(&fewest).and_then(Self::take) {
                    Some(candidate) => break Some(candidate),
                    None => branches.remove(&fewest),
                };
            },
        };
        self.tasks += u64::from(taken.is_some());
        taken
    }

    /// Puts a node back that was taken.
    pub fn put(&mut self, candidate: Candidate, labels: &[Label<'_>], node: &Node) {
        match (&mut self.below, labels.split_first()) {
            (Below::Leaf(heap), _) => heap.push(Reverse(candidate)),
            (Below::Branches(branches), Some((label, deeper))) => {
                if let Some(branch) = branches.get_mut(label.of(node)) {
                    branch.put(candidate, deeper, node);
                }
            }
            (Below::Branches(_), None) => {}
        }
    }
}

/// A label that tasks are spread over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label<'a> {
    Node(&'a str),
    Engine(&'a str),
}

impl<'a> Label<'a> {
    /// The labels of a placement. Docker passes over descriptors that are no labels, and so do we.
    pub fn all(placement: Option<&'a Placement>) -> Vec<Self> {
        let preferences = placement.into_iter().flat_map(|placement| &placement.preferences);
        let spread = preferences.filter_map(|preference| preference.spread.as_ref());
        spread.filter_map(|spread| Self::read(&spread.spread_descriptor)).collect()
    }

    fn read(descriptor: &'a str) -> Option<Self> {
        let after = |prefix: &str| {
            let head = descriptor.get(..prefix.len())?;
            head.eq_ignore_ascii_case(prefix).then(|| &descriptor[prefix.len()..])
        };
        after("node.labels.").map(Self::Node).or_else(|| after("engine.labels.").map(Self::Engine))
    }

    /// The node's value; a label that is not there is an empty one, and a branch like any other.
    pub fn of<'n>(&self, node: &'n Node) -> &'n str {
        let value = match self {
            Self::Node(name) => node.spec.labels.get(*name),
            Self::Engine(name) => node.description.engine.labels.get(*name),
        };
        value.map_or("", String::as_str)
    }
}
