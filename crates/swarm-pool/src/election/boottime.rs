//! A clock that goes on while the machine is suspended and while the process is stopped.
//!
//! A fence must not be believed longer than its lease, however long nobody looked. Rust's
//! `Instant` stands still during a suspend on Linux; `CLOCK_BOOTTIME` does not, and nobody can set
//! it. `nix` calls it safely, so that there is no `unsafe` here.

use std::fmt::Debug;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Tells the time since some fixed moment.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Never goes back, and never stands still.
    fn now(&self) -> Duration;
}

/// The kernel's.
#[derive(Debug)]
pub(crate) struct BootTime;

impl Clock for BootTime {
    fn now(&self) -> Duration {
        // It cannot fail on any kernel since 2.6.39. If it does, it is later than any lease holds.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let before = BootTime.now();
        std::thread::sleep(Duration::from_millis(2));
        let after = BootTime.now();
        assert!(after >= before + Duration::from_millis(2), "{before:?}, {after:?}");
        assert!(after < Duration::MAX);
    }
}
