//! What may not move does not: a container without the policy, or with data, stays with its engine,
//! unless a person has that engine drained.

use std::collections::{BTreeMap, BTreeSet};

use super::Breach;
use crate::torture::history::{Change, Entry, Op, What};
use crate::torture::plan::Wish;

pub(super) fn look(history: &[Entry], wishes: &[Wish]) -> Option<Breach> {
    let stays = |slot: &str| wishes.iter().any(|wish| wish.slot == slot && wish.stays());
    let mut at = BTreeMap::new();
    let mut drained = BTreeSet::new();
    for entry in history {
        match &entry.what {
            What::Drained(engine) => {
                drained.insert(*engine);
            }
            // Asked for anew, or perhaps: it may be anywhere.
            What::Heard(slot, Op::Create(_) | Op::Remove(_), ..) => {
                at.remove(slot);
            }
            What::Event(event) if stays(&event.slot) && event.change == Change::Started => {
                let before = at.insert(event.slot.clone(), event.engine);
                if let Some(before) = before.filter(|before| *before != event.engine)
                    && !drained.contains(&before)
                {
                    let words = format!(
                        "{} was on host-{before}, and is started on host-{}",
                        event.name, event.engine
                    );
                    return Some(Breach { at: entry.at, rule: "what may not move stays", words });
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::planted::{entry, event};
    use super::*;
    use crate::torture::history::Answer;

    fn wish(moves: bool, volume: bool) -> Wish {
        Wish { slot: "s0".to_owned(), moves, volume, restart: "always" }
    }

    #[test]
    fn a_move_of_what_stays_is_noticed() {
        let moved = [event(1, 1, "a", Change::Started), event(2, 2, "b", Change::Started)];
        assert_eq!(look(&moved, &[wish(false, false)]).unwrap().at, 2);
        assert!(look(&moved, &[wish(true, true)]).is_some());
        assert_eq!(look(&moved, &[wish(true, false)]), None);
    }

    #[test]
    fn a_drain_or_another_create_excuses_it() {
        let moved = |what| {
            let all = [event(1, 1, "a", Change::Started), entry(2, what)];
            [&all[..], &[event(3, 2, "b", Change::Started)]].concat()
        };
        let look = |what| look(&moved(what), &[wish(false, false)]);
        assert_eq!(look(What::Drained(1)), None);
        assert!(look(What::Drained(2)).is_some());
        let removed = Op::Remove("s0".to_owned());
        assert_eq!(look(What::Heard("s0".into(), removed, Answer::Done, String::new())), None);
    }
}
