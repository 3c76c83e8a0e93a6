//! Certificates: for tokens, and for those who have one.

use std::time::{Duration, SystemTime};

use swarm_ca::rotation::Signer;
use swarm_ca::tls::{Credentials, Live};
use swarm_ca::{Expiry, NodeKey, Role, Roots, Secret, Stored, Subject};
use swarm_manager::Batch;
use swarm_manager::authority::{issuing, kept, new_tokens};
use swarm_model::node::NodeState;
use swarm_model::{Availability, Node, node};
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::v1::{IssueRequest, RenewRequest, RootsRequest};
use swarm_rpc::{CALLS, RENEWAL, tls_cause};
use tonic::Code;

use crate::manager::Manager;

fn request() -> String {
    NodeKey::generate().unwrap().request().unwrap()
}

fn node_of(manager: &Manager, id: &str) -> Node {
    manager.gate.replica.read(|tables| Node::clone(&tables.nodes[id]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_gives_its_role_and_no_other() {
    let manager = Manager::found().await;
    let tokens = manager.tokens();
    for (token, role, wished) in [
        (&tokens.worker, Role::Worker, node::Role::Worker),
        (&tokens.manager, Role::Manager, node::Role::Manager),
    ] {
        let (_, stored) = manager.issued(token).await.unwrap();
        let subject = &stored.identity.subject;
        assert_eq!((subject.role(), subject.cluster_id()), (role, &*manager.gate.cluster_id));
        let node = node_of(&manager, subject.node_id());
        assert_eq!((node.spec.role, node.spec.availability), (wished, Availability::Active));
        assert_eq!((node.status.state, &*node.status.addr), (NodeState::Unknown, "127.0.0.1"));
        let ends = stored.identity.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(node.certificate_ends.0, i64::try_from(ends.as_nanos()).unwrap());
    }
    let nobody = Live::new(manager.gate.live.roots()).unwrap();
    let mut calls = AuthorityClient::new(manager.reach(&nobody, CALLS).await.unwrap());
    let pem = calls.roots(RootsRequest {}).await.unwrap().into_inner().pem;
    let pinned = kept(&manager.cluster()).unwrap().pinned().unwrap();
    assert_eq!(Roots::pinned(&pem, pinned.digest(), SystemTime::now()).unwrap(), pinned);
    assert_eq!(issuing(&manager.cluster()).unwrap(), pinned.digest());
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_no_certificate_is_told_and_leaves_no_node() {
    let manager = Manager::found().await;
    let before = manager.tokens();
    let authority = kept(&manager.cluster()).unwrap();
    manager.change(|cluster| cluster.join_tokens = new_tokens(&authority).unwrap()).await;
    let worker = manager.tokens().worker;
    for (token, request, words) in [
        (&Secret::new("SWMTKN-1-a-b"), request(), "A valid join token is necessary"),
        (&Secret::new(""), request(), "A valid join token is necessary"),
        (&before.worker, request(), "was rotated"),
        (&before.manager, request(), "was rotated"),
        (&worker, "x".to_owned(), "certificate request cannot be read"),
    ] {
        let refused = manager.issue(token, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(words), "{refused}");
    }
    let nobody = Live::new(manager.gate.live.roots()).unwrap();
    let mut calls = AuthorityClient::new(manager.reach(&nobody, CALLS).await.unwrap());
    let token_secret = worker.reveal().rsplit('-').next().unwrap().to_owned();
    let availability = "sometimes".to_owned();
    let odd = IssueRequest { signing_request: request(), token_secret, availability, now: 0 };
    let refused = calls.issue(odd).await.unwrap_err();
    assert!(refused.message().contains("active, pause or drain"), "{refused}");
    let refused =
        calls.renew(RenewRequest { signing_request: request(), now: 0 }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    manager.gate.replica.read(|tables| assert_eq!(tables.nodes.len(), 1));
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_certificate_is_renewed_with_the_role_of_the_moment_and_does_nothing_else() {
    let manager = Manager::found().await;
    let (_, stored) = manager.issued(&manager.tokens().worker).await.unwrap();
    let id = stored.identity.subject.node_id().to_owned();
    // As it would be after it was off for long.
    let signer = kept(&manager.cluster()).unwrap().signer(SystemTime::now()).unwrap();
    let Signer::Own(issuer) = signer else { panic!("the key is here") };
    let subject = Subject::new(&id, Role::Worker, &manager.gate.cluster_id).unwrap();
    let expiry = Expiry::new(Duration::from_hours(1)).unwrap();
    let key = NodeKey::generate().unwrap();
    let issued = SystemTime::now() - Duration::from_mins(90);
    let chain = issuer.issue(&key.request().unwrap(), &subject, expiry, issued).unwrap();
    let ended = Live::new(manager.gate.live.roots()).unwrap();
    ended.replace_own(Credentials::new(&Stored::new(key, &chain).unwrap()).unwrap());

    // It is refused wherever else it is shown.
    let failed = manager.reach(&ended, CALLS).await.unwrap_err();
    let alert = tls_cause(&failed).unwrap_or_else(|| panic!("{failed:?}"));
    let expired = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
    assert_eq!(*alert, expired);

    for (role, named) in [(node::Role::Worker, Role::Worker), (node::Role::Manager, Role::Manager)]
    {
        let mut node = node_of(&manager, &id);
        node.spec.role = role;
        let mut batch = Batch::default();
        batch.put(&node).unwrap();
        manager.gate.replica.commit(batch).await.unwrap();
        let mut calls = AuthorityClient::new(manager.reach(&ended, RENEWAL).await.unwrap());
        let key = NodeKey::generate().unwrap();
        let asked = RenewRequest { signing_request: key.request().unwrap(), now: 0 };
        let reply = calls.renew(asked).await.unwrap().into_inner();
        let stored = Stored::new(key, &reply.chain).unwrap();
        let subject = &stored.identity.subject;
        assert_eq!((subject.role(), subject.node_id()), (named, &*id));
        assert_eq!(reply.roots, manager.gate.live.roots().to_pem());
        assert!(node_of(&manager, &id).certificate_ends >= node.certificate_ends);
    }
    // Nothing else is served there.
    let mut calls = AuthorityClient::new(manager.reach(&ended, RENEWAL).await.unwrap());
    let refused = calls.roots(RootsRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_authority_is_asked_where_there_is_one() {
    let manager = Manager::found().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/api/v1/cfssl/sign", closed.local_addr().unwrap());
    drop(closed);
    let entry = serde_json::json!({ "Protocol": "cfssl", "URL": url });
    manager.change(|cluster| cluster.spec.ca_config.external_cas = vec![entry]).await;
    let refused = manager.issue(&manager.tokens().worker, request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains(&url), "{refused}");
    // One that signs for another root is not asked.
    let other = swarm_ca::RootCa::create(SystemTime::now()).unwrap().certificate_pem();
    let entry = serde_json::json!({ "Protocol": "cfssl", "URL": url, "CACert": other });
    manager.change(|cluster| cluster.spec.ca_config.external_cas = vec![entry]).await;
    manager.issue(&manager.tokens().worker, request()).await.unwrap();
    let entry = serde_json::json!({ "Protocol": "acme", "URL": url });
    manager.change(|cluster| cluster.spec.ca_config.external_cas = vec![entry]).await;
    let refused = manager.issue(&manager.tokens().worker, request()).await.unwrap_err();
    assert!(refused.message().contains("protocol acme is not known"), "{refused}");
    manager.shutdown().await;
}
