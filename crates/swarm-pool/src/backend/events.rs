//! `GET /events`: all engines' events in one stream, each once, with their node.
//!
//! What is past is asked of the engines (each remembers its last 256 events), put in order of
//! time, and joined to what comes: the live stream is subscribed to before the past is asked for,
//! and an event that is in both is sent once.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::{SignedDuration, Timestamp};
use swarm_backend::{ApiError, Body, BoxError, Exchange, InSwarm, Reply, Result};
use swarm_docker::event::{Event, EventQuery};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::LARGEST_DOCUMENT;
use crate::Pool;
use crate::events::PoolEvent;
use crate::fanout;

/// Events sent in one piece when many are waiting.
const BATCH: usize = 256;
/// How well an engine's clock is known: half a round trip to it, and what it drifted since.
const CLOCK_DOUBT: SignedDuration = SignedDuration::from_millis(20);

impl Pool {
    pub(super) async fn event_stream(&self, exchange: Exchange) -> Result<Reply> {
        let now = Timestamp::now();
        let query = EventQuery::parse(&exchange.query, now)?;
        let live = self.shared.events.subscribe();
        let past = match query.since {
            Some(since) if since <= now => self.past_events(since, query.until).await?,
            _ => Vec::new(),
        };
        let body = Feed::new(live, past, query).into_body();
        let reply = Reply::streaming_json(StatusCode::OK, body);
        match self.swarm() {
            Some(swarm) => swarm.with_events(&exchange.query, reply),
            None => Ok(reply),
        }
    }

    /// What the engines remember from `since` to `until` (or now), oldest first.
    async fn past_events(
        &self,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Vec<Arc<PoolEvent>>> {
        let seconds = |at: Timestamp| format!("{}.{:09}", at.as_second(), at.subsec_nanosecond());
        let engines = self.members.reachable();
        if engines.is_empty() {
            return Ok(Vec::new());
        }
        let answers = fanout::ask(&engines, async |engine| {
            // The past ends where the engine's own clock is now; what a clock that is a little off
            // puts in both past and present is sent once.
            let now = engine.view().identity.as_ref().map_or_else(Timestamp::now, |known| {
                let ahead = SignedDuration::from_millis(known.skew_millis.unwrap_or_default());
                Timestamp::now().saturating_add(ahead + CLOCK_DOUBT).unwrap_or(Timestamp::MAX)
            });
            let until = until.map_or(now, |until| until.min(now));
            let path = format!("/events?since={}&until={}", seconds(since), seconds(until));
            let body = engine.read(&path, LARGEST_DOCUMENT).await?;
            let Some(node) = engine.view().identity.clone() else { return Ok(Vec::new()) };
            let lines =
                body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            let mut events = Vec::new();
            for line in lines {
                let event = Event::parse(body.slice_ref(line))
                    .map_err(|error| ApiError::system(error.to_string()))?;
                let line = node.event_line(&event);
                events.push(Arc::new(PoolEvent { node: Arc::clone(&node), event, line }));
            }
            Ok(events)
        })
        .await;
        let mut events: Vec<_> =
            fanout::any_of(answers)?.into_iter().flat_map(|(_, events)| events).collect();
        events.sort_by_key(|event| event.event.time_nanos());
        Ok(events)
    }
}

/// One client's stream.
struct Feed {
    live: Receiver<Arc<PoolEvent>>,
    past: std::vec::IntoIter<Arc<PoolEvent>>,
    /// Lines sent from the past, to recognise them among the live ones.
    sent: HashSet<Bytes>,
    query: EventQuery,
    opened: Timestamp,
}

impl Feed {
    fn new(live: Receiver<Arc<PoolEvent>>, past: Vec<Arc<PoolEvent>>, query: EventQuery) -> Self {
        let sent = past.iter().map(|event| event.line.clone()).collect();
        Self { live, past: past.into_iter(), sent, query, opened: Timestamp::now() }
    }

    fn into_body(self) -> Body {
        let frames = stream::unfold(self, |mut feed| async move {
            let bytes = feed.next().await?;
            let frame: std::result::Result<_, BoxError> = Ok(Frame::data(bytes));
            Some((frame, feed))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// The next piece; `None` at `until`, or when the client was too slow to get every event.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        // All that is past goes before anything that comes, however little of it is wanted.
        let wished = |event: &Arc<PoolEvent>| wanted(&self.query, event);
        for event in self.past.by_ref().filter(wished).take(BATCH) {
            put(&mut out, &event);
        }
        while out.is_empty() {
            let event = self.wait().await?;
            self.take(&event, &mut out);
            for _ in 1..BATCH {
                match self.live.try_recv() {
                    Ok(event) => self.take(&event, &mut out),
                    // Empty, or a hole: `wait` finds the hole and ends the stream at it.
                    Err(TryRecvError::Empty | TryRecvError::Closed | TryRecvError::Lagged(_)) => {
                        break;
                    }
                }
            }
        }
        Some(out.freeze())
    }

    fn take(&mut self, event: &Arc<PoolEvent>, out: &mut BytesMut) {
        if !self.sent.is_empty() && self.sent.remove(&event.line) {
            return;
        }
        // An end that has passed when the stream is opened leaves only the past.
        let over = self.query.until.is_some_and(|until| self.opened > until);
        if !over && wanted(&self.query, event) {
            put(out, event);
        }
    }

    async fn wait(&mut self) -> Option<Arc<PoolEvent>> {
        let left = match self.query.until {
            None => None,
            Some(until) => {
                let left = until.duration_since(Timestamp::now());
                Some(std::time::Duration::try_from(left).unwrap_or_default())
            }
        };
        let received = match left {
            None => self.live.recv().await,
            Some(left) => tokio::time::timeout(left, self.live.recv()).await.ok()?,
        };
        match received {
            Ok(event) => Some(event),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "an events client is too slow; its stream ends here");
                None
            }
        }
    }
}

fn wanted(query: &EventQuery, event: &PoolEvent) -> bool {
    query.filter.includes(&event.event, Some(&event.node.event_node))
}

fn put(out: &mut BytesMut, event: &PoolEvent) {
    out.extend_from_slice(&event.line);
    out.extend_from_slice(b"\n");
}
