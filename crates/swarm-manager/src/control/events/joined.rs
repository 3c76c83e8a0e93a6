//! The swarm's events among an engine's own: one stream of whole lines.
//!
//! The engine sends what it remembers at once and then what comes; where its past ends it does not
//! say. The swarm's past goes between its lines by time, and the rest of it when the engine is silent
//! for a moment. When the engine ends the stream (its `until`, or it stops), this ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::CONTENT_LENGTH;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{Body, BoxError, Reply};
use swarm_docker::event::{Event, EventQuery};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Told;
use crate::control::Control;

/// How long an engine is silent when it has told its past.
const QUIET: Duration = Duration::from_millis(100);
/// The longest line of an engine.
const LONGEST: usize = 4 << 20;

impl Control {
    /// Puts the swarm's events into an engine's answer to `GET /events`.
    pub fn with_events(&self, query: EventQuery, mut reply: Reply) -> Reply {
        if !reply.status.is_success() {
            return reply;
        }
        let (mut past, live) = self.events.listen(&query);
        past.retain(|told| query.filter.includes(&told.event, None));
        reply.headers.remove(CONTENT_LENGTH);
        let engine = std::mem::replace(&mut reply.body, swarm_backend::empty());
        let joined = Joined { engine, begun: BytesMut::new(), past, live: Some(live), query };
        reply.body = joined.into_body();
        reply
    }
}

struct Joined {
    engine: Body,
    /// What the engine sent and was not passed on: the end of it may be half a line.
    begun: BytesMut,
    past: VecDeque<Arc<Told>>,
    /// `None` when the swarm's part has ended.
    live: Option<Receiver<Arc<Told>>>,
    query: EventQuery,
}

/// What came next.
enum Next {
    Engine(Option<Result<Frame<Bytes>, BoxError>>),
    Swarm(Result<Arc<Told>, RecvError>),
    Quiet,
}

impl Joined {
    fn into_body(self) -> Body {
        let frames = stream::unfold(Some(self), |joined| async move {
            let mut joined = joined?;
            match joined.next().await? {
                Ok(bytes) => Some((Ok(Frame::data(bytes)), Some(joined))),
                Err(error) => Some((Err(error), None)),
            }
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// The next piece: whole lines.
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let line = self.begun.split_to(end + 1).freeze();
                return Some(Ok(self.with_earlier(line)));
            }
            match self.wait().await {
                Next::Engine(Some(Ok(frame))) => {
                    self.begun.extend_from_slice(&frame.into_data().unwrap_or_default());
                    if self.begun.len() > LONGEST {
                        return Some(Err("the engine sent an event without an end".into()));
                    }
                }
                Next::Engine(Some(Err(error))) => return Some(Err(error)),
                Next::Engine(None) | Next::Quiet => return self.rest().map(Ok),
                Next::Swarm(Ok(told)) => {
                    if self.query.filter.includes(&told.event, None) {
                        let mut out = BytesMut::new();
                        put(&mut out, &told);
                        return Some(Ok(out.freeze()));
                    }
                }
                Next::Swarm(Err(RecvError::Closed)) => self.live = None,
                Next::Swarm(Err(RecvError::Lagged(missed))) => {
                    // Never a hole that nobody sees.
                    tracing::warn!(missed, "an events client is too slow; its stream ends here");
                    return None;
                }
            }
        }
    }

    async fn wait(&mut self) -> Next {
        let waits = !self.past.is_empty();
        let live = async {
            match &mut self.live {
                Some(live) => live.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            frame = self.engine.frame() => Next::Engine(frame),
            () = tokio::time::sleep(QUIET), if waits => Next::Quiet,
            told = live, if !waits => Next::Swarm(told),
        }
    }

    /// An engine's line behind what happened in the swarm before it.
    fn with_earlier(&mut self, line: Bytes) -> Bytes {
        if self.past.is_empty() {
            return line;
        }
        let at = Event::parse(line.clone()).map_or(0, |event| event.time_nanos());
        let mut out = BytesMut::new();
        while let Some(told) = self.past.pop_front_if(|told| told.event.time_nanos() <= at) {
            put(&mut out, &told);
        }
        out.extend_from_slice(&line);
        out.freeze()
    }

    /// What is left of the past. A line that the engine broke off is none.
    fn rest(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        for told in self.past.drain(..) {
            put(&mut out, &told);
        }
        (!out.is_empty()).then(|| out.freeze())
    }
}

fn put(out: &mut BytesMut, told: &Told) {
    out.extend_from_slice(&told.line);
    out.extend_from_slice(b"\n");
}
