//! One `GET` on a connection of its own, its answer read without an HTTP connection's machinery.
//!
//! An event stream is open for as long as its engine is in the pool, and silent for most of it. What
//! hyper keeps for a connection (channels, buffers) would be 20 KiB an engine; here a silent stream
//! holds its socket and a few words. Head and chunk sizes are read by httparse, as hyper does.
//!
//! Invariant: bytes are read into a buffer only once they are there, so nothing is kept while
//! waiting but the beginning of a chunk's size line.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::EngineError;
use crate::link::Link;

/// The longest head of an answer, bytes; an engine's is about 300.
const LONGEST_HEAD: usize = 16 << 10;
/// More header lines than an engine or a box before it sends.
const MOST_HEADERS: usize = 64;
/// The longest line that says a chunk's size, extensions included.
const LONGEST_SIZE: usize = 256;
/// Bytes read at a time.
const PIECE: usize = 8 << 10;

/// An answer whose body is being read.
pub(crate) struct Wire {
    link: Link,
    rest: Bytes,
    body: Body,
}

impl Wire {
    /// Writes `request` and reads the answer's head; the status comes with the open answer.
    pub(crate) async fn ask(mut link: Link, request: &[u8]) -> Result<(u16, Self), EngineError> {
        link.write_all(request).await.map_err(|error| EngineError::lost(&error))?;
        let mut answer = Vec::with_capacity(512);
        loop {
            let read = link.read_buf(&mut answer).await.map_err(|e| EngineError::lost(&e))?;
            if let Some((code, length, body)) = read_head(&answer)? {
                let rest = Bytes::copy_from_slice(&answer[length..]);
                return Ok((code, Self { link, rest, body }));
            }
            if read == 0 {
                let words = "the engine closed the connection without an answer";
                return Err(EngineError::Http(words.to_owned()));
            }
            if answer.len() > LONGEST_HEAD {
                return Err(EngineError::TooLarge {
                    what: "an answer's head",
                    limit: LONGEST_HEAD,
                });
            }
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, EngineError>>> {
        loop {
            match self.body.next(&mut self.rest) {
                Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(error) => {
                    self.body = Body::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) if matches!(self.body, Body::UntilClosed) => self.body = Body::Ended,
                Ok(0) => {
                    self.body = Body::Ended;
                    let words = "the engine closed the connection";
                    return Poll::Ready(Some(Err(EngineError::Body(words.to_owned()))));
                }
                Ok(_) => {}
                Err(error) => {
                    self.body = Body::Ended;
                    return Poll::Ready(Some(Err(EngineError::in_body(&error))));
                }
            }
        }
    }

    /// The whole body, at most `limit` bytes.
    pub(crate) async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, EngineError> {
        let mut whole = Vec::new();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            whole.extend_from_slice(&data?);
            if whole.len() > limit {
                return Err(EngineError::TooLarge { what: "an answer", limit });
            }
        }
        Ok(whole)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut piece = [0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.link).poll_read(cx, &mut buffer))?;
        self.rest = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready(Ok(self.rest.len()))
    }
}

/// Reads an answer's head: its status, its length, and how its body is framed; `None` when more of
/// it must come.
fn read_head(answer: &[u8]) -> Result<Option<(u16, usize, Body)>, EngineError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head
        .parse(answer)
        .map_err(|error| EngineError::Http(format!("the engine's answer is not HTTP: {error}")))?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let chunked = header("transfer-encoding").is_some_and(|coding| {
        coding.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
    });
    let body = match header("content-length") {
        _ if chunked => Body::Chunked(Chunk::Size(Vec::new())),
        Some(length) => Body::Sized(length.parse().map_err(|_| {
            EngineError::Http(format!("the engine's Content-Length {length:?} is no number"))
        })?),
        None => Body::UntilClosed,
    };
    Ok(Some((head.code.unwrap_or_default(), length, body)))
}

/// How a body is framed (RFC 9112, 6.3), and how far it has been read.
#[derive(Debug)]
enum Body {
    Chunked(Chunk),
    Sized(u64),
    UntilClosed,
    Ended,
}

#[derive(Debug)]
enum Chunk {
    /// In the line that says a chunk's size; what has come of it.
    Size(Vec<u8>),
    /// So many bytes of the chunk are left.
    Data(u64),
    /// In the line end after a chunk; so many bytes of it are left.
    End(u8),
    /// In the lines after the last chunk; what has come of the present one.
    Trailer(Vec<u8>),
}

enum Step {
    Data(Bytes),
    /// The bytes at hand are used up.
    More,
    End,
}

impl Body {
    /// Takes one step through the bytes at hand.
    fn next(&mut self, rest: &mut Bytes) -> Result<Step, EngineError> {
        loop {
            match self {
                Self::Ended => return Ok(Step::End),
                Self::Sized(0) => *self = Self::Ended,
                Self::Chunked(Chunk::Data(0)) => *self = Self::Chunked(Chunk::End(2)),
                Self::Chunked(Chunk::End(0)) => *self = Self::Chunked(Chunk::Size(Vec::new())),
                _ if rest.is_empty() => return Ok(Step::More),
                Self::UntilClosed => return Ok(Step::Data(std::mem::take(rest))),
                Self::Sized(left) | Self::Chunked(Chunk::Data(left)) => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= length as u64;
                    return Ok(Step::Data(rest.split_to(length)));
                }
                Self::Chunked(Chunk::End(left)) => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if rest.get_u8() != expected {
                        return Err(garbage());
                    }
                    *left -= 1;
                }
                Self::Chunked(Chunk::Size(line)) => {
                    if take_line(line, rest)? {
                        let Ok(httparse::Status::Complete((_, size))) =
                            httparse::parse_chunk_size(line)
                        else {
                            return Err(garbage());
                        };
                        *self = Self::Chunked(match size {
                            0 => Chunk::Trailer(Vec::new()),
                            size => Chunk::Data(size),
                        });
                    }
                }
                Self::Chunked(Chunk::Trailer(line)) => {
                    if take_line(line, rest)? {
                        if line.trim_ascii().is_empty() {
                            *self = Self::Ended;
                        } else {
                            line.clear();
                        }
                    }
                }
            }
        }
    }
}

/// Moves bytes into `line` until its end; whether it is whole.
fn take_line(line: &mut Vec<u8>, rest: &mut Bytes) -> Result<bool, EngineError> {
    let end = memchr::memchr(b'\n', rest);
    let length = end.map_or(rest.len(), |end| end + 1);
    if line.len() + length > LONGEST_SIZE {
        return Err(garbage());
    }
    line.extend_from_slice(&rest.split_to(length));
    Ok(end.is_some())
}

fn garbage() -> EngineError {
    EngineError::Body("it is not framed as HTTP chunks".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes `wire` handed over in pieces of `sizes`; the bytes, and whether the end was seen.
    fn decode(
        mut body: Body,
        wire: &[u8],
        sizes: &[usize],
    ) -> Result<(Vec<u8>, bool), EngineError> {
        let (mut out, mut left) = (Vec::new(), wire);
        let mut sizes = sizes.iter().cycle();
        let mut rest = Bytes::new();
        loop {
            match body.next(&mut rest)? {
                Step::Data(data) => out.extend_from_slice(&data),
                Step::End => return Ok((out, true)),
                Step::More if left.is_empty() => return Ok((out, false)),
                Step::More => {
                    let size = sizes.next().copied().unwrap_or(1).clamp(1, left.len());
                    rest = Bytes::copy_from_slice(&left[..size]);
                    left = &left[size..];
                }
            }
        }
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for cut in 0..head.len() {
            assert!(matches!(read_head(&head[..cut]), Ok(None)), "{cut}");
        }
        let (code, length, body) = read_head(head).unwrap().unwrap();
        assert_eq!((code, length), (200, head.len()));
        assert!(matches!(body, Body::Chunked(_)));
        let sized = b"HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\n";
        assert!(matches!(read_head(sized), Ok(Some((404, _, Body::Sized(7))))));
        let open = b"HTTP/1.0 200 OK\r\n\r\n";
        assert!(matches!(read_head(open), Ok(Some((200, _, Body::UntilClosed)))));
        for bad in [&b"SSH-2.0"[..], b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
            assert!(read_head(bad).is_err());
        }
    }

    #[test]
    fn bad_framing_is_an_error() {
        for bad in ["zz\r\n", "2\r\nabX\r\n", "-1\r\n", "fffffffffffffffff\r\n"] {
            let body = Body::Chunked(Chunk::Size(Vec::new()));
            assert!(decode(body, bad.as_bytes(), &[3]).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn chunks_come_out_as_they_went_in(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..10),
            sizes in prop::collection::vec(1usize..30, 1..20),
            trailer in any::<bool>(),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x};ext=1\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n");
            if trailer {
                wire.extend_from_slice(b"X-Sum: 1\r\n");
            }
            wire.extend_from_slice(b"\r\n");
            let body = Body::Chunked(Chunk::Size(Vec::new()));
            prop_assert_eq!(decode(body, &wire, &sizes).unwrap(), (chunks.concat(), true));
        }

        #[test]
        fn decoding_is_total(
            wire in prop::collection::vec(any::<u8>(), 0..200),
            sizes in prop::collection::vec(1usize..30, 1..20),
        ) {
            let _ = decode(Body::Chunked(Chunk::Size(Vec::new())), &wire, &sizes);
            let _ = read_head(&wire).map(|head| head.is_some());
        }
    }
}
