//! A scripted engine: a listening socket, and one closure per connection that says what it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use swarm_engine::{ClientOptions, EngineAddress, EngineClient};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(20);
/// Short, for what is expected to run out.
pub const SHORT: Duration = Duration::from_millis(150);

pub struct Script {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    /// `play` is given each connection and its number, from 0.
    pub async fn new<F>(play: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(play(stream, number));
            }
        });
        Self { address, accepted, task }
    }

    /// Answers every request with `answer`, on as many connections as are made.
    pub async fn answering(answer: &'static str) -> Self {
        Self::new(move |mut stream, _| async move {
            while head(&mut stream).await.is_some() {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await
    }

    /// Accepts, and never says a word.
    pub async fn silent() -> Self {
        Self::new(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn client(&self) -> EngineClient {
        self.client_with(ClientOptions::default())
    }

    pub fn client_with(&self, options: ClientOptions) -> EngineClient {
        EngineClient::new(self.engine_address(), options)
    }

    pub fn engine_address(&self) -> EngineAddress {
        self.address.to_string().parse().unwrap()
    }
}

/// Reads one request's head; `None` at the connection's end.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => return None,
        }
    }
    Some(String::from_utf8(text).unwrap())
}

/// Waits for the other side to close.
pub async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut scrap = [0; 1024];
    while !matches!(stream.read(&mut scrap).await, Ok(0) | Err(_)) {}
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// One whole JSON reply.
pub async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}
