//! A manager with its port, in this process.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use swarm_ca::tls::{Credentials, Everybody, Expect, Live, Removed};
use swarm_ca::{NodeKey, Role, Secret, Stored};
use swarm_manager::authority::{Founding, Gate, found, keep_removed, passages, routes};
use swarm_manager::dispatcher::Identify;
use swarm_manager::replica::Member;
use swarm_manager::transport::Managers;
use swarm_manager::{Batch, Clock, Dispatcher, Replica, Store};
use swarm_model::cluster::{ClusterSpec, JoinTokens};
use swarm_model::{Availability, Cluster};
use swarm_raft::{Embedded, EmbeddedOptions, Swarm};
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::v1::{IssueReply, IssueRequest};
use swarm_rpc::{CALLS, ConnectError, Connections, Server, Services, Taken, connect};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Manager {
    /// Kept as long as the manager.
    _folder: TempDir,
    pub address: String,
    pub gate: Gate,
    pub connections: Arc<Connections>,
    pub stop: CancellationToken,
}

/// What a client of the cluster endpoint is told here.
pub const GREETING: &[u8] = b"hello";

fn greet(mut client: Taken) {
    tokio::spawn(async move {
        client.write_all(GREETING).await.unwrap();
        client.shutdown().await.unwrap();
    });
}

/// Waits until `met` says so.
pub async fn eventually<T>(what: &str, mut met: impl AsyncFnMut() -> Option<T>) -> T {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(met) = met().await {
            return met;
        }
        assert!(tokio::time::Instant::now() < until, "it never came to pass that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn bound() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

impl Manager {
    /// A new swarm of one.
    pub async fn found() -> Self {
        let (listener, address) = bound().await;
        let founding = Founding {
            spec: ClusterSpec::default(),
            default_addr_pool: Vec::new(),
            subnet_size: 24,
            data_path_port: 4789,
            availability: Availability::Active,
            root: None,
        };
        let founded = found(founding, SystemTime::now()).unwrap();
        let live = Live::new(founded.roots).unwrap();
        live.replace_own(Credentials::new(&founded.identity).unwrap());
        let manager = Self::open(listener, address, live, &[]).await;
        let mut batch = Batch::default();
        batch.put(&founded.cluster).unwrap();
        batch.put(&founded.node).unwrap();
        manager.gate.replica.commit(batch).await.unwrap();
        assert_eq!(manager.cluster().id, founded.cluster.id);
        manager
    }

    /// Another manager, that joins.
    pub async fn join(&self) -> Self {
        let (listener, address) = bound().await;
        let live = self.issued(&self.tokens().manager).await.unwrap().0;
        let joined = Self::open(listener, address, live, &[self.address.as_str()]).await;
        // The leader fills it.
        let replica = &joined.gate.replica;
        eventually("it has the swarm's objects", async || {
            replica.read(|tables| tables.cluster.is_some()).then_some(())
        })
        .await;
        joined
    }

    /// As [`Manager::join`], reached by the others through a passage: `lay` is given where it begins and
    /// where it leads. What it fills it with may take a while.
    pub async fn join_behind(&self, lay: impl FnOnce(TcpListener, String)) -> Self {
        let (listener, there) = bound().await;
        let (begin, address) = bound().await;
        lay(begin, there);
        let live = self.issued(&self.tokens().manager).await.unwrap().0;
        Self::open(listener, address, live, &[self.address.as_str()]).await
    }

    async fn open(listener: TcpListener, address: String, live: Arc<Live>, join: &[&str]) -> Self {
        let who = live.identity().unwrap().subject;
        let removed = Arc::new(Removed::default());
        let transport = Managers::new(&live, who.cluster_id(), Arc::clone(&removed) as _).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let join: Vec<_> = join.iter().map(|&address| address.to_owned()).collect();
        let options = EmbeddedOptions {
            advertise: Some(address.clone()),
            swarm: Some(Swarm { transport, founds: join.is_empty(), join }),
            ..EmbeddedOptions::new(folder.path())
        };
        let store = Embedded::open(options).await.unwrap();
        let replica = Replica::new(Arc::clone(&store) as _);
        let cluster_id = who.cluster_id().to_owned();
        let gate = Gate { live, cluster_id, removed, replica, store };
        let (connections, stop) = (Connections::new(), CancellationToken::new());
        let mut routes = routes(&gate, Services::new()).unwrap();
        let callers = Identify::by_certificate(Arc::clone(&gate.replica));
        let dispatcher = Dispatcher::new(Arc::clone(&gate.replica), callers, Clock::system());
        routes.extend(passages(&gate, &dispatcher, greet).unwrap());
        let server = Server::new(routes, Arc::clone(&connections));
        tokio::spawn(server.run(listener, stop.clone()));
        tokio::spawn(Arc::clone(&gate.replica).run(stop.clone()));
        let removed = Arc::clone(&gate.removed);
        let replica = Arc::clone(&gate.replica);
        tokio::spawn(keep_removed(replica, removed, Arc::clone(&connections), stop.clone()));
        Self { _folder: folder, address, gate, connections, stop }
    }

    /// Ends it in order.
    pub async fn shutdown(&self) {
        self.gate.store.shutdown().await;
        self.stop.cancel();
    }

    pub fn cluster(&self) -> Cluster {
        let cluster = self.gate.replica.read(|tables| tables.cluster.clone()).unwrap();
        Cluster::clone(&cluster)
    }

    pub fn tokens(&self) -> JoinTokens {
        self.cluster().join_tokens
    }

    /// Changes the swarm's object.
    pub async fn change(&self, change: impl FnOnce(&mut Cluster)) {
        let mut cluster = self.cluster();
        change(&mut cluster);
        let mut batch = Batch::default();
        batch.put(&cluster).unwrap();
        self.gate.replica.commit(batch).await.unwrap();
    }

    pub async fn members(&self) -> Vec<Member> {
        Store::members(&*self.gate.store).await
    }

    /// A connection of this kind, as whoever `live` is.
    pub async fn reach(&self, live: &Arc<Live>, kind: &[u8]) -> Result<Channel, ConnectError> {
        let expect = Expect::new(&self.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
        let tls = Arc::new(live.client(expect).unwrap());
        connect(&self.address, &tls, kind, PATIENCE).await
    }

    /// Asks for a certificate by this token.
    pub async fn issue(&self, token: &Secret, request: String) -> Result<IssueReply, Status> {
        let nobody = Live::new(self.gate.live.roots()).unwrap();
        let channel = self.reach(&nobody, CALLS).await.unwrap();
        let token_secret = token.reveal().rsplit('-').next().unwrap().to_owned();
        let availability = String::new();
        let request = IssueRequest { signing_request: request, token_secret, availability, now: 0 };
        AuthorityClient::new(channel).issue(request).await.map(tonic::Response::into_inner)
    }

    /// A node that joined by this token.
    pub async fn issued(&self, token: &Secret) -> Result<(Arc<Live>, Stored), Status> {
        let key = NodeKey::generate().unwrap();
        let reply = self.issue(token, key.request().unwrap()).await?;
        let stored = Stored::new(key, &reply.chain).unwrap();
        assert_eq!(stored.identity.subject.node_id(), reply.node_id);
        let live = Live::new(self.gate.live.roots()).unwrap();
        live.replace_own(Credentials::new(&stored).unwrap());
        Ok((live, stored))
    }
}
