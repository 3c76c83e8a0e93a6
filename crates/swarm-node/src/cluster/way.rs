//! The ways that no address leads: to the engines of nodes, through their sessions with this manager;
//! and to the cluster endpoint of the manager that leads.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use swarm_engine::{Raw, Tunnels};

use crate::node::Node;

/// To nodes' engines.
pub struct ToNodes(pub Arc<Node>);

impl fmt::Debug for ToNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("through the nodes' sessions")
    }
}

impl Tunnels for ToNodes {
    fn open<'a>(&'a self, node: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Raw>>> {
        Box::pin(async move {
            let manager = self.0.manager().map_err(|error| io::Error::other(error.message))?;
            match manager.dispatcher().tunnel(node).await {
                Ok(tunnel) => Ok(Box::new(tunnel) as Box<dyn Raw>),
                Err(error) => Err(io::Error::other(error)),
            }
        })
    }
}

/// To another manager, by its address.
pub struct ToManagers(pub Arc<Node>);

impl fmt::Debug for ToManagers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to the other managers")
    }
}

impl Tunnels for ToManagers {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Raw>>> {
        Box::pin(async move {
            let manager = self.0.manager().map_err(|error| io::Error::other(error.message))?;
            match manager.others().cluster(address).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Raw>),
                Err(words) => Err(io::Error::other(words)),
            }
        })
    }
}
