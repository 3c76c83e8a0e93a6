//! What time it is. Planners reckon with the wall clock, tests with one that they move.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use swarm_model::Time;

use crate::replica::Tables;

/// Tells the time.
#[derive(Clone)]
pub struct Clock {
    tell: Arc<dyn Fn() -> Time + Send + Sync>,
    /// By how much it is behind what other managers wrote. It goes on from there: one that stood still
    /// until it had caught up would let every delay last as long.
    behind: Arc<AtomicI64>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a clock that shows {}", self.read())
    }
}

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
        })
    }

    /// One that asks `tell`.
    pub fn new(tell: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), behind: Arc::default() }
    }

    /// A wall clock that goes as tokio's does: a test that pauses that one moves both.
    #[cfg(any(test, feature = "memory"))]
    pub fn of_tokio() -> Self {
        const BEGIN: i64 = 1_800_000_000_000_000_000;
        let begin = tokio::time::Instant::now();
        Self::new(move || {
            Time(BEGIN.saturating_add(i64::try_from(begin.elapsed().as_nanos()).unwrap_or(0)))
        })
    }

    /// What the machine's shows.
    pub fn wall(&self) -> Time {
        (self.tell)()
    }

    /// What it shows.
    pub fn read(&self) -> Time {
        (self.tell)().plus(self.behind.load(Ordering::Relaxed))
    }

    /// What counts as now: never earlier than what any manager wrote, whatever its clock showed.
    pub fn now(&self, tables: &Tables) -> Time {
        let newest = tables.newest;
        self.behind.fetch_max(newest.since((self.tell)()), Ordering::Relaxed);
        self.read().max(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_goes_on_from_what_was_written() {
        let wall = Arc::new(AtomicI64::new(100));
        let shown = Arc::clone(&wall);
        let clock = Clock::new(move || Time(shown.load(Ordering::Relaxed)));
        let mut tables = Tables::default();
        tables.newest = Time(500);
        assert_eq!(clock.now(&Tables::default()), Time(100));
        assert_eq!(clock.now(&tables), Time(500));
        wall.store(107, Ordering::Relaxed);
        assert_eq!((clock.now(&tables), clock.read()), (Time(507), Time(507)));
        wall.store(90, Ordering::Relaxed);
        assert_eq!(clock.now(&tables), Time(500), "never before what was written");
    }
}
