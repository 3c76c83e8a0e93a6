//! What is served: the routes of one endpoint, and what becomes of every other request.
//!
//! The pool's endpoint (and the cluster's) is one huge engine, whose every route is in the table.
//! The node endpoint is this node's own engine with swarm mode built in: what is not the cluster's
//! goes to the engine as it came, also what only a newer engine knows.

use swarm_backend::{Backend, NodeBackend, Served};

use crate::route::{Cut, Hit, Resources, RouteOf};
use crate::table::RESOURCES;

/// A kind of backend, and the routes that lead to it.
pub(crate) trait Endpoint: Send + Sync + 'static {
    /// Its routes by resource.
    const RESOURCES: Resources<Self>;

    /// What becomes of a path that is none of them.
    fn other(path: &str) -> Option<Hit<'_, Self>>;

    /// The versions that it serves now.
    fn served(&self) -> Served;

    /// Whether a swarm is behind it.
    fn has_swarm(&self) -> bool {
        false
    }
}

impl Endpoint for dyn Backend {
    const RESOURCES: Resources<Self> = RESOURCES;

    fn other(_path: &str) -> Option<Hit<'_, Self>> {
        None
    }

    fn served(&self) -> Served {
        swarm_backend::System::served(self)
    }

    fn has_swarm(&self) -> bool {
        self.swarm().is_some()
    }
}

impl Endpoint for dyn NodeBackend {
    const RESOURCES: Resources<Self> = crate::node::RESOURCES;

    fn other(path: &str) -> Option<Hit<'_, Self>> {
        const OTHER: &RouteOf<dyn NodeBackend> = &crate::node::ENGINE;
        // It has no place in the table: it is counted with what no route fits.
        let cut = Cut { before: path, name: "", after: "" };
        Some(Hit { number: usize::MAX, route: OTHER, cut })
    }

    fn served(&self) -> Served {
        swarm_backend::Local::served(self)
    }
}
