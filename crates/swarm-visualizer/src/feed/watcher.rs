//! The one task that looks at the pool for all clients: woken by changes, never oftener than
//! [`BREATH`] allows, and idle while nobody looks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::picture::{Look, Turn};
use super::{EVENTS, Feed, State};
use crate::events::{self, Batch, Event};
use crate::sse;

/// The least time between two looks, so that a burst of changes is one.
const BREATH: Duration = Duration::from_millis(100);
/// Between two looks though nothing told of a change.
const PERIOD: Duration = Duration::from_secs(5);
/// How long the picture is kept up after the last one looked: a page that is loaded again, or a
/// connection that broke, finds its place.
const LINGER: Duration = Duration::from_mins(1);
/// Events that come within this time are sent as one.
const GATHER: Duration = Duration::from_millis(100);
/// How much of what happened before anybody looked is shown, where engines remember it.
const PAST: Duration = Duration::from_mins(10);
/// The pause after the events broke off.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub async fn run(feed: Arc<Feed>, stop: CancellationToken) {
    let mut lookers = feed.lookers.subscribe();
    loop {
        tokio::select! {
            waited = lookers.wait_for(|count| *count > 0) => if waited.is_err() { return },
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = watch(&feed) => {}
            () = follow_events(&feed) => {}
            () = stop.cancelled() => return,
        }
        // Nobody has looked for a while: what is kept would be old when somebody does.
        feed.changed(|state| *state = State::new());
    }
}

/// Keeps the picture until nobody has looked for [`LINGER`].
async fn watch(feed: &Arc<Feed>) {
    let mut changes = feed.sight.watch();
    let mut lookers = feed.lookers.subscribe();
    let mut alone = None;
    loop {
        look(feed).await;
        let count = *lookers.borrow_and_update();
        alone = if count > 0 { None } else { alone.or_else(|| Some(Instant::now() + LINGER)) };
        if alone.is_some_and(|until| until <= Instant::now()) {
            return;
        }
        sleep(BREATH).await;
        let period = sleep(PERIOD);
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            () = period => {}
            () = sleep_until(alone.unwrap_or_else(Instant::now)), if alone.is_some() => {}
        }
    }
}

/// One look. It is a pass over the whole pool, so it is made where nobody's request is answered.
async fn look(feed: &Arc<Feed>) {
    let feed = Arc::clone(feed);
    let looked = tokio::task::spawn_blocking(move || {
        let look = Look {
            pool: feed.sight.pool(),
            nodes: feed.sight.nodes(),
            services: feed.sight.services(),
        };
        let mut state = feed.state.lock();
        let first = !state.ready;
        let delta = state.picture.take(look, |key| feed.sight.containers(key));
        state.ready = true;
        if first || delta.is_empty() {
            drop(state);
            if first {
                feed.news.send_modify(|count| *count += 1);
            }
            return;
        }
        let turns: VecDeque<Event> = delta.turns.iter().map(told).collect();
        state.journal.push(|place| sse::json("change", Some(place), &delta));
        if !turns.is_empty() {
            keep(&mut state, &Batch { events: turns, skipped: 0 });
        }
        drop(state);
        feed.news.send_modify(|count| *count += 1);
    });
    if let Err(error) = looked.await {
        warn!(%error, "cannot look at the pool for its page");
    }
}

/// A node's turn as an event.
fn told(turn: &Turn) -> Event {
    Event {
        kind: "node".to_owned(),
        action: turn.state.clone(),
        name: turn.name.clone(),
        node: turn.name.clone(),
        reason: Some(turn.message.clone()).filter(|message| !message.is_empty()),
        ..Event::now()
    }
}

/// Keeps events for those who come, and passes them on.
fn keep(state: &mut State, batch: &Batch) {
    let list: Vec<_> = batch.events.iter().filter_map(Event::json).collect();
    let told = json!({"events": list, "skipped": batch.skipped});
    state.events.extend(list);
    let over = state.events.len().saturating_sub(EVENTS);
    state.events.drain(..over);
    state.journal.push(|place| sse::json("events", Some(place), &told));
}

/// Follows the pool's events for ever; what happens while they are broken off is told afterwards.
async fn follow_events(feed: &Arc<Feed>) {
    let mut since = SystemTime::now() - PAST;
    loop {
        match feed.sight.happenings(since).await {
            Ok(reply) => {
                let mut lines = events::Lines::new(reply.body);
                while let Some(batch) = lines.gather(GATHER).await {
                    let last = batch.events.back().map_or(0, |event| event.at.unsigned_abs());
                    since = since.max(UNIX_EPOCH + Duration::from_millis(last + 1));
                    feed.changed(|state| keep(state, &batch));
                }
                debug!("the pool's events broke off");
            }
            Err(error) => debug!(%error, "cannot follow the pool's events"),
        }
        sleep(AGAIN).await;
    }
}
