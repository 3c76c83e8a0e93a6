//! How a manager is reached: whoever holds the node's identity makes the connections.

use swarm_backend::BoxError;
use swarm_engine::Raw;
use tonic::transport::Channel;

/// Makes connections to managers.
#[async_trait::async_trait]
pub trait Dial: Send + Sync + 'static {
    /// A connection to the manager at `address` (`host:port`), proven to be one. The caller has a
    /// deadline.
    ///
    /// The leader says nothing for as long as nothing changes, so the channel has to notice by itself
    /// that it is gone: it must have HTTP/2 keep-alive, idle or not, within about the time after which
    /// the leader takes a node for dead.
    async fn channel(&self, address: &str) -> Result<Channel, BoxError>;

    /// A connection to the manager at `address`, proven to be one, that carries what the leader and this
    /// node's engine say to each other. The caller has a deadline.
    async fn tunnel(&self, address: &str) -> Result<Box<dyn Raw>, BoxError>;

    /// The roots that this node trusts, in PEM.
    fn roots(&self) -> String;
}
