//! The one task that owns an engine's state: it connects, follows events, probes, reads back what
//! is marked, and publishes snapshots.
//!
//! Invariants: nothing it waits for blocks the reading of events; an engine is published as
//! healthy only after everything on it has been read once; events are passed on in the order the
//! engine sent them, each once.
//!
//! `setup` makes a connection, `state` keeps what is known and tells it; here is the loop.

mod setup;
mod state;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use rand::Rng;
use swarm_docker::container::LABEL_TASK_ID;
use swarm_docker::event::Event;
use swarm_engine::{EngineError, EventLines};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Engine;
use super::cache::Cache;
use super::health::{Health, PROBE_DEADLINE, PROBE_PERIOD, RETRY_PERIOD};
use super::marks::{Mark, Wanted};
use super::observe::{self, Observed, ReadError};
use super::replay::Replay;
use crate::events::PoolEvent;
use crate::shared::Shared;
use setup::Refusal;

/// How long connecting, negotiating and each question of a reading may take.
const SETUP_DEADLINE: Duration = Duration::from_secs(10);
/// A periodic reading reads the containers; each one of so many reads everything else as well,
/// which changes more rarely and is told by events too.
const ALL_EVERY: u32 = 4;
/// Pause before something that failed fast is tried again.
const SOON: Duration = Duration::from_millis(300);
/// Probes of different engines start at common moments, this far apart: one waking of the process
/// serves many engines, where a thousand separate ones would be most of an idle manager's work.
const TICK: Duration = Duration::from_millis(250);
/// An engine that sent an event within this time need not be probed.
const JUST_NOW: Duration = PROBE_PERIOD.saturating_sub(TICK);

type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Reading = Doing<(Wanted, Result<Observed, ReadError>)>;
type Probe = Doing<Result<(), EngineError>>;
type Opening = Doing<Result<EventLines, EngineError>>;

/// Runs one engine until `stop`; its first connection is made at a random moment within `spread`,
/// so that the probes and refreshes of a thousand engines do not fall into step.
pub(crate) async fn run(
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    spread: Duration,
) {
    let mut worker = Worker {
        health: Health::new(shared.config.failure_retries),
        cache: Cache::new(engine.address().to_string(), shared.config.overcommit),
        replay: Replay::default(),
        readings: 0,
        was_connected: false,
        engine,
        shared,
    };
    worker.publish();
    tokio::select! {
        () = worker.live(spread) => {}
        () = stop.cancelled() => {}
    }
    worker.leave();
}

struct Worker {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    health: Health,
    cache: Cache,
    replay: Replay,
    readings: u32,
    /// It was in use before.
    was_connected: bool,
}

impl Worker {
    async fn live(&mut self, spread: Duration) {
        sleep(random_below(spread)).await;
        loop {
            let next = Instant::now() + RETRY_PERIOD + random_below(RETRY_PERIOD / 20);
            // Boxed: what a connection needs while it is made would stay in every worker for life.
            match Box::pin(self.connect()).await {
                Ok(events) => {
                    self.connected();
                    self.serve(events).await;
                }
                Err(Refusal::Failed(error)) => self.failed(error.reason(), &error.to_string()),
                Err(Refusal::Twin(text)) => self.refused(&text),
            }
            sleep_until(next).await;
        }
    }

    /// A healthy engine, until it fails.
    async fn serve(&mut self, events: EventLines) {
        let mut events = Some(events);
        let mut opening: Option<Opening> = None;
        let mut reading: Option<Reading> = None;
        let mut probe: Option<Probe> = None;
        let mut heard = Instant::now();
        let mut full = pin!(sleep(self.refresh_after()));
        let mut probe_at = pin!(sleep_until(on_tick(heard + random_below(PROBE_PERIOD))));
        let engine = Arc::clone(&self.engine);
        while self.health.status().is_reachable() {
            tokio::select! {
                line = next_line(&mut events) => match line {
                    Some(Ok(line)) => {
                        heard = Instant::now();
                        self.on_event(line);
                    }
                    lost => {
                        debug!(engine = %engine.label(), error = ?lost, "event stream lost");
                        events = None;
                        opening = Some(self.open_events(Duration::ZERO));
                    }
                },
                opened = ready(&mut opening) => {
                    opening = None;
                    match opened {
                        Ok(stream) => {
                            self.shared.metrics.reopened.inc();
                            self.replay.opened(self.engines_now());
                            // Should more have happened than the engine remembers, or should it be
                            // another engine now.
                            engine.marks.note(Mark::All);
                            events = Some(stream);
                        }
                        Err(error) => {
                            self.failed(error.reason(), &error.to_string());
                            opening = Some(self.open_events(SOON));
                        }
                    }
                }
                () = engine.marks.marked(), if reading.is_none() => {
                    // In doubt, not faster than an engine can come back to its senses.
                    let pause = if self.health.is_in_doubt() { SOON } else { Duration::ZERO };
                    reading = self.start_reading(pause);
                }
                (wanted, result) = ready(&mut reading) => {
                    reading = None;
                    self.finish_reading(wanted, result);
                }
                () = &mut probe_at, if probe.is_none() => {
                    if heard.elapsed() < JUST_NOW && !self.health.is_in_doubt() {
                        // It just spoke: the next probe counts from then.
                        probe_at.as_mut().reset(on_tick(heard + PROBE_PERIOD));
                    } else {
                        let engine = Arc::clone(&engine);
                        let ping = async move { engine.client.ping(PROBE_DEADLINE).await };
                        probe = Some(Box::pin(ping));
                        probe_at.as_mut().reset(Instant::now() + PROBE_PERIOD);
                    }
                }
                result = ready(&mut probe) => {
                    probe = None;
                    match result {
                        Ok(()) => {
                            self.answered();
                            let next = on_tick(probe_at.deadline());
                            probe_at.as_mut().reset(next);
                        }
                        Err(error) => {
                            self.failed(error.reason(), &error.to_string());
                            // In doubt, it is asked again at once; but refusals come fast, and must
                            // not turn a restarting engine into a dead one within microseconds.
                            let late = matches!(error, EngineError::Deadline { .. });
                            let pause = if late { Duration::ZERO } else { SOON };
                            probe_at.as_mut().reset(Instant::now() + pause);
                        }
                    }
                }
                () = &mut full => {
                    self.readings += 1;
                    let all = self.readings.is_multiple_of(ALL_EVERY);
                    engine.marks.note(if all { Mark::All } else { Mark::Containers });
                    full.as_mut().reset(Instant::now() + self.refresh_after());
                }
            }
        }
        engine.client.sever();
    }

    /// Opens the event stream again, after `pause`. Polled beside everything else: connecting to a
    /// silent engine must not keep its probes from telling so.
    fn open_events(&self, pause: Duration) -> Opening {
        let (engine, since) = (Arc::clone(&self.engine), self.since());
        Box::pin(async move {
            sleep(pause).await;
            engine.client.events(since).await
        })
    }

    fn on_event(&mut self, line: Bytes) {
        let event = match Event::parse(line) {
            Ok(event) => event,
            Err(error) => {
                warn!(engine = %self.engine.label(), %error, "an event that cannot be read");
                return;
            }
        };
        if !self.replay.is_new(event.raw(), event.time_nanos()) {
            return;
        }
        match observe::mark_of(&event) {
            Some(mark) if self.is_of_task(&event, &mark) => self.engine.marks.gather(mark),
            Some(mark) => self.engine.marks.note(mark),
            None => {}
        }
        if !self.shared.events.is_heard() {
            return;
        }
        if let Some(node) = &self.cache.identity {
            let line = node.event_line(&event);
            self.shared.events.publish(PoolEvent { node: Arc::clone(node), event, line });
        }
    }

    /// Whether a task's container is what the event is about: tasks come and go many at a time, they are
    /// known to the swarm before they are to the pool, and nobody gives another container their names.
    fn is_of_task(&self, event: &Event, mark: &Mark) -> bool {
        let Mark::Container(id) = mark else { return false };
        // Events of networks do not tell a container's labels.
        event.attributes().get(LABEL_TASK_ID).is_some()
            || self.engine.marks.has(id)
            || self.cache.is_of_task(id)
    }

    fn start_reading(&self, pause: Duration) -> Option<Reading> {
        let known = self.known(self.cache.identity.clone()?);
        let wanted = self.engine.marks.take()?;
        let engine = Arc::clone(&self.engine);
        Some(Box::pin(async move {
            sleep(pause).await;
            let observed = observe::observe(&engine.client, &wanted, &known, SETUP_DEADLINE).await;
            (wanted, observed)
        }))
    }

    fn finish_reading(&mut self, wanted: Wanted, result: Result<Observed, ReadError>) {
        match result {
            Ok(observed) if self.is_stranger(&observed) => {
                // Claimed and read from the beginning, as at a first connection.
                let change = self.health.lose("another engine answers at this address");
                self.tell(change);
                self.engine.marks.again(wanted);
            }
            Ok(observed) => {
                self.absorb(observed);
                self.answered();
                self.read_back(wanted.upto);
            }
            Err(error) => {
                self.failed(error.reason(), &format!("cannot read its state: {error}"));
                self.engine.marks.again(wanted);
            }
        }
    }

    /// Another engine took over the address without a moment in which nobody answered.
    fn is_stranger(&self, observed: &Observed) -> bool {
        match (&observed.identity, &self.cache.identity) {
            (Some(theirs), Some(known)) => theirs.id != known.id,
            _ => false,
        }
    }

    fn refresh_after(&self) -> Duration {
        let (least, most) = self.shared.config.refresh;
        least + random_below(most.saturating_sub(least))
    }
}

/// The latest common moment at or before `at`, or the first one from now on.
fn on_tick(at: Instant) -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let epoch = *EPOCH.get_or_init(Instant::now);
    let ticks = at.saturating_duration_since(epoch).as_millis() / TICK.as_millis();
    epoch + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

async fn next_line(events: &mut Option<EventLines>) -> Option<Result<Bytes, EngineError>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

async fn ready<T>(future: &mut Option<Doing<T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn random_below(limit: Duration) -> Duration {
    limit.mul_f64(rand::rng().random::<f64>())
}
