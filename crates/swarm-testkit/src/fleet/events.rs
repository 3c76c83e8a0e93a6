//! An engine's events: the ring that `since` reads, the live subscribers, the stream.
//!
//! Invariants: `timeNano` strictly increases; a subscriber gets every event published
//! after it subscribed, in order. Unlike dockerd's, a slow subscriber's queue is not cut:
//! a benchmark that counts events must not lose them here.

use std::collections::VecDeque;
use std::fmt::Write;

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::control::{Control, unless_silent};
use super::filter::Filters;
use super::reply::quoted;

#[derive(Debug, Clone)]
struct Event {
    nanos: i64,
    line: Bytes,
}

#[derive(Debug)]
pub(super) struct EventLog {
    ring: VecDeque<Event>,
    history: usize,
    last: i64,
    /// What happens is neither sent nor remembered.
    pub lost: bool,
    subscribers: Vec<mpsc::UnboundedSender<Event>>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub kind: &'static str,
    pub id: &'a str,
    /// `"k":"v",…` without braces.
    pub attributes: &'a str,
    /// The image of a container, for the legacy `from` field.
    pub from: Option<&'a str>,
}

impl EventLog {
    pub fn new(history: usize) -> Self {
        Self { ring: VecDeque::new(), history, last: 0, lost: false, subscribers: Vec::new() }
    }

    /// Publishes one event at `now` (or just after the last one, if that is later).
    pub fn publish(&mut self, now: i64, action: &str, subject: Subject<'_>) {
        let nanos = now.max(self.last + 1);
        self.last = nanos;
        if self.lost {
            return;
        }
        let mut line = String::with_capacity(512);
        line.push('{');
        if matches!(subject.kind, "container" | "image") {
            let _ = write!(line, "\"status\":{},\"id\":{},", quoted(action), quoted(subject.id));
        }
        if let Some(from) = subject.from {
            let _ = write!(line, "\"from\":{},", quoted(from));
        }
        let _ = writeln!(
            line,
            "\"Type\":\"{}\",\"Action\":{},\"Actor\":{{\"ID\":{},\"Attributes\":{{{}}}}},\"scope\":\"local\",\"time\":{},\"timeNano\":{nanos}}}",
            subject.kind,
            quoted(action),
            quoted(subject.id),
            subject.attributes,
            nanos / 1_000_000_000,
        );
        let event = Event { nanos, line: Bytes::from(line) };
        self.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
        if self.history > 0 {
            if self.ring.len() == self.history {
                self.ring.pop_front();
            }
            self.ring.push_back(event);
        }
    }

    pub fn subscribe(&mut self, request: &Request) -> Subscription {
        let (sender, live) = mpsc::unbounded_channel();
        self.subscribers.push(sender);
        let backlog = match request.since {
            Some(since) => {
                let until = request.until.unwrap_or(i64::MAX);
                let wanted = |e: &&Event| e.nanos >= since && e.nanos <= until;
                self.ring.iter().filter(wanted).cloned().collect()
            }
            None => VecDeque::new(),
        };
        Subscription { backlog, live }
    }

    pub fn subscribers(&self) -> usize {
        self.subscribers.iter().filter(|s| !s.is_closed()).count()
    }
}

/// `GET /events` as asked; times in nanoseconds of the engine's clock.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub filters: Filters,
}

#[derive(Debug)]
pub(super) struct Subscription {
    backlog: VecDeque<Event>,
    live: mpsc::UnboundedReceiver<Event>,
}

/// The body of `GET /events`: one chunk per event, as dockerd flushes.
///
/// `ends` is when `until` comes. The stream falls mute while the engine is silent and
/// breaks off when its epoch passes.
pub(super) fn body(
    subscription: Subscription,
    filters: Filters,
    ends: Option<Instant>,
    control: watch::Receiver<Control>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let epoch = control.borrow().streams;
    let state = Some((subscription, filters, control));
    stream::unfold(state, move |state| async move {
        let (mut subscription, filters, mut control) = state?;
        loop {
            unless_silent(&mut control).await;
            if control.borrow().streams != epoch {
                let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                return Some((Err(cut), None));
            }
            let event = if let Some(event) = subscription.backlog.pop_front() {
                event
            } else {
                tokio::select! {
                    biased;
                    changed = control.changed() => {
                        changed.ok()?;
                        continue;
                    }
                    event = subscription.live.recv() => event?,
                    () = at(ends) => return None,
                }
            };
            if matches(&event.line, &filters) {
                return Some((Ok(event.line), Some((subscription, filters, control))));
            }
        }
    })
}

async fn at(ends: Option<Instant>) {
    match ends {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn matches(line: &[u8], filters: &Filters) -> bool {
    if filters.is_empty() {
        return true;
    }
    let Ok(event) = serde_json::from_slice::<Value>(line) else {
        return false;
    };
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    let attribute = |key: &str| {
        let found = event.pointer("/Actor/Attributes").and_then(|a| a.get(key));
        found.and_then(Value::as_str).map(str::to_owned)
    };
    let kind = text("/Type");
    let id = text("/Actor/ID");
    let name = attribute("name").unwrap_or_default();
    let of = |key: &str| {
        filters.any(key, |want| kind == key && (id.starts_with(want.as_str()) || name == *want))
    };
    // `exec_create: sh` answers to `exec_create` too.
    let action = text("/Action");
    let base = action.split(':').next().unwrap_or(action);
    filters.any("type", |want| want == kind)
        && filters.any("event", |want| want == action || want == base)
        && filters.any("scope", |want| want == "local")
        && of("container")
        && of("network")
        && of("volume")
        && filters.any("image", |want| {
            let image = if kind == "image" {
                id.to_owned()
            } else {
                attribute("image").unwrap_or_default()
            };
            image == *want || image.split(':').next() == Some(want.as_str())
        })
        && filters.labels(attribute)
}
