//! Managers that can be cut off, stopped and killed, over one store.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use swarm_kv::{KeyValue, Layout};
use swarm_memory::Memory;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::line::Line;
use crate::election::appointed::{self, Appointer, Appointment};
use crate::election::boottime::Clock;
use crate::election::{Election, ElectionConfig, Role};

/// tokio's time, which tests pause; it goes on for a manager that is stopped.
#[derive(Debug)]
struct TestTime(Instant);

impl Clock for TestTime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Stops a future as SIGSTOP does a process: nothing of it runs until it goes on.
#[derive(Debug, Default)]
pub struct Brake {
    stopped: AtomicBool,
    waker: AtomicWaker,
}

impl Brake {
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub fn go(&self) {
        self.stopped.store(false, Ordering::SeqCst);
        self.waker.wake();
    }
}

struct Braked<F> {
    inner: Pin<Box<F>>,
    brake: Arc<Brake>,
}

impl<F: Future> Future for Braked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.brake.waker.register(cx.waker());
        if self.brake.stopped.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.inner.as_mut().poll(cx)
    }
}

/// One manager.
pub struct Manager {
    pub election: Election,
    pub line: Arc<Line>,
    pub brake: Arc<Brake>,
    task: JoinHandle<()>,
}

impl Manager {
    pub fn start(store: &Arc<Memory>, name: &str, ttl: Duration, seed: u64) -> Self {
        Self::with(Line::new(Arc::clone(store), seed), name, true, ttl, seed)
    }

    /// One that takes the lock when it is called to.
    pub fn appointed(
        store: &Arc<Memory>,
        name: &str,
        ttl: Duration,
        seed: u64,
    ) -> (Self, Appointer) {
        let (appointer, appointment) = appointed::pair();
        let line = Line::new(Arc::clone(store), seed);
        (Self::made(line, name, false, ttl, seed, Some(appointment)), appointer)
    }

    pub fn with(line: Arc<Line>, name: &str, replication: bool, ttl: Duration, seed: u64) -> Self {
        Self::made(line, name, replication, ttl, seed, None)
    }

    fn made(
        line: Arc<Line>,
        name: &str,
        replication: bool,
        ttl: Duration,
        seed: u64,
        appointment: Option<Appointment>,
    ) -> Self {
        let config = ElectionConfig { replication, name: name.to_owned(), ttl };
        let store: Arc<dyn KeyValue> = line.clone();
        let by = (Arc::new(TestTime(Instant::now())) as _, seed);
        let (election, campaign) = Election::prepare(store, &layout(), &config, appointment, by);
        let brake = Arc::new(Brake::default());
        let braked = Braked { inner: Box::pin(campaign), brake: Arc::clone(&brake) };
        Self { election, line, brake, task: tokio::spawn(braked) }
    }

    /// As a process is: no word to anybody.
    pub fn kill(&self) {
        self.task.abort();
    }

    pub fn is_primary(&self) -> bool {
        self.election.fence().check().is_ok() && matches!(self.role(), Role::Primary { .. })
    }

    pub fn role(&self) -> Role {
        self.election.role().borrow().clone()
    }
}

pub fn layout() -> Layout {
    Layout::new("pool", None)
}

/// Waits until it holds; how long that took.
pub async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(10), "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// Waits until one of them is the primary; which.
pub async fn a_primary(managers: &[Manager]) -> usize {
    let one = || managers.iter().position(Manager::is_primary);
    until("a primary", || one().is_some()).await;
    one().unwrap()
}

/// The epochs that are written by whoever holds a mandate, as the store shows them.
#[derive(Debug, Default)]
pub struct Book(pub Mutex<Vec<u64>>);
