//! Callers that take a place and say no more.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use swarm_ca::Role;
use swarm_ca::tls::{Everybody, Expect};
use swarm_rpc::CALLS;
use swarm_rpc::v1::RootsRequest;
use swarm_rpc::v1::authority_client::AuthorityClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::manager::{Manager, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_are_begun_and_left_keep_nobody_out_and_are_ended() {
    let manager = Manager::found().await;
    let live = &manager.gate.live;
    let expect = Expect::new(&manager.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
    let mut tls = live.client(expect).unwrap();
    tls.alpn_protocols = vec![CALLS.to_vec()];
    let tls = Arc::new(tls);
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let name = "node.invalid".try_into().unwrap();
        let mut hello = Vec::new();
        ClientConnection::new(Arc::clone(&tls), name).unwrap().write_tls(&mut hello).unwrap();
        let mut stream = TcpStream::connect(&manager.address).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        stalled.push(stream);
    }
    // Well below what the stalled ones are let wait.
    let reaching = timeout(Duration::from_secs(4), manager.reach(live, CALLS));
    let mut calls = AuthorityClient::new(reaching.await.unwrap().unwrap());
    calls.roots(RootsRequest {}).await.unwrap();
    for mut stream in stalled {
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "it is closed");
    }
    manager.shutdown().await;
}
