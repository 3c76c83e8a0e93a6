//! A way from this machine into a host of a lab, for a browser: what listens on the host's own loopback
//! address is reached at an address here.
//!
//! Invariant: each connection here is one there; where nobody listens there, it ends at once, as it would
//! in the host itself.

use std::fs::File;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use swarm_testkit::lab::{Lab, connect_in};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// See the module. It is closed when this is dropped.
#[derive(Debug)]
pub struct Doorway {
    address: SocketAddr,
    relaying: JoinHandle<()>,
}

impl Doorway {
    /// Opens one to `port` of a host's loopback address.
    pub async fn open(lab: &Lab, host: u8, port: u16) -> Result<Self> {
        let network = lab.network(host)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let relaying = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(network) = network.try_clone() else { continue };
                tokio::spawn(relay(client, network, port));
            }
        });
        Ok(Self { address, relaying })
    }

    /// What to open in a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `HOST:PORT` here.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}

async fn relay(mut client: TcpStream, network: File, port: u16) -> Result<()> {
    let inside =
        tokio::task::spawn_blocking(move || connect_in(&network, &format!("127.0.0.1:{port}")));
    let inside = inside.await.context("the thread that connects")??;
    inside.set_nonblocking(true)?;
    let mut inside = TcpStream::from_std(inside)?;
    tokio::io::copy_bidirectional(&mut client, &mut inside).await?;
    Ok(())
}
