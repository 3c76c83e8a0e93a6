//! An engine's status: a pure machine fed with successes and failures.
//!
//! It decides when a failing engine counts as down and how long to wait before the next probe;
//! the worker does the probing. Timing is chosen so that a silent engine is noticed within 5 s
//! and its return within 2 s, at no more than one request per engine and second.

use std::fmt;
use std::time::Duration;

/// Time between two probes of a healthy, quiet engine.
pub const PROBE_PERIOD: Duration = Duration::from_secs(2);
/// How long one probe may take. Three of them plus the period leave half a second of the promised
/// five for a manager under load.
pub const PROBE_DEADLINE: Duration = Duration::from_millis(800);
/// Time from the start of one attempt to reach an engine that is down to the start of the next: an
/// attempt into silence lasts most of it.
pub const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// What the pool thinks of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Named by discovery, not reached yet.
    Pending,
    /// Answers; may be given containers.
    Healthy,
    /// Was reached, and fails now.
    Unhealthy,
    /// No longer named by discovery; on its way out of the pool.
    Disconnected,
    /// Answers, and its owner wants no new containers on it.
    Maintenance,
}

impl Status {
    /// Requests may be sent to it.
    pub fn is_reachable(self) -> bool {
        matches!(self, Self::Healthy | Self::Maintenance)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
            Self::Disconnected => "Disconnected",
            Self::Maintenance => "Maintenance",
        })
    }
}

/// A change of status worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: Status,
    /// After.
    pub to: Status,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Health {
    status: Status,
    failures: u32,
    limit: u32,
    error: Option<String>,
}

impl Health {
    /// A new engine is pending; `limit` failures in a row take a healthy one down (at least 1).
    pub fn new(limit: u32) -> Self {
        Self { status: Status::Pending, failures: 0, limit: limit.max(1), error: None }
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The last failure, until the next success.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How many failures in a row take it down.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// The engine answered as it should.
    pub fn succeed(&mut self, maintenance: bool) -> Option<Transition> {
        self.failures = 0;
        self.error = None;
        self.turn(if maintenance { Status::Maintenance } else { Status::Healthy })
    }

    /// A probe or a connection failed.
    pub fn fail(&mut self, why: impl Into<String>) -> Option<Transition> {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(why.into());
        if self.status.is_reachable() && self.failures >= self.limit {
            return self.turn(Status::Unhealthy);
        }
        None
    }

    /// The engine must not be used whatever it answers (a second engine with one ID).
    pub fn refuse(&mut self, why: impl Into<String>) -> Option<Transition> {
        self.error = Some(why.into());
        self.turn(Status::Pending)
    }

    /// It is certain at once that the engine is not the one it was.
    pub fn lose(&mut self, why: impl Into<String>) -> Option<Transition> {
        self.error = Some(why.into());
        self.turn(Status::Unhealthy)
    }

    /// Discovery no longer names it.
    pub fn disconnect(&mut self) -> Option<Transition> {
        self.error = Some("no longer named by discovery".to_owned());
        self.turn(Status::Disconnected)
    }

    /// A reachable engine with failures against it: the next probe is due at once.
    pub fn is_in_doubt(&self) -> bool {
        self.failures > 0 && self.status.is_reachable()
    }

    fn turn(&mut self, to: Status) -> Option<Transition> {
        let from = std::mem::replace(&mut self.status, to);
        (from != to).then_some(Transition { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_limit_of_failures_in_a_row_to_go_down() {
        let mut health = Health::new(3);
        assert_eq!(
            health.succeed(false),
            Some(Transition { from: Status::Pending, to: Status::Healthy })
        );
        assert_eq!(health.fail("late"), None);
        assert_eq!(health.fail("late"), None);
        assert_eq!(health.succeed(false), None, "a success forgets the failures before it");
        assert_eq!(health.error(), None);
        assert_eq!(health.fail("late"), None);
        assert_eq!(health.fail("late"), None);
        assert!(health.is_in_doubt());
        let down = health.fail("no answer within 0.9 s");
        assert_eq!(down, Some(Transition { from: Status::Healthy, to: Status::Unhealthy }));
        assert_eq!(health.error(), Some("no answer within 0.9 s"));
    }

    #[test]
    fn an_engine_never_reached_stays_pending_and_keeps_its_error() {
        let mut health = Health::new(1);
        assert_eq!(health.fail("connection refused"), None);
        assert_eq!(health.status(), Status::Pending);
        assert_eq!(health.error(), Some("connection refused"));
    }

    #[test]
    fn the_promise_about_silence_holds() {
        let noticed = PROBE_PERIOD + PROBE_DEADLINE * 3;
        assert!(noticed <= Duration::from_millis(4_500));
        assert!(RETRY_PERIOD + PROBE_DEADLINE < Duration::from_secs(2));
        assert!(PROBE_PERIOD >= Duration::from_secs(1) && RETRY_PERIOD >= Duration::from_secs(1));
    }
}
