//! Joining, with each kind of token.

use std::time::Duration;

use swarm_ca::{Disk, Role, UnlockKey};
use swarm_manager::authority::{kept, new_tokens};
use swarm_model::Availability;
use swarm_model::node::Role as Wished;
use swarm_node::identity::{JoinError, Joining, Own, OwnError, join};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::manager::Manager;

pub fn disk() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(&folder.path().join("certificates")).unwrap();
    (folder, disk)
}

fn by(addresses: &[&str]) -> Joining {
    let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
    Joining { addresses, availability: Availability::Drain }
}

async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_and_is_the_same_when_it_is_back() {
    let manager = Manager::found().await;
    let tokens = manager.tokens();
    for (token, role, wished) in [
        (&tokens.worker, Role::Worker, Wished::Worker),
        (&tokens.manager, Role::Manager, Wished::Manager),
    ] {
        let (_folder, disk) = disk();
        // The first address is nobody's.
        let joining = by(&[&closed().await, &manager.address]);
        let lock = UnlockKey::generate().unwrap();
        let own = join(token.reveal(), &joining, disk.clone(), Some(lock.clone())).await.unwrap();
        let subject = own.identity().subject;
        assert_eq!((subject.role(), subject.cluster_id()), (role, &*manager.gate.cluster_id));
        manager.gate.replica.read(|tables| {
            let spec = &tables.nodes[subject.node_id()].spec;
            assert_eq!((spec.role, spec.availability), (wished, Availability::Drain));
        });
        let locked = Own::load(disk.clone(), None).await.unwrap_err();
        assert!(matches!(locked, OwnError::Disk(swarm_ca::DiskError::Locked)), "{locked}");
        own.lock(None).await.unwrap();
        let back = Own::load(disk, None).await.unwrap().unwrap();
        assert_eq!(back.identity(), own.identity());
        assert_eq!(back.live().roots(), manager.gate.live.roots());
        assert!(back.issuer().is_some());
    }
    let (_folder, disk) = disk();
    assert!(Own::load(disk, None).await.unwrap().is_none());
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_token_is_told() {
    let (manager, other) = (Manager::found().await, Manager::found().await);
    let joined = async |token: &str| {
        let (_folder, disk) = disk();
        let error = join(token, &by(&[&manager.address]), disk.clone(), None).await.unwrap_err();
        assert!(Own::load(disk, None).await.unwrap().is_none(), "nothing is kept");
        assert!(!error.to_string().contains(token) || token.is_empty(), "no secret is shown");
        error
    };
    let error = joined("SWMTKN-1-abc").await;
    assert!(matches!(error, JoinError::Token(_)), "{error}");
    let error = joined(other.tokens().manager.reveal()).await;
    let words = "it belongs to another swarm than the join token";
    assert!(matches!(error, JoinError::Failed(_)) && error.to_string().contains(words), "{error}");
    let old = manager.tokens().worker;
    let authority = kept(&manager.cluster()).unwrap();
    manager.change(|cluster| cluster.join_tokens = new_tokens(&authority).unwrap()).await;
    let error = joined(old.reveal()).await;
    let JoinError::Refused { address, words } = &error else { panic!("{error}") };
    assert_eq!(*address, manager.address);
    assert!(words.contains("A valid join token is necessary"), "{words}");
    let (_folder, disk) = disk();
    let error = join(old.reveal(), &by(&[]), disk, None).await.unwrap_err();
    assert!(matches!(error, JoinError::NoAddress));
    manager.gate.replica.read(|tables| assert_eq!(tables.nodes.len(), 1));
    manager.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_manager_that_was_not_reached_is_named_with_the_reason() {
    let manager = Manager::found().await;
    let token = manager.tokens().worker;
    manager.shutdown().await;
    // One speaks no TLS.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_address = plain.local_addr().unwrap().to_string();
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let nobody = closed().await;
    let (_folder, disk) = disk();
    let addresses = by(&[&nobody, &plain_address]);
    let error = join(token.reveal(), &addresses, disk, None).await.unwrap_err();
    let JoinError::Failed(reasons) = &error else { panic!("{error}") };
    assert!(reasons[0].starts_with(&nobody), "{reasons:?}");
    assert!(reasons[0].contains("does a manager listen there?"), "{reasons:?}");
    assert!(reasons[1].starts_with(&plain_address), "{reasons:?}");
    assert!(reasons[1].contains("does not speak TLS"), "{reasons:?}");
    answering.abort();
}
