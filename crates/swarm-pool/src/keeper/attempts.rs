//! What is being done about which intent: one thing at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use swarm_core::reschedule::{Attempt, Millis};

/// The pause after a first failure; it doubles with each further one up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// See [`FIRST`].
const LONGEST: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Default)]
struct Record {
    busy: u32,
    failed: Option<(Millis, String)>,
    failures: u32,
}

/// The attempts, by the intent's id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts(Arc<Mutex<HashMap<String, Record>>>);

/// Somebody is at an intent; dropping it says that he is done.
#[derive(Debug)]
pub(crate) struct Turn {
    attempts: Attempts,
    intent: String,
}

impl Turn {
    /// It failed; the next attempt is made after a pause that grows.
    pub fn failed(&self, now: Millis, error: String) {
        let mut records = self.attempts.0.lock();
        let record = records.entry(self.intent.clone()).or_default();
        let doublings = record.failures.min(16);
        let pause = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        record.failures += 1;
        record.failed = Some((now + pause.mul_f64(1.0 + rand::random::<f64>() / 4.0), error));
    }

    /// It worked.
    pub fn worked(&self) {
        if let Some(record) = self.attempts.0.lock().get_mut(&self.intent) {
            record.failed = None;
            record.failures = 0;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut records = self.attempts.0.lock();
        if let Some(record) = records.get_mut(&self.intent) {
            record.busy = record.busy.saturating_sub(1);
            if record.busy == 0 && record.failed.is_none() {
                records.remove(&self.intent);
            }
        }
    }
}

impl Attempts {
    /// A turn at an intent; `None` while somebody else is at it.
    pub fn begin(&self, intent: &str) -> Option<Turn> {
        let mut records = self.0.lock();
        let record = records.entry(intent.to_owned()).or_default();
        if record.busy > 0 {
            return None;
        }
        record.busy = 1;
        Some(Turn { attempts: self.clone(), intent: intent.to_owned() })
    }

    /// A client's request is at an intent: whatever else is done about it, the planner leaves it
    /// alone.
    pub fn join(&self, intent: &str) -> Turn {
        self.0.lock().entry(intent.to_owned()).or_default().busy += 1;
        Turn { attempts: self.clone(), intent: intent.to_owned() }
    }

    /// As of now, for a plan.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.lock().clone())
    }

    /// Forgets failures: another manager's attempts are its own.
    pub fn clear(&self) {
        self.0.lock().retain(|_, record| {
            record.failed = None;
            record.failures = 0;
            record.busy > 0
        });
    }
}

/// The attempts of one moment.
#[derive(Debug)]
pub(crate) struct Snapshot(HashMap<String, Record>);

impl Snapshot {
    /// What is being done about an intent.
    pub fn of(&self, intent: &str) -> Attempt<'_> {
        match self.0.get(intent) {
            Some(Record { busy: 1.., .. }) => Attempt::Busy,
            Some(Record { failed: Some((at, error)), .. }) => Attempt::Failed { at: *at, error },
            _ => Attempt::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_longer_pauses_after_failures() {
        let attempts = Attempts::default();
        let turn = attempts.begin("a").unwrap();
        assert!(attempts.begin("a").is_none() && attempts.begin("b").is_some());
        assert_eq!(attempts.snapshot().of("a"), Attempt::Busy);
        turn.failed(Millis(0), "no".into());
        drop(turn);
        let snapshot = attempts.snapshot();
        let Attempt::Failed { at: first, error: "no" } = snapshot.of("a") else { unreachable!() };
        let turn = attempts.begin("a").unwrap();
        turn.failed(Millis(0), "no".into());
        drop(turn);
        let snapshot = attempts.snapshot();
        let Attempt::Failed { at: second, .. } = snapshot.of("a") else { unreachable!() };
        assert!(second > first);
        let (client, turn) = (attempts.join("a"), attempts.join("a"));
        turn.worked();
        drop(turn);
        assert_eq!(attempts.snapshot().of("a"), Attempt::Busy);
        drop(client);
        assert_eq!(attempts.snapshot().of("a"), Attempt::None);
    }
}
