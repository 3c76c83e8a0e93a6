//! A way to a server that counts what goes over it, and can be cut: the connections over it fall
//! silent, as when a cable is pulled, and new ones get no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Way {
    pub address: String,
    bytes: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
    open: watch::Sender<bool>,
}

impl Way {
    /// A way to `HOST:PORT`.
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, is_open) = watch::channel(true);
        let way = Self { address, bytes: Arc::default(), reads: Arc::default(), open };
        let (bytes, reads) = (Arc::clone(&way.bytes), Arc::clone(&way.reads));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&server).await else { continue };
                let (near, far) = (near.into_split(), far.into_split());
                for (from, to) in [(near.0, far.1), (far.0, near.1)] {
                    let counters = (Arc::clone(&bytes), Arc::clone(&reads));
                    tokio::spawn(pump(from, to, counters, is_open.clone()));
                }
            }
        });
        way
    }

    pub fn url(&self) -> String {
        format!("zk://{}", self.address)
    }

    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    pub fn heal(&self) {
        self.open.send_replace(true);
    }

    /// The bytes of both directions so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many pieces they came in: about as many packets.
    pub fn pieces(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (bytes, reads): (Arc<AtomicU64>, Arc<AtomicU64>),
    mut open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        bytes.fetch_add(count as u64, Ordering::Relaxed);
        reads.fetch_add(1, Ordering::Relaxed);
        // What comes while it is cut waits, as in a network that is mended in time.
        if open.wait_for(|open| *open).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            break;
        }
    }
}
