//! An engine's event stream, `GET /events?since=` (v1.24 and up), cut into lines.
//!
//! One connection of its own, without a task ([`crate::wire`]). What the lines say, reconnecting, and not missing any are the pool's.
//!
//! Invariants: a line is yielded whole or not at all; a line beyond the bound is one error and the
//! stream goes on after it; any other error is the last item.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::Stream;

use crate::EngineError;
use crate::wire::Wire;

/// An event carries its object's labels; an engine takes some 10 KiB of them, never this much.
pub(crate) const LONGEST_LINE: usize = 256 * 1024;

/// A moment on an engine's own clock: nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(pub u64);

impl fmt::Display for EventTime {
    /// As `since` and `until` take it: seconds, a dot, nine digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// The lines of an event stream, each one JSON object without its newline. A line may share a
/// buffer with its neighbours: keep a copy of what is kept.
pub struct EventLines {
    wire: Wire,
    cutter: Cutter,
    ended: bool,
}

impl fmt::Debug for EventLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLines").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl EventLines {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, cutter: Cutter::new(LONGEST_LINE), ended: false }
    }
}

impl Stream for EventLines {
    type Item = Result<Bytes, EngineError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(line) = this.cutter.next_line() {
                return Poll::Ready(Some(line));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(this.wire.poll_data(cx)) {
                Some(Ok(data)) => this.cutter.feed(data),
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.ended = true,
            }
        }
    }
}

/// Cuts chunks into lines.
struct Cutter {
    chunk: Bytes,
    /// The beginning of a line that goes on in the next chunk.
    partial: Vec<u8>,
    /// Within a line beyond the bound.
    skipping: bool,
    longest: usize,
}

impl Cutter {
    fn new(longest: usize) -> Self {
        Self { chunk: Bytes::new(), partial: Vec::new(), skipping: false, longest }
    }

    /// Takes the next chunk; all lines of the last one must have been taken out.
    fn feed(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    fn next_line(&mut self) -> Option<Result<Bytes, EngineError>> {
        while !self.chunk.is_empty() {
            let Some(end) = memchr::memchr(b'\n', &self.chunk) else {
                let rest = std::mem::take(&mut self.chunk);
                return self.begin(&rest);
            };
            let piece = self.chunk.split_to(end);
            self.chunk.advance(1);
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let line = if self.partial.is_empty() {
                piece
            } else {
                self.partial.extend_from_slice(&piece);
                Bytes::from(std::mem::take(&mut self.partial))
            };
            if line.len() > self.longest {
                return Some(Err(self.too_long()));
            }
            if !line.trim_ascii().is_empty() {
                return Some(Ok(line));
            }
        }
        None
    }

    /// Keeps a line's beginning, unless it is too long already.
    fn begin(&mut self, piece: &[u8]) -> Option<Result<Bytes, EngineError>> {
        if self.skipping {
            return None;
        }
        if self.partial.len() + piece.len() > self.longest {
            self.partial = Vec::new();
            self.skipping = true;
            return Some(Err(self.too_long()));
        }
        self.partial.extend_from_slice(piece);
        None
    }

    fn too_long(&self) -> EngineError {
        EngineError::TooLarge { what: "an event", limit: self.longest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_print_as_docker_reads_them() {
        assert_eq!(EventTime(1_700_000_000_000_000_042).to_string(), "1700000000.000000042");
    }

    proptest! {
        /// However the stream is chunked, the lines within the bound come out whole and in order,
        /// and each line beyond it is one error.
        #[test]
        fn chunking_changes_nothing(
            lines in prop::collection::vec("[a-z]{1,30}", 0..20),
            sizes in prop::collection::vec(1usize..40, 1..60),
        ) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            let mut rest = Bytes::from(text);
            let mut cutter = Cutter::new(20);
            let mut seen = Vec::new();
            let mut sizes = sizes.iter().cycle();
            while !rest.is_empty() {
                let size = (*sizes.next().unwrap()).min(rest.len());
                cutter.feed(rest.split_to(size));
                while let Some(line) = cutter.next_line() {
                    seen.push(line.ok());
                }
            }
            let expected: Vec<_> =
                lines.iter().map(|l| (l.len() <= 20).then(|| Bytes::from(l.clone()))).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
