//! The endpoints of a store, their connections, and which one is in use.
//!
//! Clients begin at random endpoints, which spreads a pool over a cluster, and stay until it fails
//! them. Invariants: one dial per endpoint and purpose at a time, whoever waits for it; no lock is
//! held across I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::connection::{Connection, Purpose};
use crate::dial::dial;
use crate::fault::Fault;

/// For so long after an answer an endpoint counts as one that answers. A write within it saves a
/// round trip; a longer time leaves more room for an endpoint that falls silent in between.
const FRESH: Duration = Duration::from_secs(1);

/// The place of one connection: empty, being dialled, or open.
type Slot = Mutex<Arc<OnceCell<Connection>>>;

#[derive(Debug)]
struct Endpoint {
    name: String,
    calls: Slot,
    watches: Slot,
    answered: Mutex<Option<Instant>>,
}

/// All endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints {
    list: Vec<Endpoint>,
    tls: Option<Arc<ClientConfig>>,
    current: AtomicUsize,
}

impl Endpoints {
    /// `names` are `HOST:PORT`, at least one.
    pub(crate) fn new(names: &[String], tls: Option<Arc<ClientConfig>>) -> Self {
        let list = names.iter().map(|name| Endpoint {
            name: name.clone(),
            calls: Slot::default(),
            watches: Slot::default(),
            answered: Mutex::default(),
        });
        let current = AtomicUsize::new(rand::random_range(0..names.len().max(1)));
        Self { list: list.collect(), tls, current }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The one in use.
    pub(crate) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Its address.
    pub(crate) fn name(&self, place: usize) -> &str {
        &self.list[place].name
    }

    /// Takes the next one into use, unless somebody has left `place` already.
    pub(crate) fn leave(&self, place: usize) {
        let next = (place + 1) % self.list.len();
        // Where it fails, another caller has moved on already.
        let _ = self.current.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It has answered just now.
    pub(crate) fn answered(&self, place: usize) {
        *self.list[place].answered.lock() = Some(Instant::now());
    }

    /// Whether it has answered a moment ago.
    pub(crate) fn is_fresh(&self, place: usize) -> bool {
        self.list[place].answered.lock().is_some_and(|at| at.elapsed() < FRESH)
    }

    fn slot(&self, place: usize, purpose: Purpose) -> &Slot {
        let endpoint = &self.list[place];
        match purpose {
            Purpose::Calls => &endpoint.calls,
            Purpose::Watches => &endpoint.watches,
        }
    }

    /// Its connection, opened where there is none.
    pub(crate) async fn connection(
        &self,
        place: usize,
        purpose: Purpose,
    ) -> Result<Connection, Fault> {
        let cell = {
            let mut slot = self.slot(place, purpose).lock();
            if slot.get().is_some_and(Connection::is_over) {
                *slot = Arc::default();
            }
            Arc::clone(&slot)
        };
        let opened = cell.get_or_try_init(async || {
            let name = &self.list[place].name;
            let socket = dial(name, self.tls.as_ref()).await?;
            Connection::open(name, self.tls.is_some(), socket, purpose).await
        });
        opened.await.cloned()
    }

    /// Does not use what is open to it any longer: it does not answer.
    pub(crate) fn forget(&self, place: usize, purpose: Purpose) {
        *self.slot(place, purpose).lock() = Arc::default();
        *self.list[place].answered.lock() = None;
    }
}
