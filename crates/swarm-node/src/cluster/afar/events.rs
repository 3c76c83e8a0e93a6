//! What happens on all engines, on whichever manager: as its own pool hears of it while it leads, and as the
//! leader tells it while another does.
//!
//! Invariant: what happened between two leaders is asked for from the engines' own memory, by time, and what
//! was told is not told again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use swarm_backend::{Body, BoxError};
use swarm_docker::event::Event;
use tokio::sync::mpsc;

use super::{Lines, with_each_leader};
use crate::cluster::forward::Forwarder;
use crate::node::Node;

/// `{"scope":["local"]}`: what happens to the swarm's objects each manager knows by itself.
const FILTERS: &str = "%7B%22scope%22%3A%5B%22local%22%5D%7D";
/// Of whom that is.
const LOCAL: &str = "local";
/// Events that wait to be read; then the leader waits.
const WAITING: usize = 1024;
const NANOS: i64 = 1_000_000_000;

/// This manager's own `GET /events`, and the leader's among them, from `since` on.
pub(in crate::cluster) fn with_leaders(
    own: Body,
    node: Arc<Node>,
    forwarder: Forwarder,
    since: SystemTime,
) -> Body {
    let (told, heard) = mpsc::channel(WAITING);
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    let last = Arc::new(Last(AtomicI64::new(i64::try_from(since.as_nanos()).unwrap_or(0))));
    let from = Arc::clone(&last);
    tokio::spawn(async move {
        let telling = with_each_leader(&node, |leader| {
            let (told, forwarder, last) = (&told, &forwarder, &from);
            async move {
                let Err(why) = follow(forwarder, &leader, last, told).await;
                tracing::debug!(leader, why, "the leader does not tell what happens");
            }
        });
        tokio::select! {
            () = told.closed() => {}
            () = telling => {}
        }
    });
    let joined = Joined { own: Lines::of(own), heard, last };
    let frames = stream::unfold(joined, |mut joined| async move {
        let line = joined.next().await?;
        Some((Ok::<_, BoxError>(Frame::data(line)), joined))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// When the last of the engines' events happened, in nanoseconds since 1970; 0 before the first.
#[derive(Debug, Default)]
struct Last(AtomicI64);

impl Last {
    fn note(&self, line: &Bytes) {
        let event = Event::parse(line.clone()).ok();
        if let Some(event) = event.filter(|event| event.scope() == LOCAL) {
            self.0.fetch_max(event.time_nanos(), Ordering::Relaxed);
        }
    }

    /// What is asked of the next leader.
    fn path(&self) -> String {
        let last = self.0.load(Ordering::Relaxed);
        if last == 0 {
            return format!("/events?filters={FILTERS}");
        }
        let next = last + 1;
        format!("/events?filters={FILTERS}&since={}.{:09}", next / NANOS, next % NANOS)
    }
}

async fn follow(
    forwarder: &Forwarder,
    leader: &str,
    last: &Last,
    told: &mpsc::Sender<Bytes>,
) -> Result<Infallible, String> {
    let mut lines = Lines::ask(&forwarder.client(leader), &last.path()).await?;
    loop {
        let line = lines.next(None).await?;
        told.send(line).await.map_err(|_| "nobody listens any more".to_owned())?;
    }
}

struct Joined {
    own: Lines,
    heard: mpsc::Receiver<Bytes>,
    last: Arc<Last>,
}

impl Joined {
    /// The next line; `None` when this manager's own stream has ended.
    async fn next(&mut self) -> Option<Bytes> {
        let line = tokio::select! {
            own = self.own.next(None) => own.ok()?,
            Some(told) = self.heard.recv() => told,
        };
        self.last.note(&line);
        let mut out = BytesMut::from(line);
        out.extend_from_slice(b"\n");
        Some(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scope: &str, at: i64) -> Bytes {
        format!(
            "{{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{{\"ID\":\"i\",\
             \"Attributes\":{{}}}},\"scope\":\"{scope}\",\"time\":{},\"timeNano\":{at}}}",
            at / NANOS
        )
        .into()
    }

    #[test]
    fn the_next_leader_is_asked_for_what_came_after_the_last_event_of_an_engine() {
        let last = Last::default();
        assert_eq!(last.path(), format!("/events?filters={FILTERS}"), "from now on");
        last.note(&line("local", 5 * NANOS + 999_999_999));
        last.note(&line("local", 4 * NANOS));
        last.note(&line("swarm", 9 * NANOS));
        assert!(last.path().ends_with("&since=6.000000000"), "{}", last.path());
    }
}
