//! Where in a store a pool keeps what: the places that classic Swarm's users know (`nodes`,
//! `leader`), and ours beside them.

/// Classic Swarm's place for nodes, below the prefix of the discovery URL.
const NODES: &str = "docker/swarm/nodes";

/// The keys of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    nodes: String,
    root: String,
}

impl Layout {
    /// `prefix` is the URL's path; `path` is `kv.path`, which classic reads as the place of the
    /// nodes. Everything else stands beside the nodes: at `path` without its `/nodes`, or, where it
    /// does not end so, at `<path>-state`.
    pub fn new(prefix: &str, path: Option<&str>) -> Self {
        let prefix = prefix.trim_matches('/');
        let path = path.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
        let path = path.unwrap_or(NODES);
        let nodes = if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
        let root = match nodes.strip_suffix("/nodes") {
            Some(root) => root.to_owned(),
            None => format!("{nodes}-state"),
        };
        Self { nodes, root }
    }

    /// The directory of engines: `<host:port>` each.
    pub fn nodes(&self) -> &str {
        &self.nodes
    }

    /// One engine's registration.
    pub fn node(&self, address: &str) -> String {
        format!("{}/{address}", self.nodes)
    }

    /// The directory of engines that took their leave: `<host:port>` each.
    pub fn left(&self) -> String {
        self.at("left")
    }

    /// The primary's lock; its value is where the primary is reached.
    pub fn leader(&self) -> String {
        self.at("leader")
    }

    /// Counts the primaries there have been; the guard of their writes.
    pub fn epoch(&self) -> String {
        self.at("epoch")
    }

    /// The directory of what containers were wanted.
    pub fn intents(&self) -> String {
        self.at("intents")
    }

    /// The directory of what is known of engines beside their address: availability, identity.
    pub fn engines(&self) -> String {
        self.at("engines")
    }

    /// The directory of containers removed while their engine was away.
    pub fn removed(&self) -> String {
        self.at("removed")
    }

    /// A key or directory of this pool.
    pub fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_classic_swarms() {
        let layout = Layout::new("/prod/", None);
        assert_eq!(layout.node("a:1"), "prod/docker/swarm/nodes/a:1");
        assert_eq!(layout.leader(), "prod/docker/swarm/leader");
        assert_eq!(Layout::new("", Some("my/nodes")).intents(), "my/intents");
        assert_eq!(Layout::new("x", Some("/mine/")).node("a:1"), "x/mine/a:1");
        assert_eq!(Layout::new("x", Some("/mine/")).leader(), "x/mine-state/leader");
    }
}
