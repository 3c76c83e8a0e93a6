//! An engine's log stream as lines, each with its moment: framed, or raw where there is a terminal.

use bytes::{Buf as _, Bytes, BytesMut};
use swarm_docker::stdcopy::{FrameError, Stream, decode};

/// The engine cuts a container's lines at 16 KiB; its details may be as long again.
const LONGEST: usize = 1 << 20;

/// A line, or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// 1 stdout, 2 stderr.
    pub stream: u32,
    /// RFC 3339 with nanoseconds; empty where the engine wrote none.
    pub at: String,
    /// What was written, with its end of line.
    pub line: Bytes,
}

/// Cuts a stream.
pub(super) struct Cutter {
    terminal: bool,
    buffer: BytesMut,
}

impl Cutter {
    pub(super) fn new(terminal: bool) -> Self {
        Self { terminal, buffer: BytesMut::new() }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next piece that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, FrameError> {
        if self.terminal {
            let end = self.buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let end = end.or((self.buffer.len() > LONGEST).then_some(LONGEST));
            return Ok(end.map(|end| piece(1, self.buffer.split_to(end).freeze())));
        }
        while let Some(frame) = decode(&mut self.buffer, LONGEST)? {
            let stream = match frame.stream {
                Stream::Stdout | Stream::Stdin => 1,
                Stream::Stderr | Stream::SystemError => 2,
            };
            if !frame.payload.is_empty() {
                return Ok(Some(piece(stream, frame.payload)));
            }
        }
        Ok(None)
    }

    /// What is left at the end of a terminal's log.
    pub(super) fn rest(mut self) -> Option<Piece> {
        (self.terminal && !self.buffer.is_empty()).then(|| piece(1, self.buffer.split().freeze()))
    }
}

fn piece(stream: u32, mut line: Bytes) -> Piece {
    let space = line.iter().take(64).position(|byte| *byte == b' ');
    let at = space.and_then(|space| std::str::from_utf8(line.get(..space)?).ok());
    // A line without a time, as after a line that was cut in two, is passed on whole.
    let is_time = |text: &&str| text.ends_with('Z') && text.contains('T');
    let at = at.filter(is_time).map(str::to_owned).unwrap_or_default();
    if !at.is_empty() {
        line.advance(at.len() + 1);
    }
    Piece { stream, at, line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use swarm_docker::stdcopy::encode;

    const AT: &str = "2026-01-02T03:04:05.000000006Z";

    fn expected(stream: u32, line: &str) -> Piece {
        Piece { stream, at: AT.to_owned(), line: Bytes::copy_from_slice(line.as_bytes()) }
    }

    fn cut(terminal: bool, data: &[u8], step: usize) -> Vec<Piece> {
        let mut cutter = Cutter::new(terminal);
        let mut pieces = Vec::new();
        for part in data.chunks(step) {
            cutter.feed(part);
            while let Some(piece) = cutter.next().unwrap() {
                pieces.push(piece);
            }
        }
        pieces.extend(cutter.rest());
        pieces
    }

    proptest! {
        #[test]
        fn lines_survive_any_cut(step in 1_usize..80) {
            let mut framed = BytesMut::new();
            encode(&mut framed, Stream::Stdout, format!("{AT} one two\n").as_bytes());
            encode(&mut framed, Stream::Stderr, format!("{AT} a=b part").as_bytes());
            let all = [expected(1, "one two\n"), expected(2, "a=b part")];
            prop_assert_eq!(cut(false, &framed, step), all);
            let raw = format!("{AT} one\r\n{AT} rest");
            let all = [expected(1, "one\r\n"), expected(1, "rest")];
            prop_assert_eq!(cut(true, raw.as_bytes(), step), all);
        }

        #[test]
        fn any_stream_is_cut_or_refused(terminal: bool, data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut cutter = Cutter::new(terminal);
            cutter.feed(&data);
            while let Ok(Some(_)) = cutter.next() {}
        }
    }

    #[test]
    fn what_has_no_time_is_passed_on_whole() {
        assert_eq!(cut(true, b"no time\n", 99)[0].line, "no time\n");
    }
}
