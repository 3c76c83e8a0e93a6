//! Attempts at one thing that fails: ever rarer, and each failure is told once.

use std::time::Duration;

use tokio::time::Instant;

use crate::Backoff;

/// After the first failure; doubled with each.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(15);

/// What fails, and until when it is left alone.
#[derive(Debug)]
pub struct Trouble {
    backoff: Backoff,
    told: Option<String>,
    again: Option<Instant>,
}

impl Default for Trouble {
    /// There is none.
    fn default() -> Self {
        Self { backoff: Backoff::new(FIRST, LONGEST), told: None, again: None }
    }
}

impl Trouble {
    /// It may be tried.
    pub fn is_over(&self) -> bool {
        self.again.is_none_or(|again| again <= Instant::now())
    }

    /// When it is tried again.
    pub fn again(&self) -> Option<Instant> {
        self.again
    }

    /// Notes a failure; `true` when it has not been told.
    pub fn failed(&mut self, reason: &str) -> bool {
        self.again = Some(Instant::now() + self.backoff.step());
        let new = self.told.as_deref() != Some(reason);
        self.told = Some(reason.to_owned());
        new
    }

    /// It may be tried at once: something has changed.
    pub fn hurry(&mut self) {
        self.again = None;
    }

    /// It worked; `true` when it had not.
    pub fn worked(&mut self) -> bool {
        std::mem::take(self).told.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_grow_rarer_and_each_failure_is_told_once() {
        let mut trouble = Trouble::default();
        assert!(trouble.is_over() && trouble.failed("a") && !trouble.failed("a"));
        assert!(trouble.failed("b") && !trouble.is_over());
        for _ in 0..40 {
            trouble.failed("b");
        }
        let pause = trouble.again().unwrap() - Instant::now();
        assert!(pause > LONGEST / 3 && pause <= LONGEST, "{pause:?}");
        assert!(trouble.worked() && !trouble.worked() && trouble.is_over());
    }
}
