//! What a manager is made of, how it begins, and why it does not.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use swarm_kv::StoreError;
use swarm_manager::authority::Founded;
use swarm_manager::dispatcher::drivers::SecretDrivers;
use swarm_model::Id;
use swarm_model::node::ManagerStatus;

use crate::cluster::Clients;
use crate::identity::Own;
use crate::pace::Pace;

/// What a manager is made of.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The node's folder.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Its identity, the roots, and under what its keys are on disk.
    pub own: Own,
    /// Its swarm.
    pub cluster_id: String,
    /// Itself.
    pub node_id: Id,
    /// Where clients go that another manager passes on.
    pub clients: Clients,
    /// How soon it notices that its leader is gone.
    pub pace: Pace,
    /// Who has the values of secrets that the swarm has not.
    pub drivers: Arc<dyn SecretDrivers>,
}

impl Seat {
    /// What the node's record says of it; who leads and answers is asked of the store.
    pub(super) fn manager_status(&self) -> ManagerStatus {
        ManagerStatus { addr: self.advertise.to_string(), ..ManagerStatus::default() }
    }
}

/// How the store begins.
#[derive(Debug, Default)]
pub struct Beginning {
    /// Managers to join, where the store is empty.
    pub join: Vec<String>,
    /// On the swarm's first manager, what is in it.
    pub founded: Option<Box<Founded>>,
    /// The swarm lost its quorum for good: it goes on alone with what it has.
    pub alone: bool,
}

impl Beginning {
    /// With what there is, or by joining these managers.
    pub fn join(join: Vec<String>) -> Self {
        Self { join, ..Self::default() }
    }
}

/// Why there is no manager.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The unlock key.
    #[error(transparent)]
    Lock(#[from] swarm_ca::unlock::UnlockError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] swarm_ca::tls::TlsError),
    /// The folder.
    #[error("{path}: {error}")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}
