//! What answers at a store's address and is something else.

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What it does with everybody who connects.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Says this when it has read a line, as servers of HTTP do, and hangs up.
    AfterALine(&'static [u8]),
    /// Says this at once, and hangs up when it has heard something.
    AtOnce(&'static [u8]),
    /// Reads and says nothing.
    Mute,
    /// Resets the connection when it has heard something, as a server does that does not read on.
    Reset,
}

/// A server that is none; it ends with this value.
#[derive(Debug)]
pub struct Impostor {
    address: String,
    task: JoinHandle<()>,
}

impl Impostor {
    /// Begins to listen.
    pub async fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let task = tokio::spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                served.spawn(serve(connection, manner));
                while served.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut connection: TcpStream, manner: Manner) {
    let (mut buffer, mut heard) = ([0; 4096], Vec::new());
    // Who has gone already hears nothing, which is as good.
    if let Manner::AtOnce(words) = manner {
        let _ = connection.write_all(words).await;
    }
    // Read first, so that an answer is not lost to a reset.
    while let Ok(count @ 1..) = connection.read(&mut buffer).await {
        heard.extend_from_slice(&buffer[..count]);
        match manner {
            Manner::AfterALine(words) if heard.contains(&b'\n') => {
                let _ = connection.write_all(words).await;
                return;
            }
            Manner::AtOnce(_) => return,
            Manner::Reset => {
                let _ = connection.set_zero_linger();
                return;
            }
            Manner::AfterALine(_) | Manner::Mute => {}
        }
    }
}
