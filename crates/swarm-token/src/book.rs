//! What is known of tokens and engines, in memory; the time is an argument.
//!
//! Invariants: a token's index changes with its set and with nothing else; an engine is there until
//! its length has passed since it was last renewed; counts are within the bounds. Sets are given
//! sorted, so that two readers of one set read the same bytes.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::watch;

use crate::clock::Millis;
use crate::{Limits, Refusal, Token};

/// How long it is remembered that an engine took its leave: whoever sees it gone asks soon.
pub(crate) const LEFT_KEPT: Millis = 24 * 3_600_000;

/// All tokens.
#[derive(Debug)]
pub(crate) struct Book {
    clusters: HashMap<Token, Cluster>,
    /// Engines of all tokens, and those that left.
    nodes: usize,
    limits: Limits,
    expire: Millis,
    /// Indices begin anywhere, so that those of an earlier run of the service mean nothing now.
    next_index: u64,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) created: Millis,
    pub(crate) used: Millis,
    /// `used` as it is on disk.
    pub(crate) used_kept: Millis,
    pub(crate) nodes: BTreeMap<Box<str>, Node>,
    /// When engines took their leave.
    pub(crate) left: BTreeMap<Box<str>, Millis>,
    /// The index of the set.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// Seconds.
    pub(crate) ttl: u32,
    pub(crate) renewed: Millis,
    /// It is on disk with this ttl.
    pub(crate) kept: bool,
}

impl Node {
    fn ends(&self) -> Millis {
        self.renewed.saturating_add(u64::from(self.ttl) * 1_000)
    }
}

impl Cluster {
    pub(crate) fn index(&self) -> u64 {
        *self.changes.borrow()
    }

    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// What ran out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Registrations, and marks of those that left.
    pub(crate) nodes: Vec<(Token, Box<str>)>,
    /// Whole tokens.
    pub(crate) clusters: Vec<Token>,
}

impl Book {
    pub(crate) fn new(limits: Limits, expire: Millis) -> Self {
        // 52 bits: exact in every JSON reader.
        let next_index = rand::random::<u64>() >> 12;
        Self { clusters: HashMap::new(), nodes: 0, limits, expire, next_index }
    }

    /// A token as it was kept; `used` is not in the future, and not so long ago that it would expire
    /// before anybody could use it again.
    pub(crate) fn restore(&mut self, token: Token, created: Millis, used: Millis, now: Millis) {
        let grace = self.expire.min(LEFT_KEPT);
        let least = now.saturating_sub(self.expire - grace);
        self.insert(token, created, used.min(now).max(least), used);
    }

    /// An engine as it was kept, for its whole length from `now`; no `ttl` for one that left.
    pub(crate) fn restore_node(
        &mut self,
        token: Token,
        address: &str,
        ttl: Option<u32>,
        now: Millis,
    ) -> bool {
        let Some(cluster) = self.clusters.get_mut(&token) else { return false };
        match ttl {
            Some(ttl) => {
                cluster.nodes.insert(address.into(), Node { ttl, renewed: now, kept: true });
                cluster.used = now;
            }
            None => drop(cluster.left.insert(address.into(), now)),
        }
        self.nodes += 1;
        true
    }

    fn insert(&mut self, token: Token, created: Millis, used: Millis, used_kept: Millis) {
        let index = self.index();
        let (changes, _) = watch::channel(index);
        let (nodes, left) = (BTreeMap::new(), BTreeMap::new());
        let cluster = Cluster { created, used, used_kept, nodes, left, changes };
        self.clusters.insert(token, cluster);
    }

    fn index(&mut self) -> u64 {
        self.next_index = (self.next_index + 1) & (u64::MAX >> 12);
        self.next_index
    }

    /// Makes a token; one that is there stays as it is.
    pub(crate) fn create(&mut self, token: Token, now: Millis) -> Result<(), Refusal> {
        if self.clusters.contains_key(&token) {
            return Ok(());
        }
        let limit = self.limits.clusters;
        if self.clusters.len() >= limit {
            return Err(Refusal::TooManyClusters { limit });
        }
        self.insert(token, now, now, now);
        Ok(())
    }

    pub(crate) fn knows(&self, token: Token) -> bool {
        self.clusters.contains_key(&token)
    }

    pub(crate) fn remove(&mut self, token: Token) -> bool {
        let Some(cluster) = self.clusters.remove(&token) else { return false };
        self.nodes -= cluster.nodes.len() + cluster.left.len();
        true
    }

    /// A token, which is in use by being looked at.
    pub(crate) fn open(&mut self, token: Token, now: Millis) -> Result<&mut Cluster, Refusal> {
        let cluster = self.clusters.get_mut(&token).ok_or(Refusal::UnknownToken)?;
        cluster.used = cluster.used.max(now);
        Ok(cluster)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Token, &Cluster)> {
        self.clusters.iter().map(|(token, cluster)| (*token, cluster))
    }

    /// Registers or renews; says whether that must be written.
    pub(crate) fn register(
        &mut self,
        token: Token,
        address: &str,
        ttl: u32,
        now: Millis,
    ) -> Result<bool, Refusal> {
        let (total, limits) = (self.nodes, &self.limits);
        let (per_cluster, in_all) = (limits.nodes_per_cluster, limits.nodes);
        let cluster = self.open(token, now)?;
        if let Some(node) = cluster.nodes.get_mut(address) {
            node.kept &= node.ttl == ttl;
            (node.ttl, node.renewed) = (ttl, now);
            return Ok(!node.kept);
        }
        let known = usize::from(cluster.left.contains_key(address));
        if cluster.nodes.len() >= per_cluster {
            return Err(Refusal::TooManyNodes { what: "a token", limit: per_cluster });
        }
        if total - known >= in_all {
            return Err(Refusal::TooManyNodes { what: "the service", limit: in_all });
        }
        cluster.left.remove(address);
        cluster.nodes.insert(address.into(), Node { ttl, renewed: now, kept: false });
        self.nodes = total - known + 1;
        self.changed(token);
        Ok(true)
    }

    /// The registration is on disk; `ttl` is what was written.
    pub(crate) fn kept(&mut self, token: Token, address: &str, ttl: u32) {
        let node = self.clusters.get_mut(&token).and_then(|found| found.nodes.get_mut(address));
        if let Some(node) = node {
            node.kept = node.ttl == ttl;
        }
    }

    /// Takes a registration back; says whether that must be written. The mark that it leaves takes
    /// its place under the bounds; who left already is written again, in case it could not be then.
    pub(crate) fn deregister(
        &mut self,
        token: Token,
        address: &str,
        now: Millis,
    ) -> Result<bool, Refusal> {
        let cluster = self.open(token, now)?;
        if cluster.nodes.remove(address).is_none() {
            return Ok(cluster.left.contains_key(address));
        }
        cluster.left.insert(address.into(), now);
        self.changed(token);
        Ok(true)
    }

    /// Whether a token could have so many engines in the place of those it has.
    pub(crate) fn fits(&self, token: Token, nodes: usize) -> Result<(), Refusal> {
        let limit = self.limits.nodes_per_cluster;
        if nodes > limit {
            return Err(Refusal::TooManyNodes { what: "a token", limit });
        }
        let there = self.clusters.get(&token);
        let before = there.map_or(0, |found| found.nodes.len() + found.left.len());
        let limit = self.limits.nodes;
        if self.nodes - before + nodes > limit {
            return Err(Refusal::TooManyNodes { what: "the service", limit });
        }
        let limit = self.limits.clusters;
        if there.is_none() && self.clusters.len() >= limit {
            return Err(Refusal::TooManyClusters { limit });
        }
        Ok(())
    }

    /// Makes a token's engines exactly `addresses`, which are on disk with this ttl; the token is
    /// made where there is none.
    pub(crate) fn replace(
        &mut self,
        token: Token,
        addresses: Vec<Box<str>>,
        ttl: u32,
        now: Millis,
    ) -> Result<(), Refusal> {
        self.fits(token, addresses.len())?;
        self.create(token, now)?;
        let cluster = self.open(token, now)?;
        let before = cluster.nodes.len() + cluster.left.len();
        let node = |address| (address, Node { ttl, renewed: now, kept: true });
        let nodes: BTreeMap<_, _> = addresses.into_iter().map(node).collect();
        let (same, count) = (cluster.nodes.keys().eq(nodes.keys()), nodes.len());
        cluster.nodes = nodes;
        cluster.left.clear();
        self.nodes = self.nodes - before + count;
        if !same {
            self.changed(token);
        }
        Ok(())
    }

    /// Drops what ran out.
    pub(crate) fn expire(&mut self, now: Millis) -> Ended {
        let mut ended = Ended::default();
        let mut changed = Vec::new();
        for (token, cluster) in &mut self.clusters {
            let before = (cluster.nodes.len(), ended.nodes.len());
            cluster.nodes.retain(|address, node| {
                let stays = node.ends() > now;
                if !stays {
                    ended.nodes.push((*token, address.clone()));
                }
                stays
            });
            if cluster.nodes.len() < before.0 {
                changed.push(*token);
            }
            cluster.left.retain(|address, at| {
                let stays = at.saturating_add(LEFT_KEPT) > now;
                if !stays {
                    ended.nodes.push((*token, address.clone()));
                }
                stays
            });
            self.nodes -= ended.nodes.len() - before.1;
            if cluster.nodes.is_empty() && cluster.used.saturating_add(self.expire) <= now {
                ended.clusters.push(*token);
            }
        }
        for token in &ended.clusters {
            self.remove(*token);
        }
        for token in changed {
            self.changed(token);
        }
        ended
    }

    /// The tokens whose last use on disk is older than `by`, at most `most`; they count as written.
    pub(crate) fn uses_to_keep(&mut self, by: Millis, most: usize) -> Vec<(Token, Millis)> {
        let stale = self.clusters.iter_mut().filter(|(_, found)| found.used > found.used_kept + by);
        stale
            .take(most)
            .map(|(token, cluster)| {
                cluster.used_kept = cluster.used;
                (*token, cluster.used)
            })
            .collect()
    }

    /// When a token ends if nobody uses it again.
    pub(crate) fn expires(&self, cluster: &Cluster) -> Millis {
        let last = cluster.nodes.values().map(Node::ends).max().unwrap_or_default();
        cluster.used.saturating_add(self.expire).max(last)
    }

    fn changed(&mut self, token: Token) {
        let index = self.index();
        if let Some(cluster) = self.clusters.get(&token) {
            cluster.changes.send_replace(index);
        }
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
