//! Which engine serves which build, so that all connections of one build meet on one engine.
//!
//! A BuildKit client opens several: `POST /session` for its files and credentials, `POST /build`
//! with the session's UUID, a second `POST /build` that brings a context from stdin, or `POST /grpc`
//! for everything. They come in any order. The one that can choose (`/build`, by its constraints)
//! pins the session and the build; the others wait for it a bounded time.
//!
//! Nothing in a `/grpc` connection's head names its build, so all of them go to one engine: the
//! first by address that can be reached when the first of them opens, and that same one until the
//! last of them closes. Sessions without a `/build` belong to such a connection and go there too.
//!
//! Invariant: a pin is never moved while its build or session lasts, and at most [`REMEMBERED`] are
//! kept.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::{Engine, EngineKey, Mark};

/// How long a session waits for its `/build`: an engine itself waits five seconds for a session.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long it waits while a `/grpc` connection is open that it may belong to. A `/build` comes
/// some milliseconds after its session; this bounds what each buildx session loses by the wait.
const SHORT_PATIENCE: Duration = Duration::from_millis(100);
/// How many pins are kept.
const REMEMBERED: usize = 4_096;

/// What is pinned to an engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Pin {
    /// A session, by its UUID.
    Session(String),
    /// A build, by its `buildid`.
    Build(String),
}

/// The pins. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    pins: IndexMap<Pin, EngineKey>,
    control: Option<EngineKey>,
    control_open: usize,
}

impl Sessions {
    /// The engine of a pin.
    pub(super) fn get(&self, pin: &Pin) -> Option<EngineKey> {
        self.shared.state.lock().pins.get(pin).copied()
    }

    /// Pins to `engine`, unless it is pinned already; the engine it is pinned to, and what undoes a
    /// pin made here.
    pub(super) fn pin(&self, pin: Pin, engine: EngineKey) -> (EngineKey, Option<Pinned>) {
        let mut state = self.shared.state.lock();
        if let Some(known) = state.pins.get(&pin) {
            return (*known, None);
        }
        if state.pins.len() >= REMEMBERED {
            state.pins.shift_remove_index(0);
        }
        state.pins.insert(pin.clone(), engine);
        drop(state);
        self.shared.changed.send_replace(());
        (engine, Some(Pinned { sessions: self.clone(), pin }))
    }

    /// Waits, within reason, for another connection of the same build to pin it.
    pub(super) async fn wait(&self, pin: &Pin) -> Option<EngineKey> {
        let mut changed = self.shared.changed.subscribe();
        let since = Instant::now();
        loop {
            let patience = {
                let state = self.shared.state.lock();
                if let Some(engine) = state.pins.get(pin) {
                    return Some(*engine);
                }
                let may_be_control = state.control_open > 0 && matches!(pin, Pin::Session(_));
                if may_be_control { SHORT_PATIENCE } else { PATIENCE }
            };
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                return None;
            }
            // Whatever woke it, the state above decides.
            let _ = tokio::time::timeout(left, changed.changed()).await;
        }
    }

    /// The engine of `/grpc` connections among `reachable`, which are in the order of addresses.
    pub(super) fn control_engine(&self, reachable: &[Arc<Engine>]) -> Option<Arc<Engine>> {
        let mut state = self.shared.state.lock();
        let current = state.control.filter(|_| state.control_open > 0);
        let stays = reachable.iter().find(|engine| Some(engine.key()) == current);
        let engine = stays.or(reachable.first())?;
        state.control = Some(engine.key());
        Some(Arc::clone(engine))
    }

    /// Counts a `/grpc` connection until the answer is dropped.
    pub(super) fn open_control(&self, engine: Arc<Engine>) -> Control {
        self.shared.state.lock().control_open += 1;
        self.shared.changed.send_replace(());
        Control { sessions: self.clone(), engine }
    }
}

/// A pin that lasts until this is dropped.
#[derive(Debug)]
pub(super) struct Pinned {
    sessions: Sessions,
    pin: Pin,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.sessions.shared.state.lock().pins.shift_remove(&self.pin);
    }
}

/// An open `/grpc` connection.
#[derive(Debug)]
pub(super) struct Control {
    sessions: Sessions,
    engine: Arc<Engine>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.sessions.shared.state.lock().control_open -= 1;
        self.engine.wrote(Mark::Images);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_engine::{ClientOptions, EngineAddress, EngineClient};

    const SESSION: fn() -> Pin = || Pin::Session("s".to_owned());

    fn engine(number: u32) -> Arc<Engine> {
        let address = EngineAddress::Tcp { host: format!("n{number}"), port: 1 };
        let client = EngineClient::new(address, ClientOptions::default());
        Arc::new(Engine::new(EngineKey(number), client))
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_follows_the_build_that_comes_after_it() {
        let sessions = Sessions::default();
        let waiting = tokio::spawn({
            let sessions = sessions.clone();
            async move { sessions.wait(&SESSION()).await }
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (at, pinned) = sessions.pin(SESSION(), EngineKey(7));
        assert_eq!(at, EngineKey(7));
        assert_eq!(waiting.await.unwrap(), Some(EngineKey(7)));
        let (at, second) = sessions.pin(SESSION(), EngineKey(8));
        assert_eq!(at, EngineKey(7), "the first pin stays");
        assert!(second.is_none());
        drop(pinned);
        assert_eq!(sessions.get(&SESSION()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_sooner_beside_a_control_connection() {
        let sessions = Sessions::default();
        let began = Instant::now();
        assert_eq!(sessions.wait(&SESSION()).await, None);
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
        let control = sessions.open_control(engine(1));
        let began = Instant::now();
        assert_eq!(sessions.wait(&SESSION()).await, None);
        assert!(began.elapsed() < Duration::from_secs(1));
        // A context waits for its build alone.
        let began = Instant::now();
        assert_eq!(sessions.wait(&Pin::Build("b".to_owned())).await, None);
        assert!(began.elapsed() >= PATIENCE);
        drop(control);
    }

    #[test]
    fn control_connections_stay_together() {
        let sessions = Sessions::default();
        let (first, second) = (engine(1), engine(2));
        let key = |engines: &[Arc<Engine>]| sessions.control_engine(engines).map(|e| e.key());
        assert_eq!(key(&[]), None);
        assert_eq!(key(std::slice::from_ref(&second)), Some(EngineKey(2)));
        let open = sessions.open_control(Arc::clone(&second));
        let both = [first, second];
        assert_eq!(key(&both), Some(EngineKey(2)), "the first engine came back meanwhile");
        drop(open);
        assert_eq!(key(&both), Some(EngineKey(1)));
    }

    #[test]
    fn pins_are_bounded() {
        let sessions = Sessions::default();
        let pins: Vec<_> = (0..=REMEMBERED)
            .map(|number| sessions.pin(Pin::Build(number.to_string()), EngineKey(1)).1)
            .collect();
        assert_eq!(sessions.get(&Pin::Build("0".to_owned())), None);
        assert!(sessions.get(&Pin::Build("1".to_owned())).is_some());
        drop(pins);
        assert!(sessions.shared.state.lock().pins.is_empty());
    }
}
