//! How many containers moved, and how long it took. Breaks no rule; says whether a round shows much.

use std::collections::BTreeMap;

use crate::torture::history::{Change, Entry, Millis, What};

/// The moves of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// From an engine's fault to its container made elsewhere, each; the start follows at once.
    pub after_faults: Vec<Millis>,
    /// Moves that a drain asked for.
    pub drained: usize,
    /// To the end of an old copy from its engine's return, or from when a manager was there again to
    /// see it, each.
    pub stale: Vec<Millis>,
}

/// The moves in a history.
pub fn moves(history: &[Entry]) -> Moves {
    let mut all = Moves::default();
    let (mut away, mut back) = (BTreeMap::new(), BTreeMap::new());
    let mut shaken = 0;
    let mut newest: BTreeMap<String, (u8, String)> = BTreeMap::new();
    for entry in history {
        match &entry.what {
            What::Out(engine) => {
                away.entry(*engine).or_insert(entry.at);
            }
            What::Back(engine) => {
                away.remove(engine);
                back.insert(*engine, entry.at);
            }
            What::Shaken => shaken = entry.at,
            What::Event(event) => {
                let now = (event.engine, event.id.clone());
                let of = newest.get(&event.slot).cloned();
                match (&event.change, of) {
                    (Change::Created, Some((from, _))) if from != event.engine => {
                        match away.get(&from) {
                            Some(since) => all.after_faults.push(entry.at - since),
                            None => all.drained += 1,
                        }
                        newest.insert(event.slot.clone(), now);
                    }
                    (Change::Created, _) => {
                        newest.insert(event.slot.clone(), now);
                    }
                    (Change::Destroyed, Some(of)) if of == now => {
                        newest.remove(&event.slot);
                    }
                    (Change::Died, Some(of)) if of.0 != now.0 => {
                        let since =
                            back.get(&event.engine).copied().unwrap_or(entry.at).max(shaken);
                        all.stale.push(entry.at.saturating_sub(since));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::planted::{entry, event};
    use super::*;
    use Change::{Created, Destroyed, Died};

    #[test]
    fn moves_are_counted_by_their_cause() {
        let history = [
            event(100, 1, "a", Created),
            entry(1_000, What::Out(1)),
            event(6_000, 2, "b", Created),
            entry(7_000, What::Back(1)),
            event(8_500, 1, "a", Died),
            event(8_600, 1, "a", Destroyed),
            event(9_000, 3, "c", Created),
            event(9_500, 3, "c", Destroyed),
            event(9_900, 1, "d", Created),
        ];
        let expected = Moves { after_faults: vec![5_000], drained: 1, stale: vec![1_500] };
        assert_eq!(moves(&history), expected);
    }
}
