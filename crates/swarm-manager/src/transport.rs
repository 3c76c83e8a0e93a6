//! The way to the other managers, the store's and clients': connections that prove themselves by node
//! certificates.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use swarm_ca::Role;
use swarm_ca::tls::{Admission, Expect, Live, TlsError, refusal};
use swarm_raft::{Stream, Transport};
use swarm_rpc::{CALLS, CLUSTER, ConnectError, RAFT, connect, dial, tls_cause};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;

/// How long connecting may take; the store has a shorter deadline where it matters.
const DEADLINE: Duration = Duration::from_secs(5);

/// The other managers.
#[derive(Debug)]
pub struct Managers(Arc<ClientConfig>);

impl Managers {
    /// Managers of this swarm whom `admission` does not refuse.
    pub fn new(
        live: &Arc<Live>,
        cluster_id: &str,
        admission: Arc<dyn Admission>,
    ) -> Result<Arc<Self>, TlsError> {
        let expect = Expect::new(cluster_id, &[Role::Manager], admission);
        Ok(Arc::new(Self(Arc::new(live.client(expect)?))))
    }

    /// A connection for calls to the manager at `HOST:PORT`; why there is none, in words.
    pub async fn calls(&self, address: &str) -> Result<Channel, String> {
        let connected = connect(address, &self.0, CALLS, DEADLINE).await;
        connected.map_err(|error| format!("{address}: {}", explained(&error)))
    }

    /// Whether the manager at `HOST:PORT` is reached and lets this one in; why not, in words without the
    /// address.
    pub async fn reach(&self, address: &str) -> Result<(), String> {
        let connected = connect(address, &self.0, CALLS, DEADLINE).await;
        connected.map(drop).map_err(|error| explained(&error))
    }

    /// A connection to the cluster endpoint of the manager at `HOST:PORT`; why there is none, in words.
    pub async fn cluster(&self, address: &str) -> Result<TlsStream<TcpStream>, String> {
        dial(address, &self.0, CLUSTER, DEADLINE).await.map_err(|error| explained(&error))
    }
}

#[async_trait]
impl Transport for Managers {
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        match dial(address, &self.0, RAFT, DEADLINE).await {
            Ok(stream) => Ok(Box::new(stream)),
            // The address is told by the store.
            Err(error) => Err(io::Error::other(explained(&error))),
        }
    }
}

/// Why there is no connection, without the address.
fn explained(error: &ConnectError) -> String {
    match tls_cause(error).map(|cause| (refusal(cause), cause)) {
        Some((Some(refusal), _)) => refusal.to_string(),
        Some((None, cause)) => format!("the TLS handshake failed: {cause}"),
        None => match error {
            ConnectError::Unreachable { source, .. } => source.to_string(),
            ConnectError::Late { after, .. } => format!("no connection within {after:?}"),
            ConnectError::Handshake { source, .. } => format!("the TLS handshake failed: {source}"),
            ConnectError::Calls { source, .. } => format!("no calls can be made: {source}"),
        },
    }
}
