//! What a server makes of callers that do not keep to the rules: garbage, calls that are not theirs,
//! calls for somebody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::link::{Dialer, LinkError};
use super::wire::{Fault, Request};
use crate::{Embedded, EmbeddedOptions, Role, trust};

const PATIENCE: Duration = Duration::from_secs(20);

async fn manager() -> (tempfile::TempDir, Arc<Embedded>) {
    let folder = tempfile::tempdir().unwrap();
    let listen = Some(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let options = EmbeddedOptions { listen, ..EmbeddedOptions::new(folder.path()) };
    (folder, Embedded::open(options).await.unwrap())
}

fn proposal() -> Request {
    Request::Propose(swarm_store::Command::Grant { lease: "l".to_owned(), ttl: 1000 })
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_between_managers_are_for_managers_and_for_the_right_one() {
    let (_folder, embedded) = manager().await;
    let authority = &embedded.core().authority;
    let until = Instant::now() + PATIENCE;
    let address = embedded.address().to_owned();
    for role in [Some(Role::Manager), Some(Role::Node), None] {
        let secret = role.and_then(|role| crate::members::secret(embedded.core(), role));
        let dialer = Dialer::new(trust::client(authority.digest(), None).unwrap(), secret);
        for request in [
            proposal(),
            Request::ReadIndex,
            Request::Announce {
                id: embedded.id(),
                address: "127.0.0.1:1".to_owned(),
                passed_on: false,
            },
        ] {
            let mut link = dialer.dial(&address, until).await.unwrap();
            let answer = link.call(None, request, until).await;
            assert!(matches!(&answer, Err(LinkError::Fault(Fault::Refused(_)))), "{answer:?}");
        }
    }
    // A node writes one key at a time, also where each of them is its own to write.
    let secret = crate::members::secret(embedded.core(), Role::Node);
    let dialer = Dialer::new(trust::client(authority.digest(), None).unwrap(), secret);
    let puts = vec![("docker/swarm/nodes/10.0.0.1:2375".to_owned(), "x".into())];
    let transaction = swarm_store::Transaction { puts, ..Default::default() };
    let request = Request::Write(swarm_store::Command::Transact(transaction));
    let answer = dialer.dial(&address, until).await.unwrap().call(None, request, until).await;
    let Err(LinkError::Fault(Fault::Refused(words))) = answer else { panic!("{answer:?}") };
    assert_eq!(words, "a node writes one key at a time");
    // With a certificate of a manager that there is not (any more).
    let identity = trust::identity(authority, 42).unwrap();
    let mut link = Dialer::new(identity.client, None).dial(&address, until).await.unwrap();
    let answer = link.call(Some(embedded.id()), proposal(), until).await;
    assert!(matches!(&answer, Err(LinkError::Fault(Fault::Unreachable(_)))), "{answer:?}");
    // With that of one there is: for another one than is here, and for this one.
    let identity = trust::identity(authority, embedded.id()).unwrap();
    let mut link = Dialer::new(identity.client, None).dial(&address, until).await.unwrap();
    let answer = link.call(Some(43), proposal(), until).await;
    assert_eq!(answer.unwrap_err(), LinkError::Fault(Fault::Elsewhere));
    link.call(Some(embedded.id()), proposal(), until).await.unwrap();
    // With one of another pool's authority.
    let other = trust::Authority::new().unwrap();
    let (own, pinned) = (Some((&other, 42)), authority.digest());
    let dialer = Dialer::new(trust::client(pinned, own).unwrap(), None);
    let answer = async {
        let mut link = dialer.dial(&address, until).await?;
        link.call(None, Request::ReadIndex, until).await
    };
    let answer = answer.await;
    assert!(matches!(&answer, Err(LinkError::Lost(_) | LinkError::NotSent(_))), "{answer:?}");
    embedded.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_connection_and_no_other() {
    let (_folder, embedded) = manager().await;
    let address = embedded.address().to_owned();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 2000], &[22, 3, 1, 255, 255]] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a connection without sense is closed");
    }
    // Within TLS: a frame that is too large, and one that is no message.
    let digest = embedded.core().authority.digest();
    for frame in [&[255, 255, 255, 255, 1][..], &[0, 0, 0, 3, 255, 255, 255]] {
        let dialer = Dialer::new(trust::client(digest, None).unwrap(), None);
        let mut link = dialer.dial(&address, Instant::now() + PATIENCE).await.unwrap();
        link.raw(frame).await;
        let answer = link.receive(Instant::now() + PATIENCE).await;
        assert!(matches!(&answer, Err(LinkError::Lost(_))), "{answer:?}");
    }
    swarm_kv::KeyValue::put(&*embedded, swarm_kv::Write::new("d/k", "v")).await.unwrap();
    embedded.shutdown().await;
}
