//! The agent's way to managers: calls over connections that both ends prove by their certificates.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use swarm_backend::BoxError;
use swarm_ca::Role;
use swarm_ca::tls::{Everybody, Expect, Live, TlsError};
use swarm_engine::Raw;
use swarm_rpc::{CALLS, ENGINE, connect, dial};
use tonic::transport::Channel;

use crate::identity::{explain, explain_asking};

/// How long connecting may take: an address where nobody is should not cost a call's whole time.
const DIAL: Duration = Duration::from_millis(1500);

/// Connects to managers of one swarm.
#[derive(Debug)]
pub struct ToManagers {
    live: Arc<Live>,
    tls: Arc<ClientConfig>,
    /// Where others reach this node, and where it reaches itself: not every address that is
    /// advertised is one of this machine's.
    own: (String, String),
}

impl ToManagers {
    /// With this node's certificate, to managers of its own cluster alone.
    ///
    /// `own` is where this node is reached and where it listens.
    pub fn new(
        live: &Arc<Live>,
        cluster_id: &str,
        own: (SocketAddr, SocketAddr),
    ) -> Result<Arc<Self>, TlsError> {
        let managers = Expect::new(cluster_id, &[Role::Manager], Arc::new(Everybody));
        let tls = Arc::new(live.client(managers)?);
        let own = (own.0.to_string(), within(own.1).to_string());
        Ok(Arc::new(Self { live: Arc::clone(live), tls, own }))
    }
}

/// How a listener is reached from its own machine.
fn within(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

#[async_trait]
impl swarm_agent::Dial for ToManagers {
    async fn channel(&self, address: &str) -> Result<Channel, BoxError> {
        let address = if address == self.own.0 { &self.own.1 } else { address };
        let connected = connect(address, &self.tls, CALLS, DIAL).await;
        match connected {
            Ok(channel) => Ok(channel),
            Err(error) => Err(explain_asking(&error).await.into()),
        }
    }

    async fn tunnel(&self, address: &str) -> Result<Box<dyn Raw>, BoxError> {
        let address = if address == self.own.0 { &self.own.1 } else { address };
        match dial(address, &self.tls, ENGINE, DIAL).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(explain(&error).into()),
        }
    }

    fn roots(&self) -> String {
        self.live.roots().to_pem()
    }
}
