//! `GET /_ping` at the least cost: one kept connection, a ready-made request, a small reader.
//!
//! A manager of thousands of engines pings each every few seconds, which is most of what it does
//! when idle. Only what an engine really answers is understood; anything else is an error, and
//! anything unusual (chunks, `Connection: close`, bytes too many) ends the connection.

use std::io;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::EngineError;
use crate::dial::within;
use crate::link::Link;

/// The longest answer read: an engine's is about 300 bytes.
const LONGEST: usize = 4096;
/// The first read takes a usual answer whole.
const USUAL: usize = 1024;

/// Pings one engine.
pub(crate) struct Pinger {
    request: Box<[u8]>,
    kept: Mutex<Option<Link>>,
}

/// Why an exchange of ping and pong failed.
enum Failure {
    /// Closed or reset before the first byte of an answer.
    Silent(io::Error),
    Real(EngineError),
}

impl Failure {
    fn into_error(self) -> EngineError {
        match self {
            Self::Real(error) => error,
            Self::Silent(error) => EngineError::lost(&error),
        }
    }
}

impl Pinger {
    pub(crate) fn new(host: &str) -> Self {
        let agent = concat!("swarm/", env!("CARGO_PKG_VERSION"));
        let request = format!("GET /_ping HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n");
        Self { request: request.into_bytes().into_boxed_slice(), kept: Mutex::new(None) }
    }

    /// A pong within `after`, or an error. `dial` opens a connection when none is kept.
    pub(crate) async fn ping<F>(
        &self,
        after: Duration,
        dial: impl Fn() -> F,
    ) -> Result<(), EngineError>
    where
        F: Future<Output = Result<Link, EngineError>>,
    {
        within("pong", after, async {
            let kept = self.kept.lock().take();
            if let Some(mut link) = kept {
                match self.exchange(&mut link).await {
                    Ok(keep) => {
                        self.keep(link, keep);
                        return Ok(());
                    }
                    // The engine closed it since the last ping: ask anew.
                    Err(Failure::Silent(_)) => {}
                    Err(failure) => return Err(failure.into_error()),
                }
            }
            // Boxed, so that the task of a healthy engine does not carry the room for connecting.
            let mut link = Box::pin(dial()).await?;
            let keep = self.exchange(&mut link).await.map_err(Failure::into_error)?;
            self.keep(link, keep);
            Ok(())
        })
        .await
    }

    /// Closes the kept connection.
    pub(crate) fn clear(&self) {
        let kept = self.kept.lock().take();
        drop(kept);
    }

    fn keep(&self, link: Link, keep: bool) {
        if keep {
            *self.kept.lock() = Some(link);
        }
    }

    /// One ping and its pong; whether the connection can be kept.
    async fn exchange(&self, link: &mut Link) -> Result<bool, Failure> {
        link.write_all(&self.request).await.map_err(Failure::Silent)?;
        let mut answer = Vec::with_capacity(USUAL);
        loop {
            let read = match link.read_buf(&mut answer).await {
                Ok(read) => read,
                Err(error) if answer.is_empty() => return Err(Failure::Silent(error)),
                Err(error) => return Err(Failure::Real(EngineError::lost(&error))),
            };
            if read == 0 && answer.is_empty() {
                return Err(Failure::Silent(io::ErrorKind::UnexpectedEof.into()));
            }
            match read_pong(&answer).map_err(Failure::Real)? {
                Some(keep) => return Ok(keep),
                None if read == 0 || answer.len() >= LONGEST => {
                    return Err(Failure::Real(garbage()));
                }
                None => answer.reserve(USUAL),
            }
        }
    }
}

fn garbage() -> EngineError {
    EngineError::Http("the answer to a ping is not one of a Docker engine".to_owned())
}

/// Reads an answer so far: `None` when more must come, else whether the connection can be kept.
fn read_pong(answer: &[u8]) -> Result<Option<bool>, EngineError> {
    let version: &[u8] = b"HTTP/1.";
    if !answer.starts_with(&version[..answer.len().min(version.len())]) {
        return Err(garbage());
    }
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
    let mut lines = answer[..end].split(|byte| *byte == b'\n');
    let status = lines.next().unwrap_or_default();
    // "HTTP/1.1 200 OK": the minor version is byte 7, the code bytes 9 to 11.
    let code = status.get(9..12).and_then(|code| std::str::from_utf8(code).ok());
    let code: u16 = code.and_then(|code| code.parse().ok()).ok_or_else(garbage)?;
    if !(200..300).contains(&code) {
        let reason = String::from_utf8_lossy(status.get(13..).unwrap_or_default());
        // What an engine (or its TLS listener, to plain HTTP) says is why; it comes with the head.
        let said = &answer[(end + 4)..answer.len().min(end + 4 + USUAL)];
        let said = String::from_utf8_lossy(said);
        let said = said.lines().next().unwrap_or_default().trim();
        let colon = if said.is_empty() { "" } else { ": " };
        let message = format!("ping answered {code} {}{colon}{said}", reason.trim());
        return Err(EngineError::Status { code, message });
    }
    let mut keep = status.get(7) == Some(&b'1');
    let mut length = None;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { return Err(garbage()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
            length = Some(value.ok_or_else(garbage)?);
        } else if name.eq_ignore_ascii_case(b"connection") {
            keep &= !value.eq_ignore_ascii_case(b"close");
        }
    }
    let Some(length) = length else { return Ok(Some(false)) };
    let have = answer.len() - end - 4;
    if have < length { Ok(None) } else { Ok(Some(keep && have == length)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PONG: &[u8] = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";

    #[test]
    fn an_engines_pong_is_read_at_its_last_byte_and_not_before() {
        for cut in 0..PONG.len() {
            assert!(matches!(read_pong(&PONG[..cut]), Ok(None)), "{cut}");
        }
        assert!(matches!(read_pong(PONG), Ok(Some(true))));
    }

    #[test]
    fn the_unusual_is_a_pong_whose_connection_is_not_kept() {
        for answer in [
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK and more",
        ] {
            assert!(matches!(read_pong(answer.as_bytes()), Ok(Some(false))), "{answer}");
        }
    }

    #[test]
    fn garbage_is_an_error_at_once() {
        for answer in
            ["SSH-2.0-OpenSSH", "HTTP/2", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200\r\nx\r\n\r\n"]
        {
            let error = read_pong(answer.as_bytes()).unwrap_err();
            assert!(error.is_connection(), "{answer}");
        }
        let error = read_pong(b"HTTP/1.1 500 Oh\r\n\r\n").unwrap_err();
        assert_eq!(error.to_string(), "ping answered 500 Oh");
        let error = read_pong(b"HTTP/1.0 400 Bad\r\n\r\nNot so.\n").unwrap_err();
        assert_eq!(error.to_string(), "ping answered 400 Bad: Not so.");
    }

    proptest! {
        #[test]
        fn reading_a_pong_is_total(head in "(HTTP/1.1 [0-9]{0,4})?", rest in "[ -~\r\n]{0,200}") {
            let _ = read_pong(format!("{head}{rest}").as_bytes());
        }
    }
}
