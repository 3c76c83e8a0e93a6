//! The smallest HTTP client that an engine's or the manager's unix socket needs from a test.
//!
//! It speaks HTTP/1.0, so that the answer is neither chunked nor kept alive: the end of the
//! connection ends the body. Everything else is the business of real clients.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, if the status says success; the server's own words otherwise.
    pub fn ok(self) -> Result<Vec<u8>> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, String::from_utf8_lossy(&self.body).trim());
        }
        Ok(self.body)
    }

    /// The body as JSON, if the status says success.
    pub fn json(self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.ok()?)?)
    }
}

/// `GET path` with a deadline on each step.
pub fn get(sock: &Path, path: &str, patience: Duration) -> Result<Answer> {
    let head = Head { method: "GET", path, kind: "", length: 0 };
    request(sock, &head, &mut std::io::empty(), patience)
}

/// `method path` with a document, or with none where it is null.
pub fn ask(
    sock: &Path,
    method: &str,
    path: &str,
    document: &serde_json::Value,
    patience: Duration,
) -> Result<Answer> {
    let body = if document.is_null() { Vec::new() } else { serde_json::to_vec(document)? };
    let length = u64::try_from(body.len())?;
    let head = Head { method, path, kind: "application/json", length };
    request(sock, &head, &mut body.as_slice(), patience)
}

/// `POST path` with a body of `length` bytes, which is streamed.
pub fn post(
    sock: &Path,
    path: &str,
    length: u64,
    body: &mut dyn Read,
    patience: Duration,
) -> Result<Answer> {
    let head = Head { method: "POST", path, kind: "application/x-tar", length };
    request(sock, &head, body, patience)
}

/// What comes before a request's body.
struct Head<'a> {
    method: &'a str,
    path: &'a str,
    /// Of the body; none is sent where it is empty.
    kind: &'a str,
    length: u64,
}

fn request(sock: &Path, head: &Head, body: &mut dyn Read, patience: Duration) -> Result<Answer> {
    let Head { method, path, kind, length } = head;
    let at = || format!("{method} {path} at {}", sock.display());
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let mut stream = UnixStream::connect(sock).with_context(at)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: lab\r\n{kind}Content-Length: {length}\r\n\r\n"
    )
    .with_context(at)?;
    // A server that refuses answers before it has read the body, and hangs up on the rest.
    let sent = std::io::copy(&mut body.take(*length), &mut stream);
    let mut raw = Vec::new();
    let read = stream.read_to_end(&mut raw);
    if let Ok(answer) = parse(&raw) {
        return Ok(answer);
    }
    sent.with_context(at)?;
    read.with_context(at)?;
    parse(&raw).with_context(at)
}

fn parse(raw: &[u8]) -> Result<Answer> {
    let split = raw.windows(4).position(|w| w == b"\r\n\r\n").context("no end of the header")?;
    let head = std::str::from_utf8(&raw[..split])?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    Ok(Answer { status, body: raw[split + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer = parse(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"x\":1}").unwrap();
        assert_eq!(answer.json().unwrap()["x"], 1);
        let refused = parse(b"HTTP/1.1 404 Not Found\r\n\r\nno such thing\n").unwrap();
        assert_eq!(refused.ok().unwrap_err().to_string(), "status 404: no such thing");
        assert!(parse(b"HTTP/1.0 200 OK\r\n").is_err() && parse(b"\r\n\r\n").is_err());
    }
}
