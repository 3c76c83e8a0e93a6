//! A removed node is refused from that moment, and what it had open is closed.

use std::sync::Arc;
use std::time::Duration;

use swarm_ca::Role;
use swarm_ca::tls::{Everybody, Expect};
use swarm_manager::Batch;
use swarm_model::{Cluster, Node};
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::v1::{RenewRequest, RootsRequest};
use swarm_rpc::{CALLS, RAFT, RENEWAL, dial, tls_cause};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tonic::Code;

use crate::manager::{Manager, PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_out_at_once() {
    let manager = Manager::found().await;
    let (gone, stored) = manager.issued(&manager.tokens().worker).await.unwrap();
    let (stays, _) = manager.issued(&manager.tokens().worker).await.unwrap();
    let mut of_gone = AuthorityClient::new(manager.reach(&gone, CALLS).await.unwrap());
    let mut of_stays = AuthorityClient::new(manager.reach(&stays, CALLS).await.unwrap());
    of_gone.roots(RootsRequest {}).await.unwrap();
    of_stays.roots(RootsRequest {}).await.unwrap();
    assert_eq!(manager.connections.len(), 2);

    let id = stored.identity.subject.node_id();
    let node = manager.gate.replica.read(|tables| Node::clone(&tables.nodes[id]));
    let mut cluster: Cluster = manager.cluster();
    cluster.removed.insert(node.id.clone(), node.certificate_ends);
    let mut batch = Batch::default();
    batch.put(&cluster).unwrap();
    batch.delete(&node);
    manager.gate.replica.commit(batch).await.unwrap();

    eventually("its connection is closed", async || (manager.connections.len() == 1).then_some(()))
        .await;
    assert!(of_gone.roots(RootsRequest {}).await.is_err());
    of_stays.roots(RootsRequest {}).await.unwrap();
    let again = manager.reach(&gone, CALLS).await.unwrap_err();
    assert!(matches!(tls_cause(&again), Some(rustls::Error::AlertReceived(_))), "{again}");
    // Where it would renew it is told why.
    let mut calls = AuthorityClient::new(manager.reach(&gone, RENEWAL).await.unwrap());
    let signing_request = stored.key.request().unwrap();
    let asked =
        timeout(Duration::from_secs(10), calls.renew(RenewRequest { signing_request, now: 0 }));
    let refused = asked.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("was removed from the swarm"), "{refused}");
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_manager_s_way_to_the_store_is_closed() {
    let manager = Manager::found().await;
    let (gone, stored) = manager.issued(&manager.tokens().manager).await.unwrap();
    let expect = Expect::new(&manager.gate.cluster_id, &[Role::Manager], Arc::new(Everybody));
    let tls = Arc::new(gone.client(expect).unwrap());
    let mut stream = dial(&manager.address, &tls, RAFT, PATIENCE).await.unwrap();
    eventually("it is listed", async || (manager.connections.len() == 1).then_some(())).await;
    let id = stored.identity.subject.node_id();
    let node = manager.gate.replica.read(|tables| Node::clone(&tables.nodes[id]));
    let ends = node.certificate_ends;
    manager.change(|cluster| cluster.removed.extend([(node.id, ends)])).await;
    // As it says nothing the server waits for it, until the connection is closed.
    let ended = timeout(Duration::from_secs(4), stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    eventually("it is off the list", async || manager.connections.is_empty().then_some(())).await;
    manager.shutdown().await;
}
