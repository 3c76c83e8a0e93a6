//! The other managers: where they are, and kept connections to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::link::{Dialer, Link, LinkError};
use super::wire::{Fault, Reply, Request};
use crate::kinds::Id;

/// How many idle connections to each are kept.
const KEPT: usize = 8;
/// How long a manager may take to say that it is there.
const KNOCK: Duration = Duration::from_millis(300);

/// The others, as one manager knows them.
#[derive(Debug)]
pub(crate) struct Peers {
    dialer: Arc<Dialer>,
    /// As the membership has it.
    book: RwLock<BTreeMap<Id, String>>,
    /// Where somebody said to be now; wins over the book until that agrees.
    moved: RwLock<BTreeMap<Id, String>>,
    idle: Mutex<HashMap<String, Vec<Link>>>,
    /// Whom a test does not let this manager reach.
    #[cfg(feature = "faults")]
    cut: RwLock<Vec<Id>>,
    /// How often somebody was asked whether he would vote for this manager.
    #[cfg(feature = "faults")]
    pub stood: tokio::sync::watch::Sender<u64>,
}

impl Peers {
    pub fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
            book: RwLock::default(),
            moved: RwLock::default(),
            idle: Mutex::default(),
            #[cfg(feature = "faults")]
            cut: RwLock::default(),
            #[cfg(feature = "faults")]
            stood: tokio::sync::watch::Sender::default(),
        }
    }

    /// Takes over what the membership says.
    pub fn learn(&self, book: BTreeMap<Id, String>) {
        self.moved
            .write()
            .retain(|id, address| book.contains_key(id) && book.get(id) != Some(address));
        let kept: Vec<_> = book.values().cloned().collect();
        let moved: Vec<_> = self.moved.read().values().cloned().collect();
        *self.book.write() = book;
        self.idle.lock().retain(|address, _| kept.contains(address) || moved.contains(address));
    }

    /// Adds one that the membership has only just got.
    pub fn add(&self, id: Id, address: &str) {
        self.book.write().insert(id, address.to_owned());
    }

    /// Notes that one says to be elsewhere now.
    pub fn relocate(&self, id: Id, address: &str) {
        if self.book.read().get(&id).is_some_and(|known| known != address) {
            self.moved.write().insert(id, address.to_owned());
        }
    }

    /// All that are known.
    pub fn ids(&self) -> Vec<Id> {
        self.book.read().keys().copied().collect()
    }

    /// Where one is.
    pub fn address(&self, id: Id) -> Option<String> {
        let moved = self.moved.read().get(&id).cloned();
        let address = moved.or_else(|| self.book.read().get(&id).cloned());
        address.filter(|address| !address.is_empty())
    }

    /// From now on none of `others` is reached.
    #[cfg(feature = "faults")]
    pub fn cut(&self, others: &[Id]) {
        *self.cut.write() = others.to_vec();
    }

    /// Whether a test cut the way to `id`.
    #[cfg(feature = "faults")]
    fn is_cut(&self, id: Id) -> bool {
        self.cut.read().contains(&id)
    }

    /// Nothing cuts a way but tests.
    #[cfg(not(feature = "faults"))]
    #[allow(clippy::unused_self)] // So that both forms are called alike.
    fn is_cut(&self, _id: Id) -> bool {
        false
    }

    /// Where one can be reached now.
    pub fn way(&self, id: Id) -> Option<String> {
        self.address(id).filter(|_| !self.is_cut(id))
    }

    /// A connection of one's own.
    pub async fn dial(&self, id: Id, until: Instant) -> Result<Link, LinkError> {
        let Some(address) = self.way(id) else {
            return Err(LinkError::NotSent(format!("manager {id:016x} has no address")));
        };
        self.dialer.dial(&address, until).await
    }

    /// Calls one, over a kept connection where there is one.
    pub async fn call(&self, id: Id, request: Request, until: Instant) -> Result<Reply, LinkError> {
        let kept = self.way(id).and_then(|address| self.kept(&address));
        let mut link = match kept {
            Some(link) => link,
            None => self.dial(id, until).await?,
        };
        let reply = link.call(Some(id), request, until).await;
        if matches!(reply, Ok(_) | Err(LinkError::Fault(_))) {
            let mut idle = self.idle.lock();
            let idle = idle.entry(link.address.clone()).or_default();
            if idle.len() < KEPT {
                idle.push(link);
            }
        }
        reply
    }

    /// Calls whoever is at an address.
    pub async fn call_at(
        &self,
        address: &str,
        request: Request,
        until: Instant,
    ) -> Result<Reply, LinkError> {
        self.dialer.dial(address, until).await?.call(None, request, until).await
    }

    fn kept(&self, address: &str) -> Option<Link> {
        let mut idle = self.idle.lock();
        let idle = idle.get_mut(address)?;
        while let Some(mut link) = idle.pop() {
            if link.is_quiet() {
                return Some(link);
            }
        }
        None
    }

    /// Whether `id` answers at all.
    pub async fn answers(&self, id: Id) -> bool {
        let until = Instant::now() + KNOCK;
        match self.call(id, Request::Status, until).await {
            Ok(Reply::Status { id: there }) => there == id,
            Err(LinkError::Fault(fault)) => fault != Fault::Elsewhere,
            _ => false,
        }
    }
}
