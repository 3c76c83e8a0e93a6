//! The session that everything without a lease shares.
//!
//! The shared session holds no keys, so it is cheap to lose: one that lost its connection, or let a
//! call wait for too long, is given up, and the next call opens another at a server that serves.
//! While nobody uses it, it is closed: a thousand agents cost nothing but their leases.
//!
//! Invariants: no session is opened before it is used; only one is being opened at a time; nothing
//! is sent through a session that is known to be cut off, so that no write waits there to be done
//! when nobody expects it any more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use swarm_kv::Result;
use tokio::time::{Instant, sleep, timeout};
use zookeeper_client::{Client, Error, SessionState};

use crate::access::Access;
use crate::failure::{Fate, fate};

/// What the shared session asks for: short, so that a server that froze is soon left.
const SHARED: Duration = Duration::from_secs(15);
/// After how long without a call and without a watch the shared session is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Between two attempts of one call.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until a session has a connection; [`Fate::Over`] when it never will have.
pub(crate) async fn connected(client: &Client) -> std::result::Result<(), Fate> {
    let mut watcher = client.state_watcher();
    let mut state = watcher.peek_state();
    loop {
        match state {
            SessionState::SyncConnected => return Ok(()),
            state if state.is_terminated() => return Err(Fate::Over),
            _ => state = watcher.changed().await,
        }
    }
}

/// An open session.
pub(crate) struct Session {
    pub(crate) client: Client,
    used: Mutex<Instant>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.client.session_id())
    }
}

/// The shared session, or none at the moment.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) access: Arc<Access>,
    open: Mutex<Option<Arc<Session>>>,
    opening: tokio::sync::Mutex<()>,
    /// The servers are too old to watch a whole tree.
    treeless: AtomicBool,
}

impl Shared {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self {
            access,
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            treeless: AtomicBool::new(false),
        }
    }

    /// A session with a connection.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Arc<Session>> {
        if let Some(session) = self.usable() {
            return Ok(session);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(session) = self.usable() {
            return Ok(session);
        }
        // A server that froze is noticed after two fifths of the session.
        let client = self.access.connect(SHARED, SHARED * 2 / 5).await?;
        let session = Arc::new(Session { client, used: Mutex::new(Instant::now()) });
        *self.open.lock() = Some(Arc::clone(&session));
        tokio::spawn(close_when_idle(Arc::downgrade(self), Arc::downgrade(&session)));
        Ok(session)
    }

    fn usable(&self) -> Option<Arc<Session>> {
        let mut open = self.open.lock();
        let session = open.as_ref()?;
        if session.client.state() != SessionState::SyncConnected {
            *open = None;
            return None;
        }
        *session.used.lock() = Instant::now();
        Some(Arc::clone(session))
    }

    /// Whether a whole tree can be watched, as far as we know.
    pub(crate) fn watches_trees(&self) -> bool {
        !self.treeless.load(Ordering::Relaxed)
    }

    /// It cannot. Old servers close the connection when asked for what they do not know.
    pub(crate) fn cannot_watch_trees(&self, session: &Arc<Session>) {
        self.treeless.store(true, Ordering::Relaxed);
        self.give_up(session);
    }

    /// The next call opens another one; those that still use this one keep it.
    pub(crate) fn give_up(&self, session: &Arc<Session>) {
        let mut open = self.open.lock();
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, session)) {
            *open = None;
        }
    }

    /// After a failure that may be tried again, waits a moment; the error where that is futile.
    pub(crate) async fn again(
        &self,
        session: &Arc<Session>,
        error: &Error,
        key: &str,
    ) -> Result<()> {
        if fate(error) == Fate::Answered || *error == Error::AuthFailed {
            return Err(self.access.words.of(error, key));
        }
        self.give_up(session);
        sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
        Ok(())
    }

    /// Ends a call at the deadline, and leaves the server that let it wait.
    pub(crate) async fn in_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let Ok(done) = timeout(self.access.deadline, call).await else {
            *self.open.lock() = None;
            return Err(self.access.too_late());
        };
        done
    }
}

async fn close_when_idle(shared: std::sync::Weak<Shared>, session: std::sync::Weak<Session>) {
    loop {
        sleep(IDLE / 2).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut open = shared.open.lock();
        let Some(current) = open.as_ref() else { return };
        if !std::ptr::eq(Arc::as_ptr(current), session.as_ptr()) {
            return;
        }
        // Calls and watches hold it too.
        if Arc::strong_count(current) == 1 && current.used.lock().elapsed() > IDLE {
            *open = None;
            return;
        }
    }
}
