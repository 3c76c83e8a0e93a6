//! Why containers were put where they are, for those who look on: the last decisions, in memory.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// How many are remembered, the newest: some 150 bytes each.
const REMEMBERED: usize = 4_096;

/// The reasons, by the engine's id of the container.
#[derive(Debug, Default)]
pub struct Reasons(Mutex<(HashMap<String, String>, VecDeque<String>)>);

impl Reasons {
    /// Notes one.
    pub fn note(&self, container: &str, reason: &str) {
        let (known, order) = &mut *self.0.lock();
        if known.insert(container.to_owned(), reason.to_owned()).is_none() {
            order.push_back(container.to_owned());
        }
        while order.len() > REMEMBERED {
            let Some(oldest) = order.pop_front() else { break };
            known.remove(&oldest);
        }
    }

    /// Why this one is where it is, if that is still known.
    pub fn of(&self, container: &str) -> Option<String> {
        self.0.lock().0.get(container).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let reasons = Reasons::default();
        for number in 0..=REMEMBERED {
            reasons.note(&number.to_string(), "it fits");
        }
        reasons.note("1", "it was moved");
        assert_eq!(reasons.of("0"), None);
        assert_eq!(reasons.of("1").as_deref(), Some("it was moved"));
        let (known, order) = &*reasons.0.lock();
        assert_eq!((known.len(), order.len()), (REMEMBERED, REMEMBERED));
    }
}
