//! Connections to a node's engine that its leader asks for, on a simulated engine.

mod common;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use common::{Node, Plain};
use swarm_agent::Dial;
use swarm_backend::BoxError;
use swarm_engine::Raw;
use swarm_rpc::preamble::{self, TunnelId};
use swarm_rpc::v1::{OpenTunnel, to_agent};
use swarm_testkit::leader::Leader;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tonic::transport::Channel;

const LONG: Duration = Duration::from_secs(20);
const ID: TunnelId = TunnelId([9; 32]);

/// Dials tunnels to a port of the test's.
struct ToTest(String);

#[async_trait::async_trait]
impl Dial for ToTest {
    async fn channel(&self, address: &str) -> Result<Channel, BoxError> {
        Plain.channel(address).await
    }

    async fn tunnel(&self, _: &str) -> Result<Box<dyn Raw>, BoxError> {
        Ok(Box::new(TcpStream::connect(&self.0).await?))
    }

    fn roots(&self) -> String {
        String::new()
    }
}

/// The next tunnel that comes, and what it says of itself.
async fn next(port: &TcpListener) -> Result<(TcpStream, Result<(), String>)> {
    let (mut stream, _) = timeout(LONG, port.accept()).await??;
    let (id, opened) = timeout(LONG, preamble::read(&mut stream)).await??;
    ensure!(id == ID);
    Ok((stream, opened))
}

fn ask(leader: &Leader) -> Result<()> {
    leader.say(to_agent::What::Tunnel(OpenTunnel { id: ID.0.to_vec().into() }))
}

#[tokio::test]
async fn the_leader_talks_with_the_engine_until_the_session_ends() -> Result<()> {
    let (node, leader) = (Node::start().await?, Leader::start().await?);
    let port = TcpListener::bind("127.0.0.1:0").await?;
    let dial = Arc::new(ToTest(port.local_addr()?.to_string()));
    let _agent = node.agent_by(dial, &[&leader])?;
    leader.until("a session", |heard| heard.sessions == 1).await?;
    // What is no id is no tunnel, and ends nothing.
    leader.say(to_agent::What::Tunnel(OpenTunnel { id: "short".into() }))?;
    ask(&leader)?;
    let (mut tunnel, opened) = next(&port).await?;
    opened.map_err(anyhow::Error::msg)?;
    tunnel.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n").await?;
    let mut answer = [0; 15];
    timeout(LONG, tunnel.read_exact(&mut answer)).await??;
    ensure!(&answer == b"HTTP/1.1 200 OK", "{}", String::from_utf8_lossy(&answer));
    leader.hang_up();
    let mut rest = Vec::new();
    // Its end, or a reset.
    timeout(LONG, tunnel.read_to_end(&mut rest)).await.context("it goes on")?.ok();
    Ok(())
}

#[tokio::test]
async fn an_engine_that_is_away_is_told_of() -> Result<()> {
    let (node, leader) = (Node::start().await?, Leader::start().await?);
    let port = TcpListener::bind("127.0.0.1:0").await?;
    let dial = Arc::new(ToTest(port.local_addr()?.to_string()));
    let _agent = node.agent_by(dial, &[&leader])?;
    leader.until("a session", |heard| heard.sessions == 1).await?;
    node.engine().stop();
    ask(&leader)?;
    let (_tunnel, opened) = next(&port).await?;
    let Err(words) = opened else { bail!("it cannot be open") };
    ensure!(words.contains("connect"), "{words}");
    Ok(())
}
