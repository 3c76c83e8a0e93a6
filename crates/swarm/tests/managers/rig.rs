//! Managers as `swarm manage` puts them together, over a store in this process and backends that do
//! what the test says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_api::tls::ServerTls;
use swarm_api::{Listener, ServerOptions};
use swarm_backend::Forward;
use swarm_engine::{ClientOptions, TlsClient};
use swarm_kv::{KeyValue, Layout, Write};
use swarm_memory::Memory;
use swarm_pool::{Election, ElectionConfig, Role};
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Running, run_on};
use crate::wire::Wire;

/// Far more than anything here takes, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(20);
/// Short, so that the tests are.
pub const TTL: Duration = Duration::from_secs(2);

pub fn layout() -> Layout {
    Layout::new("pool", None)
}

/// One manager; it ends when it is dropped.
pub struct Manager {
    pub running: Running,
    pub election: Election,
    dead: CancellationToken,
}

/// TLS of both sides.
#[derive(Clone, Default)]
pub struct Sides {
    pub server: Option<Arc<ServerTls>>,
    pub client: Option<TlsClient>,
}

impl Manager {
    pub async fn start(store: &Arc<Memory>, fake: Fake) -> Self {
        Self::with(store, fake, Sides::default()).await
    }

    pub async fn with(store: &Arc<Memory>, fake: Fake, tls: Sides) -> Self {
        let listener = Listener::tcp("127.0.0.1:0", tls.server).await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let dead = CancellationToken::new();
        let wire: Arc<dyn KeyValue> =
            Arc::new(Wire { store: Arc::clone(store), dead: dead.clone() });
        let config = ElectionConfig { replication: true, name, ttl: TTL };
        let election = Election::start(wire, &layout(), &config);
        let client = ClientOptions { tls: tls.client, ..ClientOptions::default() };
        let forward = election.forwarder(client).map(|forwarder| forwarder as Arc<dyn Forward>);
        let options = ServerOptions { forward, ..ServerOptions::default() };
        Self { running: run_on(listener, fake, options), election, dead }
    }

    pub fn address(&self) -> String {
        self.running.address.to_string()
    }

    /// As a process is: connections break, and the lock is not given back.
    pub fn kill(&self) {
        self.dead.cancel();
        self.running.served.abort();
    }

    pub fn is_primary(&self) -> bool {
        !self.dead.is_cancelled() && self.election.fence().check().is_ok()
    }

    pub async fn leads(&self) -> Duration {
        until("it leads", || self.is_primary()).await
    }

    pub async fn follows(&self, primary: &str) {
        let wanted = Role::Replica { primary: Some(primary.to_owned()) };
        let role = self.election.role();
        until("it follows", || *role.borrow() == wanted).await;
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A primary and a replica, each with its backend.
pub async fn pair(primary: Fake, replica: Fake) -> (Arc<Memory>, Manager, Manager) {
    let store = Memory::new();
    let primary = Manager::start(&store, primary).await;
    primary.leads().await;
    let replica = Manager::start(&store, replica).await;
    replica.follows(&primary.address()).await;
    (store, primary, replica)
}

/// A replica of whatever listens at `address`.
pub async fn replica_of(address: &str, fake: Fake) -> (Arc<Memory>, Manager) {
    let store = Memory::new();
    store.put(Write::new(layout().leader(), address.to_owned())).await.unwrap();
    let replica = Manager::start(&store, fake).await;
    replica.follows(address).await;
    (store, replica)
}

/// Waits until it holds; how long that took.
pub async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}
