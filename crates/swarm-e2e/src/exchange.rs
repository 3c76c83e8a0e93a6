//! One short HTTP request, on a connection of its own or on one that is kept for the next.
//!
//! Invariant: a request on a kept connection is sent again only where the server closed that before it said
//! anything: it has not been answered then, and clients do the same (RFC 9112, 9.3.1).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

/// For connecting, and for each reading.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than any body here has, in bytes.
const LARGEST: usize = 1 << 20;

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request from the network that the caller is in; the body, if the status is 200.
pub fn get(address: SocketAddr, host: &str) -> Result<String> {
    let mut stream = connect(address)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("write")?;
    let mut raw = String::new();
    stream.read_to_string(&mut raw).context("read")?;
    let (head, body) = raw.split_once("\r\n\r\n").ok_or_else(|| anyhow!("no answer: {raw:?}"))?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("{}", head.lines().next().unwrap_or_default());
    }
    Ok(body.trim().to_owned())
}

/// A client that keeps its connection.
#[derive(Debug)]
pub struct Kept {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    /// How often a request had to be sent again.
    pub again: u64,
}

/// What became of a request.
enum Exchanged {
    Answer(String),
    /// The server had closed the connection.
    Unheard,
}

impl Kept {
    /// One that is not connected yet.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, again: 0 }
    }

    /// One request; the body, if the status is 200.
    pub fn get(&mut self, host: &str) -> Result<String> {
        if let Some(kept) = self.stream.take() {
            match self.exchange(kept, host)? {
                Exchanged::Answer(body) => return Ok(body),
                Exchanged::Unheard => self.again += 1,
            }
        }
        let fresh = BufReader::new(connect(self.address)?);
        match self.exchange(fresh, host)? {
            Exchanged::Answer(body) => Ok(body),
            Exchanged::Unheard => bail!("a new connection was closed without an answer"),
        }
    }

    fn exchange(&mut self, mut stream: BufReader<TcpStream>, host: &str) -> Result<Exchanged> {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut first = String::new();
        let sent = stream.get_mut().write_all(request.as_bytes());
        match sent.and_then(|()| stream.read_line(&mut first)) {
            Ok(1..) => {}
            Ok(_) => return Ok(Exchanged::Unheard),
            Err(error) if is_closed(&error) => return Ok(Exchanged::Unheard),
            Err(error) => return Err(error).context("read"),
        }
        let (mut length, mut closes) = (None, first.starts_with("HTTP/1.0"));
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).context("read a header")?;
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", words)) => length = words.trim().parse().ok(),
                Some(("connection", words)) => closes |= words.trim() == "close",
                Some(_) => {}
                None => break,
            }
        }
        let length: usize = length.with_context(|| format!("no length: {first}"))?;
        let mut body = vec![0; length.min(LARGEST)];
        stream.read_exact(&mut body).context("read the body")?;
        if !closes {
            self.stream = Some(stream);
        }
        if first.split(' ').nth(1) != Some("200") {
            bail!("{}", first.trim());
        }
        Ok(Exchanged::Answer(String::from_utf8_lossy(&body).trim().to_owned()))
    }
}

/// Whether the other side has closed the connection.
fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_kept_connection_that_was_closed_is_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            // Two answers on each connection.
            for _ in 0..2 {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                for _ in 0..2 {
                    let mut line = String::new();
                    while line != "\r\n" {
                        line.clear();
                        stream.read_line(&mut line).unwrap();
                    }
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nw1\n";
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        let mut client = Kept::new(address);
        for _ in 0..4 {
            assert_eq!(client.get("shop.test").unwrap(), "w1");
        }
        assert_eq!(client.again, 1);
        server.join().unwrap();
        assert!(client.get("shop.test").is_err(), "nobody listens any more");
    }
}
