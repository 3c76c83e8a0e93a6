//! The time, as the service counts it: milliseconds since 1970, moved on by the monotonic clock from
//! where the system's clock stood at the start. A system clock that is set while the service runs
//! ends no registration.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Milliseconds since 1970.
pub(crate) type Millis = u64;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    wall: Millis,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        Self { start: Instant::now(), wall }
    }

    pub(crate) fn now(&self) -> Millis {
        self.wall.saturating_add(millis(self.start.elapsed()))
    }
}

/// A length of time in milliseconds.
pub(crate) fn millis(length: Duration) -> Millis {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
