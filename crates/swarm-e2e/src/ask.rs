//! One request to a manager, spelt as the test wants it: what no well-behaved client would send.
//!
//! Leaves everything a client can say to the real clients. Invariant: each step has a deadline.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// For each reading and writing.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer to one request, whole.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answered {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The words of a refusal; empty when the body is not `{"message": …}`.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// `method path` with a JSON body, or with none where it is empty.
pub fn ask(sock: &Path, method: &str, path: &str, body: &str) -> Result<Answered> {
    ask_within(PATIENCE, sock, method, path, body)
}

/// As [`ask`], for whoever expects that nobody may answer.
pub fn ask_within(
    patience: Duration,
    sock: &Path,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answered> {
    let length = body.len();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    // 1.0, so that the answer ends with the connection and is not chunked.
    let head = format!("{method} {path} HTTP/1.0\r\n{kind}Content-Length: {length}\r\n\r\n");
    exchange(patience, sock, &[head.as_bytes(), body.as_bytes()].concat())
}

/// Any bytes at all; the answer must end with the connection.
pub fn ask_raw(sock: &Path, request: &[u8]) -> Result<Answered> {
    exchange(PATIENCE, sock, request)
}

fn exchange(patience: Duration, sock: &Path, request: &[u8]) -> Result<Answered> {
    let mut stream = connect(sock)?;
    stream.set_read_timeout(Some(patience))?;
    // A server that refuses answers before it has read the rest, and hangs up on it.
    let sent = stream.write_all(request);
    let mut raw = Vec::new();
    let read = stream.read_to_end(&mut raw);
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(split) = split else {
        sent?;
        read?;
        anyhow::bail!("no HTTP answer: {:?}", String::from_utf8_lossy(&raw));
    };
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status: {head}"))?;
    Ok(Answered { status, head, body: raw[split + 4..].to_vec() })
}

/// A connection to a manager, for a test that speaks HTTP, or no HTTP, by itself.
pub fn connect(sock: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(sock).with_context(|| sock.display().to_string())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
