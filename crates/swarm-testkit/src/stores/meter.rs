//! A TCP proxy on loopback that counts what passes: what a client and a store say to each other.
//!
//! It counts payload. Headers of TCP and IP come on top, and `pieces` gives an idea of how many
//! packets carried it: what arrived together counts once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A running proxy; dropping it cuts every connection through it.
#[derive(Debug)]
pub struct Meter {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    pieces: AtomicU64,
    connections: AtomicU64,
    mute: AtomicBool,
    cut: watch::Sender<bool>,
}

impl Meter {
    /// Forwards every connection to `target` (`HOST:PORT`).
    pub async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the meter")?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(forward(listener, target.to_owned(), Arc::clone(&counts)));
        Ok(Self { address, counts, task })
    }

    /// Where clients connect to, `HOST:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Bytes passed so far, both ways together.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Pieces in which they came.
    pub fn pieces(&self) -> u64 {
        self.counts.pieces.load(Ordering::Relaxed)
    }

    /// Connections made so far.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// From now on what is said waits, both ways, and new connections get no answer: a cable that is
    /// pulled.
    pub fn cut(&self) {
        self.counts.cut.send_replace(true);
    }

    /// The cable is plugged in again: what waited arrives.
    pub fn heal(&self) {
        self.counts.cut.send_replace(false);
    }

    /// From now on the target hears everything and no answer of it arrives: a network that is broken
    /// one way.
    pub fn mute(&self) {
        self.counts.mute.store(true, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, target: String, counts: Arc<Counts>) {
    // Aborted with this task, as it owns them.
    let mut running = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        let (target, counts) = (target.clone(), Arc::clone(&counts));
        running.spawn(async move {
            // A server that is away closes the client's connection, as without us.
            let Ok(server) = TcpStream::connect(target).await else { return };
            // Otherwise the kernel holds small answers back, which is not the store's doing.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                pass(from_client, to_server, &counts, false),
                pass(from_server, to_client, &counts, true)
            );
        });
        while running.try_join_next().is_some() {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: &Counts, answers: bool) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if answers && counts.mute.load(Ordering::Relaxed) {
            continue;
        }
        counts.bytes.fetch_add(read as u64, Ordering::Relaxed);
        counts.pieces.fetch_add(1, Ordering::Relaxed);
        let mut cut = counts.cut.subscribe();
        if cut.wait_for(|cut| !*cut).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // The other side has ended already where this fails.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_passes_is_counted_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let meter = Meter::start(&listener.local_addr().unwrap().to_string()).await.unwrap();
        let mut client = TcpStream::connect(meter.address()).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await.unwrap();
        server.write_all(b"hi").await.unwrap();
        client.read_exact(&mut buffer[..2]).await.unwrap();
        assert_eq!((&buffer[..2], meter.bytes(), meter.connections()), (&b"hi"[..], 7, 1));
        assert!(meter.pieces() >= 2);
        meter.cut();
        client.write_all(b"later").await.unwrap();
        let early = server.read(&mut buffer);
        assert!(tokio::time::timeout(Duration::from_millis(100), early).await.is_err());
        meter.heal();
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"later");
        meter.mute();
        server.write_all(b"unheard").await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut buffer).await.unwrap(), 0, "an end passes too");
    }
}
