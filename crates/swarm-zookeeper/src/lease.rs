//! Leases: each a session of its own, whose ephemeral znodes are the lease's keys.
//!
//! The client library keeps its sessions alive by itself; a lease must end all the same when nobody
//! renews it. So each has a guard that closes its session `ttl` after the last renewal. Between two
//! renewals the library's own pings keep it: a lease may be longer than the longest session of the
//! server (40 s by default). When this process is frozen or killed nothing pings, and the server
//! ends the session, and with it the keys, after the session's timeout.
//!
//! Of the `ttl` three quarters are asked for as timeout: the server ends sessions at its ticks (2 s
//! by default), and so the keys of a killed holder are gone within `ttl`.
//!
//! Invariants: a holder may count on no more than the timeout that the server granted; a lease that
//! is over never comes back; those of a store that is dropped end at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use swarm_kv::{Lease, Result, StoreError};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zookeeper_client::{Client, Error, StateWatcher};

use crate::access::Access;
use crate::failure::{Fate, fate};
use crate::session::connected;

/// The longest timeout that is asked for; servers grant 20 ticks at most, which are 40 s.
const LONGEST: Duration = Duration::from_secs(40);
/// A longer lease is as good as one for ever; clocks cannot count much further.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 10);
/// Between two attempts of one call.
const PAUSE: Duration = Duration::from_millis(50);

/// The leases of one store.
pub(crate) struct Leases {
    access: Arc<Access>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    held: HashMap<String, Held>,
    /// Revoked, but not known to be over.
    ending: HashMap<String, StateWatcher>,
}

struct Held {
    client: Client,
    ttl: Duration,
    /// When the guard ends it.
    until: Instant,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leases({})", self.kept.lock().held.len())
    }
}

impl Leases {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self { access, kept: Mutex::default() }
    }

    pub(crate) async fn grant(self: &Arc<Self>, ttl: Duration) -> Result<Lease> {
        let begun = Instant::now();
        let wanted = (ttl.min(2 * LONGEST) * 3 / 4).min(LONGEST);
        // Half of it leaves the other half to find another server; it makes the library ping four
        // times per timeout.
        let client = self.access.connect(wanted, wanted / 2).await?;
        let granted = client.session_timeout();
        let lease = Lease {
            id: client.session_id().to_string(),
            holds: granted.min(ttl),
            gone_after: gone_after(ttl, granted),
        };
        let ttl = ttl.min(FOR_EVER);
        let held = Held { client, ttl, until: begun + ttl };
        self.kept.lock().held.insert(lease.id.clone(), held);
        tokio::spawn(guard(Arc::downgrade(self), lease.id.clone()));
        Ok(lease)
    }

    /// The session of a lease that is not over yet, as far as we know.
    pub(crate) fn client(&self, lease: &Lease) -> Result<Client> {
        let mut kept = self.kept.lock();
        match kept.held.get(&lease.id) {
            Some(held) if held.is_over() => {
                kept.held.remove(&lease.id);
                Err(lost(lease))
            }
            Some(held) => Ok(held.client.clone()),
            None => Err(lost(lease)),
        }
    }

    pub(crate) async fn renew(&self, lease: &Lease) -> Result<()> {
        let begun = Instant::now();
        loop {
            let client = self.client(lease)?;
            let answer = match connected(&client).await {
                // Asked of the leader, which knows whether the session lives.
                Ok(()) => client.sync("/").await,
                Err(_) => Err(Error::SessionExpired),
            };
            match answer {
                Ok(()) => return self.extend(lease, begun),
                Err(error) => self.again(lease, &error, "the lease").await?,
            }
        }
    }

    fn extend(&self, lease: &Lease, from: Instant) -> Result<()> {
        let mut kept = self.kept.lock();
        let held = kept.held.get_mut(&lease.id).ok_or_else(|| lost(lease))?;
        held.until = held.until.max(from + held.ttl);
        Ok(())
    }

    /// After a failure that may be tried again, waits a moment; the error where that is futile.
    pub(crate) async fn again(&self, lease: &Lease, error: &Error, key: &str) -> Result<()> {
        match fate(error) {
            Fate::Answered => Err(self.access.words.of(error, key)),
            Fate::Over => {
                self.kept.lock().held.remove(&lease.id);
                Err(lost(lease))
            }
            Fate::Lost => {
                sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
                Ok(())
            }
        }
    }

    /// Closes the session and waits until it is closed.
    pub(crate) async fn revoke(&self, lease: &Lease) -> Result<()> {
        let ending = {
            let mut kept = self.kept.lock();
            match kept.held.remove(&lease.id) {
                // Its client is dropped here: the library says good-bye to the server.
                Some(held) => {
                    let watcher = held.client.state_watcher();
                    kept.ending.insert(lease.id.clone(), watcher.clone());
                    Some(watcher)
                }
                None => kept.ending.get(&lease.id).cloned(),
            }
        };
        let Some(ending) = ending else { return Ok(()) };
        over(ending).await;
        self.kept.lock().ending.remove(&lease.id);
        Ok(())
    }

    /// Ends a call at the deadline.
    pub(crate) async fn in_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let done = timeout(self.access.deadline, call).await;
        done.unwrap_or_else(|_| Err(self.access.too_late()))
    }
}

impl Held {
    fn is_over(&self) -> bool {
        self.client.state().is_terminated() || Instant::now() >= self.until
    }
}

/// The lease is over.
fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { id: lease.id.clone() }
}

/// A holder may die right before its guard would have ended the lease: then the server waits for
/// the whole timeout, and for the end of the tick it is in. A tick is half a timeout at most.
fn gone_after(ttl: Duration, granted: Duration) -> Duration {
    ttl.saturating_add(granted + granted / 2)
}

async fn over(mut session: StateWatcher) {
    let mut state = session.peek_state();
    while !state.is_terminated() {
        state = session.changed().await;
    }
}

/// Ends a lease that nobody renewed. It holds the leases weakly: it is gone when they are.
async fn guard(leases: Weak<Leases>, id: String) {
    loop {
        let until = {
            let Some(leases) = leases.upgrade() else { return };
            let mut kept = leases.kept.lock();
            match kept.held.get(&id) {
                Some(held) if !held.is_over() => held.until,
                _ => {
                    // Dropping the client closes its session.
                    kept.held.remove(&id);
                    break;
                }
            }
        };
        sleep_until(until).await;
    }
    let ending = leases.upgrade().and_then(|leases| leases.kept.lock().ending.get(&id).cloned());
    if let Some(ending) = ending {
        over(ending).await;
        if let Some(leases) = leases.upgrade() {
            leases.kept.lock().ending.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_is_what_the_server_does() {
        let seconds = Duration::from_secs;
        for (ttl, granted, gone) in [(4, 4, 10), (20, 16, 44), (180, 40, 240), (1, 4, 7)] {
            assert_eq!(gone_after(seconds(ttl), seconds(granted)), seconds(gone));
        }
    }
}
