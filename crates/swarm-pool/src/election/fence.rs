//! Whether this manager may change anything now.
//!
//! Invariants:
//! - a fence is valid until the moment the last successful grant or renewal was *begun*, plus what
//!   the lease holds from then, less a margin, by a clock that nothing stops. So no two managers'
//!   fences are valid at once, and one that slept through its lease finds its fence lapsed when
//!   it wakes, before it has heard anything;
//! - a write to the store carries the guard, which the next primary breaks before it acts;
//! - without an election (the state is in this process alone) it is always valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use swarm_backend::ApiError;
use swarm_kv::Guard;

use super::boottime::Clock;
use super::role::{Epoch, Role, Standing};

/// The share of a lease that is not counted on: for two machines' clocks that do not go at the
/// same speed, and for a request that is on its way when the lease ends.
const MARGIN: u32 = 10;
/// Bounds of the margin.
const MARGINS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What a primary acts under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mandate {
    /// Which primary it is.
    pub epoch: Epoch,
    /// What its writes to the store depend on; `None` where the store is this process's own.
    pub guard: Option<Guard>,
}

/// The fence: cheap to clone, and to check before every change.
#[derive(Debug, Clone)]
pub struct Fence {
    standing: Arc<Standing>,
    clock: Arc<dyn Clock>,
    held: Arc<ArcSwapOption<Held>>,
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Held {
    mandate: Mandate,
    /// Nanoseconds of the clock.
    until: AtomicU64,
}

impl Fence {
    pub(super) fn new(standing: Arc<Standing>, clock: Arc<dyn Clock>) -> Self {
        Self { standing, clock, held: Arc::default() }
    }

    /// Whether a client's change may be sent to an engine now; the error says who may. A manager
    /// that runs without `--replication` always may, as in classic Swarm.
    pub fn check(&self) -> Result<Epoch, ApiError> {
        if self.standing.replication() {
            return self.mandate().map(|mandate| mandate.epoch);
        }
        Ok(self.mandate().map_or(Epoch(0), |mandate| mandate.epoch))
    }

    /// Whether this manager may change something of its own accord now (move a container, say), and
    /// under what. A manager without `--replication` too needs the lock for that.
    pub fn mandate(&self) -> Result<Mandate, ApiError> {
        if self.standing.role() == Role::Alone {
            return Ok(Mandate { epoch: Epoch(0), guard: None });
        }
        match &*self.held.load() {
            Some(held) if self.clock.now() < held.until() => Ok(held.mandate.clone()),
            _ => Err(self.standing.refusal()),
        }
    }

    /// What a write to the store must carry. An error, and not `None`, where this manager is not
    /// the primary: a write without a guard would go through.
    pub fn guard(&self) -> Result<Option<Guard>, ApiError> {
        self.mandate().map(|mandate| mandate.guard)
    }

    /// How much longer it is valid.
    pub(super) fn left(&self) -> Option<Duration> {
        let until = self.held.load().as_ref()?.until();
        until.checked_sub(self.clock.now()).filter(|left| !left.is_zero())
    }

    pub(super) fn open(&self, mandate: Mandate, begun: Duration, holds: Duration) {
        let held = Held { mandate, until: AtomicU64::new(nanos(end(begun, holds))) };
        self.held.store(Some(Arc::new(held)));
    }

    /// A renewal that was begun then has succeeded.
    pub(super) fn extend(&self, begun: Duration, holds: Duration) {
        if let Some(held) = &*self.held.load() {
            held.until.fetch_max(nanos(end(begun, holds)), Ordering::Release);
        }
    }

    pub(super) fn close(&self) {
        self.held.store(None);
    }
}

impl Held {
    fn until(&self) -> Duration {
        Duration::from_nanos(self.until.load(Ordering::Acquire))
    }
}

/// When a lease that was granted or renewed by a call begun then is not counted on any more.
fn end(begun: Duration, holds: Duration) -> Duration {
    let (least, most) = MARGINS;
    begun.saturating_add(holds.saturating_sub((holds / MARGIN).clamp(least, most)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use swarm_kv::Revision;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(Mutex<Duration>);

    impl Clock for Hand {
        fn now(&self) -> Duration {
            *self.0.lock()
        }
    }

    fn fence(replication: bool, role: Role) -> (Fence, Arc<Hand>) {
        let standing = Arc::new(Standing::new("a:1", replication, role));
        let clock = Arc::new(Hand::default());
        (Fence::new(standing, clock.clone()), clock)
    }

    fn mandate() -> Mandate {
        let guard = Guard { key: "epoch".to_owned(), revision: Revision(7) };
        Mandate { epoch: Epoch(3), guard: Some(guard) }
    }

    #[test]
    fn it_lapses_with_its_lease_whoever_sleeps() {
        let (fence, clock) = fence(true, Role::Replica { primary: None });
        assert!(fence.check().is_err() && fence.guard().is_err() && fence.left().is_none());
        let secs = Duration::from_secs;
        fence.open(mandate(), secs(0), secs(20));
        assert_eq!(fence.check(), Ok(Epoch(3)));
        assert_eq!(fence.left(), Some(secs(18)));
        // A renewal counts from its beginning, and an older one takes nothing back.
        fence.extend(secs(6), secs(20));
        fence.extend(secs(5), secs(20));
        *clock.0.lock() = Duration::new(23, 999_999_999);
        assert_eq!(fence.guard(), Ok(mandate().guard));
        *clock.0.lock() = secs(24);
        let error = fence.check().unwrap_err();
        assert_eq!(error.status(), 503);
        assert!(fence.guard().is_err() && fence.mandate().is_err() && fence.left().is_none());
        // A clock that fails is later than any lease.
        fence.extend(Duration::MAX, secs(20));
        *clock.0.lock() = Duration::MAX;
        assert!(fence.check().is_err());
    }

    #[test]
    fn a_short_lease_keeps_most_of_itself() {
        let millis = Duration::from_millis;
        assert_eq!(end(millis(0), millis(1_000)), millis(900));
        assert_eq!(end(millis(5), millis(50)), millis(5));
        assert_eq!(end(millis(0), Duration::from_mins(10)), Duration::from_secs(598));
        assert_eq!(end(Duration::MAX, millis(50)), Duration::MAX);
    }

    #[test]
    fn without_replication_clients_changes_always_pass_and_own_ones_need_the_lock() {
        let (fence, _) = fence(false, Role::Replica { primary: None });
        assert_eq!(fence.check(), Ok(Epoch(0)));
        assert!(fence.mandate().is_err() && fence.guard().is_err());
        fence.open(mandate(), Duration::ZERO, Duration::from_secs(20));
        assert_eq!((fence.check(), fence.mandate()), (Ok(Epoch(3)), Ok(mandate())));
    }

    #[test]
    fn alone_it_is_always_valid() {
        let (fence, clock) = fence(false, Role::Alone);
        *clock.0.lock() = Duration::from_secs(1 << 30);
        assert_eq!((fence.check(), fence.guard()), (Ok(Epoch(0)), Ok(None)));
    }
}
