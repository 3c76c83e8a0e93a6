//! What clients asked and were told, and when managers were cut off, on one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use swarm_testkit::linear::{Call, Op};

use super::ByName;

/// A read that took so long may have been told without a quorum; the manager's own bound is 2 s.
const NO_QUORUM: Duration = Duration::from_millis(1_900);
/// Afterwards a manager does not look for a quorum again until it hears of a leader.
const UNTIL_HEARD: Duration = Duration::from_secs(3);

/// What happened so far.
#[derive(Debug)]
pub(super) struct History {
    begun: Instant,
    calls: Mutex<Vec<Told>>,
    /// Managers that were cut off: which, from when, until when.
    cuts: Mutex<Vec<(u8, u64, u64)>>,
    /// The values that each version of a config had.
    versions: Mutex<BTreeMap<(&'static str, u64), BTreeSet<u64>>>,
}

/// A call and its manager.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub manager: u8,
    pub name: &'static str,
    pub call: Call,
}

impl Default for History {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            calls: Mutex::default(),
            cuts: Mutex::default(),
            versions: Mutex::default(),
        }
    }
}

impl History {
    /// Microseconds since the beginning.
    pub fn now(&self) -> u64 {
        micros(self.begun.elapsed())
    }

    pub fn tell(&self, told: Told) {
        self.calls.lock().push(told);
    }

    /// How many calls there are so far.
    pub fn len(&self) -> usize {
        self.calls.lock().len()
    }

    /// A version was seen with a value.
    pub fn version(&self, name: &'static str, version: u64, value: u64) {
        self.versions.lock().entry((name, version)).or_default().insert(value);
    }

    pub fn versions(&self) -> BTreeMap<(&'static str, u64), BTreeSet<u64>> {
        self.versions.lock().clone()
    }

    /// A manager is cut off for as long as `cut` takes.
    pub fn cut<T>(&self, manager: u8, cut: impl FnOnce() -> T) -> T {
        let from = self.now();
        let done = cut();
        self.cuts.lock().push((manager, from, self.now()));
        done
    }

    /// What is to be judged, and how many reads are not.
    pub fn judged(&self) -> (ByName, usize) {
        let (mut all, cuts) = (self.calls.lock().clone(), self.cuts.lock().clone());
        all.sort_by_key(|told| told.call.ended);
        let mut excused = 0;
        let mut judged = ByName::new();
        let mut alone: BTreeMap<u8, u64> = BTreeMap::new();
        for Told { manager, name, call } in all {
            let is_cut = cuts.iter().any(|(who, from, until)| {
                *who == manager && call.ended >= *from && call.begun <= until + micros(UNTIL_HEARD)
            });
            let is_read = matches!(call.op, Op::Read(_));
            let is_long = call.ended - call.begun >= micros(NO_QUORUM);
            let was_alone = alone.get(&manager).is_some_and(|until| call.begun <= *until);
            if is_read && is_long {
                alone.insert(manager, call.ended + micros(UNTIL_HEARD));
            }
            if is_read && (is_cut || is_long || was_alone) {
                excused += 1;
            } else {
                judged.entry(name).or_default().push(call);
            }
        }
        (judged, excused)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use swarm_testkit::linear::Outcome;

    use super::*;

    #[test]
    fn only_reads_without_a_quorum_are_left_out() {
        let history = History::default();
        let call = |op, begun: u64, ended: u64| Call {
            client: 0,
            op,
            outcome: Outcome::Done,
            begun: begun * 1_000_000,
            ended: ended * 1_000_000,
        };
        let tell = |manager, call| history.tell(Told { manager, name: "one", call });
        tell(1, call(Op::Read(None), 0, 1)); // an ordinary one
        tell(1, call(Op::Read(None), 10, 12)); // without a quorum
        tell(1, call(Op::Read(None), 13, 13)); // and soon after it
        tell(2, call(Op::Read(None), 13, 13)); // at another manager
        tell(1, call(Op::Create(1), 13, 20)); // never a write
        tell(1, call(Op::Read(None), 20, 20));
        let (judged, excused) = history.judged();
        assert_eq!((judged["one"].len(), excused), (4, 2));
    }
}
