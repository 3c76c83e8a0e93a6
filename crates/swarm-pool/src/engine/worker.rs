//! The one task that owns an engine's state: it connects, follows events, probes, reads back what
//! is marked, and publishes snapshots.
//!
//! Invariants: nothing it waits for blocks the reading of events; an engine is published as
//! healthy only after everything on it has been read once; events are passed on in the order the
//! engine sent them, each once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use rand::Rng;
use swarm_docker::event::Event;
use swarm_engine::{EngineError, EventLines, EventTime};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::cache::Cache;
use super::health::{Health, PROBE_DEADLINE, PROBE_PERIOD, RETRY_PERIOD, Transition};
use super::marks::{Mark, Wanted};
use super::observe::{self, Known, Observed, ReadError};
use super::replay::Replay;
use super::{Engine, Identity};
use crate::clock;
use crate::events::PoolEvent;
use crate::shared::Shared;

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
}

impl Worker {
    async fn live(&mut self, spread: Duration) {
        sleep(random_below(spread)).await;
        loop {
            let next = Instant::now() + RETRY_PERIOD + random_below(RETRY_PERIOD / 20);
            // Boxed: what a connection needs while it is made would stay in every worker for life.
            match Box::pin(self.connect()).await {
                Ok(events) => self.serve(events).await,
                Err(Refusal::Failed(error)) => self.failed(&error.to_string()),
                Err(Refusal::Twin(text)) => self.refused(&text),
            }
            sleep_until(next).await;
        }
    }

    /// From nothing to a healthy engine with everything read, and its open event stream.
    async fn connect(&mut self) -> Result<EventLines, Refusal> {
        let engine = Arc::clone(&self.engine);
        let client = &engine.client;
        // The cheapest question first: an engine that is down is asked nothing else.
        client.ping(PROBE_DEADLINE).await?;
        let shared = Arc::clone(&self.shared);
        let _turn = shared.setups.acquire().await;
        client.negotiate(SETUP_DEADLINE).await?;
        let identity = observe::identity(client, SETUP_DEADLINE).await?;
        self.claim(&identity)?;
        // Containers are kept as their engine's name, address and size show them.
        let same = self.cache.identity.as_ref().is_none_or(|known| {
            (&known.name, &known.ip, known.cpus) == (&identity.name, &identity.ip, identity.cpus)
        });
        if !same {
            self.cache.clear();
        }
        self.cache.identity = Some(Arc::new(identity));
        let opened_at = self.engines_now();
        let events = client.events(self.since()).await?;
        self.replay.opened(opened_at);
        let Some(known) = self.known() else { return Err(Refusal::Twin(String::new())) };
        let wanted = engine.marks.take_all();
        match observe::observe(client, &wanted, &known, SETUP_DEADLINE).await {
            Ok(observed) => self.absorb(observed),
            Err(error) => {
                engine.marks.again(wanted);
                return Err(Refusal::Failed(error));
            }
        }
        self.answered();
        self.read_back(wanted.upto);
        // What was needed to read everything at once is not needed for a quiet engine.
        client.close_idle();
        Ok(events)
    }

    /// What was written up to number `upto` is in the snapshot.
    fn read_back(&self, upto: u64) {
        // In this order: who waits for the number finds its reservation settled.
        self.shared.scheduler.read_back(self.engine.key, upto);
        self.engine.marks.done(upto);
    }

    /// The engine's clock, as far as it is known.
    fn engines_now(&self) -> i64 {
        let skew = self.cache.identity.as_ref().and_then(|known| known.skew_millis);
        clock::now_nanos().saturating_add(skew.unwrap_or_default().saturating_mul(1_000_000))
    }

    fn since(&self) -> Option<EventTime> {
        let since = self.replay.since(self.engines_now());
        since.map(|nanos| EventTime(nanos.try_into().unwrap_or_default()))
    }

    fn known(&self) -> Option<Known> {
        Some(Known {
            identity: self.cache.identity.clone()?,
            containers: self.cache.containers(),
            networks: self.cache.networks(),
            list: self.cache.list(),
        })
    }

    /// An engine's id belongs to one address only.
    fn claim(&mut self, identity: &Identity) -> Result<(), Refusal> {
        let old = self.cache.identity.as_ref().map(|known| known.id.clone());
        if let Some(old) = old.filter(|old| *old != identity.id) {
            info!(engine = %identity.address, old, new = %identity.id,
                  "another engine answers at this address");
            self.cache.clear();
            self.shared.index.leave(self.engine.key);
            self.replay = Replay::default();
            self.shared.identities.release(&old, self.engine.key);
        }
        self.shared.identities.claim(&identity.id, self.engine.key, &identity.address).map_err(
            |other| {
                Refusal::Twin(format!(
                    "engine id {} is used by two addresses: {other} and {}; give each engine an \
                     identity of its own (remove its /etc/docker/key.json or engine-id and \
                     restart it)",
                    identity.id, identity.address
                ))
            },
        )
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
                            self.replay.opened(self.engines_now());
                            // Should more have happened than the engine remembers.
                            engine.marks.note(Mark::Objects);
                            events = Some(stream);
                        }
                        Err(error) => {
                            self.failed(&error.to_string());
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
                            self.failed(&error.to_string());
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
        if let Some(mark) = observe::mark_of(&event) {
            self.engine.marks.note(mark);
        }
        if !self.shared.events.is_heard() {
            return;
        }
        if let Some(node) = &self.cache.identity {
            let line = node.event_line(&event);
            self.shared.events.publish(PoolEvent { node: Arc::clone(node), event, line });
        }
    }

    fn start_reading(&self, pause: Duration) -> Option<Reading> {
        let known = self.known()?;
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
            Ok(observed) => {
                self.absorb(observed);
                self.answered();
                self.read_back(wanted.upto);
            }
            Err(error) => {
                self.failed(&format!("cannot read its state: {error}"));
                self.engine.marks.again(wanted);
            }
        }
    }

    fn absorb(&mut self, observed: Observed) {
        let mut change = self.cache.absorb(observed);
        if self.shared.orphans.concern(self.engine.key) {
            // On their way out: what was made in their place must not share its name with them.
            let orphans = self.remove_orphans();
            change.present.retain(|container| !orphans.iter().any(|id| *id == container.id()));
            change.other |= !orphans.is_empty();
        }
        if change.is_empty() {
            return;
        }
        self.shared.index.apply(self.engine.key, &change.gone, &change.present);
        self.publish();
    }

    /// What a create of unknown outcome left behind; it may have been read before its create was
    /// given up, so all are looked at.
    fn remove_orphans(&self) -> Vec<String> {
        let mut orphans = Vec::new();
        for container in &*self.cache.containers() {
            if !self.shared.orphans.claim(self.engine.key, container) {
                continue;
            }
            let (engine, id) = (Arc::clone(&self.engine), container.id().to_owned());
            info!(engine = %engine.label(), id, "removing what an unanswered create left");
            self.shared.index.forget(engine.key, &id);
            orphans.push(id.clone());
            tokio::spawn(async move {
                if let Err(error) = engine.remove_fresh(&id).await {
                    warn!(engine = %engine.label(), id, %error, "cannot remove it");
                    // Then it is there for all to see.
                    engine.wrote(Mark::Container(id));
                }
            });
        }
        orphans
    }

    fn answered(&mut self) {
        let maintenance = self.cache.identity.as_ref().is_some_and(|known| known.maintenance);
        let doubted = self.health.error().is_some();
        let change = self.health.succeed(maintenance);
        if doubted && change.is_none() {
            self.publish();
        }
        self.tell(change);
    }

    fn failed(&mut self, why: &str) {
        let known = self.health.error() == Some(why);
        let change = self.health.fail(why);
        if change.is_none() && !known {
            self.publish();
        }
        self.tell(change);
    }

    /// Another address has this engine's id.
    fn refused(&mut self, why: &str) {
        let known = self.health.error() == Some(why);
        let change = self.health.refuse(why);
        if change.is_none() && !known {
            warn!(address = %self.engine.address(), error = why, "engine refused");
            self.publish();
        }
        self.tell(change);
    }

    fn tell(&mut self, change: Option<Transition>) {
        let Some(change) = change else { return };
        self.publish();
        self.shared.changes.send_modify(|count| *count += 1);
        let name = self.engine.label();
        if let Some(error) = self.health.error() {
            warn!(engine = %name, address = %self.engine.address(),
                  from = %change.from, to = %change.to, error, "engine status");
        } else {
            info!(engine = %name, address = %self.engine.address(),
                  from = %change.from, to = %change.to, "engine status");
        }
    }

    /// Makes the newest state known to readers and to the scheduler, in that order: whoever is
    /// placed by the new summary finds the new snapshot.
    fn publish(&mut self) {
        self.engine.publish(self.cache.view(&self.health));
        let containers = self.cache.containers();
        let has = |name: &str| {
            containers.iter().any(|container| container.names().any(|known| known == name))
        };
        let summary = Arc::new(self.cache.summary(&self.health));
        self.shared.scheduler.publish(self.engine.key, summary, has);
    }

    fn leave(&mut self) {
        let change = self.health.disconnect();
        self.tell(change);
        self.cache.clear();
        self.shared.index.leave(self.engine.key);
        self.shared.scheduler.remove(self.engine.key);
        if let Some(known) = self.cache.identity.take() {
            self.shared.identities.release(&known.id, self.engine.key);
        }
        self.engine.client.sever();
    }

    fn refresh_after(&self) -> Duration {
        let (least, most) = self.shared.config.refresh;
        least + random_below(most.saturating_sub(least))
    }
}

enum Refusal {
    Failed(ReadError),
    Twin(String),
}

impl<E: Into<ReadError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
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
