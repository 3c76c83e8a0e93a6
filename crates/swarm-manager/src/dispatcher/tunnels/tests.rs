//! Who gets a tunnel, and who does not.

use std::time::Duration;

use swarm_model::Node;
use swarm_rpc::preamble::{self, TunnelId};
use swarm_rpc::v1::{Beat, FromAgent, ToAgent, from_agent, to_agent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::*;
use crate::fixture::{Swarm, hello, identity};

/// A node's end of a session.
struct Agent {
    beats: tokio::task::JoinHandle<()>,
    down: ReceiverStream<Result<ToAgent, Status>>,
}

impl Agent {
    async fn link(swarm: &Swarm, node: &str) -> Self {
        let record = Node { id: node.into(), ..Node::default() };
        swarm.put(|batch, _| batch.put(&record)).await;
        let (up, inbound) = mpsc::channel(8);
        let down = swarm.dispatcher.open(identity(node), ReceiverStream::new(inbound)).await;
        up.send(Ok(hello(node))).await.unwrap();
        let beats = tokio::spawn(async move {
            let beat = || FromAgent { what: Some(from_agent::What::Beat(Beat { now: 0 })) };
            while up.send(Ok(beat())).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let mut agent = Self { beats, down: down.unwrap() };
        while !matches!(agent.next().await, to_agent::What::Assignments(_)) {}
        agent
    }

    async fn next(&mut self) -> to_agent::What {
        self.down.next().await.unwrap().unwrap().what.unwrap()
    }

    /// Which tunnel is wanted of it.
    async fn wanted(&mut self) -> TunnelId {
        loop {
            if let to_agent::What::Tunnel(wanted) = self.next().await {
                return TunnelId(<[u8; 32]>::try_from(&*wanted.id).unwrap());
            }
        }
    }
}

/// `node` dials back; its end.
async fn dial(swarm: &Swarm, node: &str, id: &TunnelId, opened: Result<(), &str>) -> DuplexStream {
    let (mut theirs, ours) = duplex(1 << 10);
    swarm.dispatcher.arrived(node.into(), Box::new(ours));
    preamble::write(&mut theirs, id, opened).await.unwrap();
    theirs
}

fn ask(swarm: &Swarm, node: &'static str) -> tokio::task::JoinHandle<Result<Tunnel, TunnelError>> {
    let dispatcher = Arc::clone(&swarm.dispatcher);
    tokio::spawn(async move { dispatcher.tunnel(node).await })
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_until_the_session_ends() {
    let swarm = Swarm::start();
    let mut a = Agent::link(&swarm, "a").await;
    let asked = ask(&swarm, "a");
    let id = a.wanted().await;
    let mut engine = dial(&swarm, "a", &id, Ok(())).await;
    let mut tunnel = asked.await.unwrap().unwrap();
    tunnel.write_all(b"GET /_ping").await.unwrap();
    let mut heard = [0; 10];
    engine.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"GET /_ping");
    engine.write_all(b"OK").await.unwrap();
    tunnel.read_exact(&mut heard[..2]).await.unwrap();
    assert_eq!(&heard[..2], b"OK");
    // An id opens one tunnel.
    let mut again = dial(&swarm, "a", &id, Ok(())).await;
    assert_eq!(again.read(&mut heard).await.unwrap(), 0);
    a.beats.abort();
    let over = tunnel.read(&mut heard).await.unwrap_err();
    assert!(over.to_string().contains("session"), "{over}");
    assert!(tunnel.write_all(b"more").await.is_err());
    drop(tunnel);
    let gone = ask(&swarm, "a").await.unwrap().unwrap_err();
    assert_eq!(gone, TunnelError::NoSession("a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn only_the_node_that_was_asked_opens_it() {
    let swarm = Swarm::start();
    let mut a = Agent::link(&swarm, "a").await;
    let _b = Agent::link(&swarm, "b").await;
    let asked = ask(&swarm, "a");
    let id = a.wanted().await;
    let mut stolen = dial(&swarm, "b", &id, Ok(())).await;
    assert_eq!(stolen.read(&mut [0]).await.unwrap(), 0, "it is let go");
    let mut guessed = dial(&swarm, "a", &TunnelId([1; 32]), Ok(())).await;
    assert_eq!(guessed.read(&mut [0]).await.unwrap(), 0);
    let _engine = dial(&swarm, "a", &id, Ok(())).await;
    asked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_open_is_told() {
    let swarm = Swarm::start();
    let mut a = Agent::link(&swarm, "a").await;
    let asked = ask(&swarm, "a");
    let id = a.wanted().await;
    let _ended = dial(&swarm, "a", &id, Err("dockerd is not there")).await;
    let refused = asked.await.unwrap().unwrap_err().to_string();
    assert_eq!(refused, "node a does not reach its engine: dockerd is not there");
    // Nothing comes.
    let late = ask(&swarm, "a").await.unwrap().unwrap_err();
    assert_eq!(late, TunnelError::Late("a".to_owned()));
    assert!(swarm.dispatcher.tunnels.wanted.lock().is_empty(), "nothing is kept of it");
}

#[tokio::test(start_paused = true)]
async fn a_node_has_so_many_and_gives_them_back() {
    let swarm = Swarm::start();
    let mut a = Agent::link(&swarm, "a").await;
    let mut open = Vec::new();
    for _ in 0..MOST {
        let asked = ask(&swarm, "a");
        let id = a.wanted().await;
        let engine = dial(&swarm, "a", &id, Ok(())).await;
        open.push((asked.await.unwrap().unwrap(), engine));
    }
    let many = ask(&swarm, "a").await.unwrap().unwrap_err();
    assert_eq!(many, TunnelError::Many("a".to_owned()));
    open.pop();
    let asked = ask(&swarm, "a");
    let id = a.wanted().await;
    let _engine = dial(&swarm, "a", &id, Ok(())).await;
    asked.await.unwrap().unwrap();
}
