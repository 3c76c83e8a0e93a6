//! One client's stream: everything first, or what it missed, then each change.
//!
//! Only the last event of a beginning carries an id: who is cut off in its middle begins again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use swarm_backend::{Body, BoxError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::picture::Json;
use super::{Feed, Looker, Whole, write_list};
use crate::sse::{self, Place};

/// Containers in one event of a beginning.
const PART: usize = 250;
/// Bytes of changes that are sent in one piece.
const PIECE: usize = 64 << 10;
/// A stream says so often at least that it lives.
const BEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it asks again.
const RETRY: Bytes = Bytes::from_static(b"retry: 500\n\n");

struct Client {
    feed: Arc<Feed>,
    _looker: Looker,
    news: watch::Receiver<u64>,
    stop: CancellationToken,
    place: Option<Place>,
    waiting: VecDeque<Piece>,
}

enum Piece {
    Ready(Bytes),
    Containers(Vec<Json>),
}

impl Piece {
    fn bytes(self) -> Bytes {
        match self {
            Self::Ready(bytes) => bytes,
            Self::Containers(list) => {
                let mut out = Vec::with_capacity(list.len() * 512);
                write_list(&mut out, &list);
                sse::event("part", None, &out)
            }
        }
    }
}

/// The stream for a client that was at `place`, until it goes or `stop` is cancelled.
pub fn body(feed: &Arc<Feed>, place: Option<Place>, stop: CancellationToken) -> Body {
    let client = Client {
        _looker: feed.look(),
        news: feed.news.subscribe(),
        feed: Arc::clone(feed),
        stop,
        place,
        waiting: VecDeque::from([Piece::Ready(RETRY)]),
    };
    let frames = stream::unfold(client, |mut client| async move {
        let bytes = client.next().await?;
        let frame: Result<_, BoxError> = Ok(Frame::data(bytes));
        Some((frame, client))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Client {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Some(piece.bytes());
            }
            self.news.mark_unchanged();
            self.take();
            if !self.waiting.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = tokio::time::sleep(BEAT) => return Some(sse::BEAT),
                () = self.stop.cancelled() => return None,
            }
        }
    }

    /// Takes what this client has not had.
    fn take(&mut self) {
        let state = self.feed.state.lock();
        if !state.ready {
            return;
        }
        if let Some((changes, place)) =
            self.place.and_then(|place| state.journal.after(place, PIECE))
        {
            self.place = Some(place);
            if !changes.is_empty() {
                let mut piece = BytesMut::with_capacity(changes.iter().map(Bytes::len).sum());
                for change in &changes {
                    piece.extend_from_slice(change);
                }
                self.waiting.push_back(Piece::Ready(piece.freeze()));
            }
            return;
        }
        let whole = state.whole();
        drop(state);
        self.place = Some(whole.place);
        self.begin(whole);
    }

    fn begin(&mut self, whole: Whole) {
        let total = whole.containers.len();
        let begin = json!({"pool": whole.pool, "nodes": whole.nodes, "services": whole.services,
                           "containers": total, "key": self.feed.key});
        self.waiting.push_back(Piece::Ready(sse::json("begin", None, &begin)));
        let mut containers = whole.containers.into_iter();
        loop {
            let part: Vec<Json> = containers.by_ref().take(PART).collect();
            if part.is_empty() {
                break;
            }
            self.waiting.push_back(Piece::Containers(part));
        }
        let ready = json!({"events": whole.events});
        self.waiting.push_back(Piece::Ready(sse::json("ready", Some(whole.place), &ready)));
    }
}
