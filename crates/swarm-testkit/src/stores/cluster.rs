//! Several servers of one kind that know each other, each on a loopback address of its own, so that
//! ports never clash and the default port is what is tested.
//!
//! It leaves what a server is told, and when it serves, to its kind.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Result;
use tempfile::TempDir;

use super::Server;

/// The servers; they end with this value.
#[derive(Debug)]
pub(super) struct Cluster {
    nodes: Vec<Node>,
    /// Removed after the servers have ended: fields are dropped in their order.
    _folder: TempDir,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Node {
    pub address: Ipv4Addr,
    pub server: Server,
}

impl Cluster {
    /// So many servers called `kind-0` and so on, none of them running yet.
    pub fn new(kind: &str, servers: u8) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let nodes = (0..servers).map(|number| {
            let name = format!("{kind}-{number}");
            let server = Server::new(&name, &folder.path().join(&name))?;
            Ok(Node { address: own_address(), server })
        });
        Ok(Self { nodes: nodes.collect::<Result<_>>()?, _folder: folder })
    }

    /// All of them, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One of them.
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// As [`Cluster::node`], to start or end it.
    pub fn node_mut(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// All of them as a discovery URL's hosts.
    pub fn hosts(&self, port: u16) -> String {
        let hosts = self.nodes.iter().map(|node| format!("{}:{port}", node.address));
        hosts.collect::<Vec<_>>().join(",")
    }
}

/// How many addresses a process has; the next server gets the first one again.
const ADDRESSES: u8 = 192;

/// A loopback address that no other process of this machine is likely to use.
fn own_address() -> Ipv4Addr {
    static GIVEN: AtomicU8 = AtomicU8::new(0);
    numbered(GIVEN.fetch_add(1, Ordering::Relaxed) % ADDRESSES)
}

/// All addresses that servers of this process can get.
pub(super) fn own_addresses() -> impl Iterator<Item = Ipv4Addr> {
    (0..ADDRESSES).map(numbered)
}

/// The process's number is in it. Simulated engines may share it: their ports are of the kernel's
/// choice, and never these.
fn numbered(number: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + number, high, low)
}
