//! The way to other managers, where somebody else has it: the managers of a swarm know each other by
//! their node certificates, and reach the store through the port that all their calls share.
//!
//! It leaves to whoever gives it: who a manager is. A stream that is handed in is a manager's, and
//! may do here what managers do.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection whose both ends know that the other is a manager of the same swarm.
pub trait Stream: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin + 'static> Stream for S {}

/// Makes connections to other managers.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Connects to `HOST:PORT`. Only a manager of this swarm may be at the other end. The caller has
    /// a deadline, and drops what takes longer.
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Stream>>;
}

/// A store among the managers of a swarm: no listener, no authority and no tokens of its own.
#[derive(Debug, Clone)]
pub struct Swarm {
    /// The way to the others. What comes from them is handed in by `Embedded::take`.
    pub transport: Arc<dyn Transport>,
    /// `HOST:PORT` of managers to join where the folder is empty, or what is in it is damaged; asked in
    /// turn.
    pub join: Vec<String>,
    /// Whether a new store is begun where the folder is empty and there is nobody to join. A manager
    /// that was one before says no: what it had is to be brought back.
    pub founds: bool,
}
