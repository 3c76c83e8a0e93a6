//! What a container, a task or a service writes, followed, as server-sent events: `lines`, each a list of `[stream, text]`,
//! and `end` when the engine has no more.
//!
//! Invariant: what is kept is one unfinished line per stream, and no line is longer than [`LONGEST`].

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use swarm_backend::{Body, BoxError, Result};
use swarm_docker::stdcopy::{self, Stream};
use tokio_util::sync::CancellationToken;

use crate::ask::{self, Kind};
use crate::{Backend, sse};

/// Bytes of a line; the rest of a longer one is a line of its own.
const LONGEST: usize = 16 << 10;
/// Bytes of one frame of an engine.
const FRAME: usize = 8 << 20;
/// See `feed::stream`.
const BEAT: Duration = Duration::from_secs(15);

/// The last `tail` lines of a container, a task or a service, and what follows.
pub async fn follow(
    backend: &Backend,
    (kind, name): (Kind, &str),
    tail: u32,
    stop: CancellationToken,
) -> Result<Body> {
    let terminal = is_terminal(backend, kind, name).await?;
    let target = format!("{}?follow=1&stdout=1&stderr=1&tail={tail}", kind.path(name, "/logs"));
    let reply = ask::accepted(ask::get(backend, target).await?).await?;
    let output = Output {
        body: reply.body,
        lines: Lines::new(terminal),
        stop,
        last: VecDeque::new(),
        ended: false,
    };
    let frames = stream::unfold(output, |mut output| async move {
        let bytes = output.next().await?;
        let frame: std::result::Result<_, BoxError> = Ok(Frame::data(bytes));
        Some((frame, output))
    });
    Ok(StreamBody::new(frames).boxed_unsync())
}

/// Whether the output is a terminal's, which has no frames.
async fn is_terminal(backend: &Backend, kind: Kind, name: &str) -> Result<bool> {
    let object = ask::document(backend, kind.document(name)).await?;
    let said = match kind {
        Kind::Container => &object["Config"]["Tty"],
        Kind::Task => &object["Spec"]["ContainerSpec"]["TTY"],
        _ => &object["Spec"]["TaskTemplate"]["ContainerSpec"]["TTY"],
    };
    Ok(*said == true)
}

struct Output {
    body: Body,
    lines: Lines,
    stop: CancellationToken,
    last: VecDeque<Bytes>,
    ended: bool,
}

impl Output {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.last.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                () = tokio::time::sleep(BEAT) => return Some(sse::BEAT),
                () = self.stop.cancelled() => return None,
            };
            let why = match frame {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.lines.take(&data).err()
                }
                Some(Err(error)) => Some(format!("the output broke off: {error}")),
                None => Some(String::new()),
            };
            if why.is_some() {
                self.lines.finish();
            }
            let ready = std::mem::take(&mut self.lines.ready);
            if !ready.is_empty() {
                self.last.push_back(sse::json("lines", None, &ready));
            }
            if let Some(why) = why {
                self.ended = true;
                self.last.push_back(sse::json("end", None, &json!({"reason": why})));
            }
        }
    }
}

/// Bytes as they come, made into lines.
#[derive(Debug)]
struct Lines {
    terminal: bool,
    waiting: BytesMut,
    /// The unfinished lines of standard output and error.
    open: [Vec<u8>; 2],
    ready: Vec<(&'static str, String)>,
}

/// What the two streams are called.
const NAMES: [&str; 2] = ["out", "err"];

impl Lines {
    fn new(terminal: bool) -> Self {
        Self { terminal, waiting: BytesMut::new(), open: [Vec::new(), Vec::new()], ready: vec![] }
    }

    fn take(&mut self, data: &[u8]) -> std::result::Result<(), String> {
        if self.terminal {
            self.add(0, data);
            return Ok(());
        }
        self.waiting.extend_from_slice(data);
        loop {
            match stdcopy::decode(&mut self.waiting, FRAME) {
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => {
                    let error = matches!(frame.stream, Stream::Stderr | Stream::SystemError);
                    self.add(usize::from(error), &frame.payload);
                }
                Err(error) => return Err(format!("the engine's output cannot be read: {error}")),
            }
        }
    }

    fn add(&mut self, stream: usize, data: &[u8]) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            for piece in part.chunks(LONGEST) {
                self.open[stream].extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.open[stream].len() >= LONGEST {
                    self.close(stream);
                }
            }
        }
    }

    fn close(&mut self, stream: usize) {
        let line = std::mem::take(&mut self.open[stream]);
        let text = String::from_utf8_lossy(&line);
        self.ready.push((NAMES[stream], text.trim_end_matches(['\n', '\r']).to_owned()));
    }

    fn finish(&mut self) {
        for stream in 0..2 {
            if !self.open[stream].is_empty() {
                self.close(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(parts: &[(Stream, &str)]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for (stream, text) in parts {
            stdcopy::encode(&mut out, *stream, text.as_bytes());
        }
        out.to_vec()
    }

    #[test]
    fn the_two_streams_keep_their_own_lines() {
        let mut lines = Lines::new(false);
        let bytes = framed(&[
            (Stream::Stdout, "one\ntw"),
            (Stream::Stderr, "bad\r\n"),
            (Stream::Stdout, "o\nthr"),
        ]);
        lines.take(&bytes).unwrap();
        lines.finish();
        let said: Vec<_> = lines.ready.iter().map(|(s, t)| format!("{s} {t}")).collect();
        assert_eq!(said, ["out one", "err bad", "out two", "out thr"]);
        assert!(Lines::new(false).take(b"raw output").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::new(true);
        lines.take(&vec![b'x'; LONGEST * 2 + 10]).unwrap();
        assert_eq!(lines.ready.len(), 2);
        assert!(lines.ready.iter().all(|(_, text)| text.len() == LONGEST));
        assert_eq!(lines.open[0].len(), 10);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(texts: Vec<(bool, String)>, cut in 1usize..40) {
            let stream = |error: &bool| if *error { Stream::Stderr } else { Stream::Stdout };
            let parts: Vec<_> = texts.iter().map(|(e, text)| (stream(e), text.as_str())).collect();
            let bytes = framed(&parts);
            let (mut whole, mut cut_up) = (Lines::new(false), Lines::new(false));
            whole.take(&bytes).unwrap();
            for piece in bytes.chunks(cut) {
                cut_up.take(piece).unwrap();
            }
            prop_assert_eq!(whole.ready, cut_up.ready);
        }
    }
}
