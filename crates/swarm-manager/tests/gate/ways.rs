//! What a connection is for is said in its handshake, and each way has its own callers.

use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, Error};
use swarm_ca::tls::{Everybody, Expect, Live};
use swarm_ca::{Identity, Role};
use swarm_manager::Batch;
use swarm_manager::authority::{caller, calling_manager};
use swarm_model::{Node, node};
use swarm_rpc::preamble::{self, TunnelId};
use swarm_rpc::v1::RootsRequest;
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::{CALLS, CLUSTER, ConnectError, ENGINE, Peer, RAFT, dial, tls_cause};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Request};

use crate::manager::{GREETING, Manager, PATIENCE};

/// What becomes of a connection of this kind: rustls's own error, or how many bytes came.
async fn came(manager: &Manager, live: &Arc<Live>, kind: &[u8]) -> Result<usize, Error> {
    let expect = Expect::new(&manager.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
    let tls = Arc::new(live.client(expect).unwrap());
    let mut stream = match dial(&manager.address, &tls, kind, PATIENCE).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(tls_cause(&error).cloned().unwrap_or(Error::General(error.to_string())));
        }
    };
    // A server that is content says nothing before it is asked.
    match timeout(Duration::from_secs(1), stream.read(&mut [0; 64])).await {
        Err(_) => Ok(0),
        Ok(Ok(count)) => Ok(count),
        Ok(Err(error)) => {
            Err(tls_cause(&error).cloned().unwrap_or(Error::General(error.to_string())))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reaches_calls_and_never_the_store() {
    let manager = Manager::found().await;
    let (worker, _) = manager.issued(&manager.tokens().worker).await.unwrap();
    let mut calls = AuthorityClient::new(manager.reach(&worker, CALLS).await.unwrap());
    calls.roots(RootsRequest {}).await.unwrap();
    let refused = came(&manager, &worker, RAFT).await.unwrap_err();
    assert!(matches!(refused, Error::AlertReceived(_)), "{refused}");
    let nobody = Live::new(manager.gate.live.roots()).unwrap();
    let refused = came(&manager, &nobody, RAFT).await.unwrap_err();
    assert_eq!(refused, Error::AlertReceived(AlertDescription::CertificateRequired));
    let (other, stored) = manager.issued(&manager.tokens().manager).await.unwrap();
    assert_eq!(came(&manager, &other, RAFT).await, Ok(0), "a manager is listened to");

    // Once it was demoted, and the store does without it, its certificate is not enough.
    let id = stored.identity.subject.node_id();
    let mut node = manager.gate.replica.read(|tables| Node::clone(&tables.nodes[id]));
    node.spec.role = node::Role::Worker;
    let mut batch = Batch::default();
    batch.put(&node).unwrap();
    manager.gate.replica.commit(batch).await.unwrap();
    let ended = came(&manager, &other, RAFT).await;
    assert!(matches!(ended, Err(Error::General(_))), "{ended:?}");
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_passes_no_client_on_and_opens_its_own_engine_alone() {
    let manager = Manager::found().await;
    let (worker, _) = manager.issued(&manager.tokens().worker).await.unwrap();
    let refused = came(&manager, &worker, CLUSTER).await.unwrap_err();
    assert!(matches!(refused, Error::AlertReceived(_)), "{refused}");
    let (other, _) = manager.issued(&manager.tokens().manager).await.unwrap();
    assert_eq!(came(&manager, &other, CLUSTER).await, Ok(GREETING.len()));
    let nobody = Live::new(manager.gate.live.roots()).unwrap();
    for kind in [CLUSTER, ENGINE] {
        let refused = came(&manager, &nobody, kind).await.unwrap_err();
        assert_eq!(refused, Error::AlertReceived(AlertDescription::CertificateRequired));
    }
    // Any node is listened to; one that says an id that nobody asked it for is let go.
    assert_eq!(came(&manager, &worker, ENGINE).await, Ok(0));
    let expect = Expect::new(&manager.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
    let tls = Arc::new(worker.client(expect).unwrap());
    let mut stream = dial(&manager.address, &tls, ENGINE, PATIENCE).await.unwrap();
    preamble::write(&mut stream, &TunnelId([0; 32]), Ok(())).await.unwrap();
    let ended = timeout(PATIENCE, stream.read(&mut [0])).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_way_is_closed() {
    let manager = Manager::found().await;
    let live = &manager.gate.live;
    for kind in [&b"http/1.1"[..], b"swarm"] {
        let refused = came(&manager, live, kind).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 600], &[22, 3, 1, 255, 255]] {
        let mut stream = TcpStream::connect(&manager.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, garbage).await.unwrap();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a connection without sense is closed");
    }
    let mut calls = AuthorityClient::new(manager.reach(live, CALLS).await.unwrap());
    calls.roots(RootsRequest {}).await.unwrap();
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_with_the_address() {
    let manager = Manager::found().await;
    let live = Arc::clone(&manager.gate.live);
    manager.shutdown().await;
    let error = crate::manager::eventually("the port is closed", async || {
        manager.reach(&live, CALLS).await.err()
    })
    .await;
    assert!(error.to_string().contains(&manager.address), "{error}");
    // One that takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let expect = Expect::new(&manager.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
    let tls = Arc::new(live.client(expect).unwrap());
    let error = dial(&address, &tls, CALLS, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Late { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_know_who_makes_them() {
    let manager = Manager::found().await;
    let from = |stored: Option<&swarm_ca::Stored>| {
        let chain = stored.map(|stored| stored.chain.clone()).unwrap_or_default();
        let address = ([127, 0, 0, 1], 1).into();
        let certificate = chain.first().cloned();
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer { certificate, chain: chain.into(), address });
        request
    };
    let (_, worker) = manager.issued(&manager.tokens().worker).await.unwrap();
    let (_, other) = manager.issued(&manager.tokens().manager).await.unwrap();
    let who = |identity: Identity| identity.subject;
    assert_eq!(who(caller(&from(Some(&worker))).unwrap()), worker.identity.subject);
    assert_eq!(who(calling_manager(&from(Some(&other))).unwrap()), other.identity.subject);
    let refused = calling_manager(&from(Some(&worker))).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(caller(&from(None)).unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(caller(&Request::new(())).unwrap_err().code(), Code::Internal);
    manager.shutdown().await;
}

/// Passes bytes on to `there` until it is told to go silent: then it keeps its connections, and loses
/// what comes.
async fn passage(there: String, silent: tokio::sync::watch::Receiver<bool>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((here, _)) = listener.accept().await {
            let there = TcpStream::connect(&there).await.unwrap();
            let ((from, to), (back_from, back_to)) = (here.into_split(), there.into_split());
            tokio::spawn(pass(from, back_to, silent.clone()));
            tokio::spawn(pass(back_from, to, silent.clone()));
        }
    });
    address
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    silent: tokio::sync::watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !*silent.borrow() {
            tokio::io::AsyncWriteExt::write_all(&mut to, &buffer[..count]).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_goes_silent_is_noticed_within_seconds() {
    let manager = Manager::found().await;
    let (silence, silent) = tokio::sync::watch::channel(false);
    let address = passage(manager.address.clone(), silent).await;
    let expect = Expect::new(&manager.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
    let tls = Arc::new(manager.gate.live.client(expect).unwrap());
    let channel = swarm_rpc::connect(&address, &tls, CALLS, PATIENCE).await.unwrap();
    let mut calls = AuthorityClient::new(channel);
    calls.roots(RootsRequest {}).await.unwrap();
    silence.send(true).unwrap();
    let begun = std::time::Instant::now();
    calls.roots(RootsRequest {}).await.unwrap_err();
    // Two seconds, and what a busy machine adds.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    manager.shutdown().await;
}
