//! No change outside of the fence: no engine is changed by a manager after another one became the
//! primary, by that one's own word; a manager that was paused and wakes makes none.
//!
//! A change that was on its way over a cut cable arrives when the cable is mended ([`LATEST`]).

use std::collections::BTreeMap;

use super::Breach;
use crate::torture::history::{Entry, Millis, What};

/// How late the kernel may still deliver what was sent into a cut: its pauses double.
const LATEST: Millis = 20_000;

pub(super) fn look(history: &[Entry]) -> Option<Breach> {
    let mut primary = None;
    let (mut away, mut back) = (BTreeMap::new(), BTreeMap::new());
    for entry in history {
        match &entry.what {
            What::Out(engine) => {
                away.insert(*engine, entry.at);
            }
            What::Back(engine) => {
                away.remove(engine);
                back.insert(*engine, entry.at);
            }
            What::Primary(manager) => primary = Some((*manager, entry.at)),
            What::Asked(engine, manager, words) => {
                let late = away.contains_key(engine)
                    || back.get(engine).is_some_and(|back| entry.at < back + LATEST);
                if let Some((leads, since)) = primary.filter(|(leads, _)| leads != manager)
                    && !late
                {
                    let words = format!(
                        "manager {} asks host-{engine} to {words}; manager {} leads since {since} ms",
                        manager + 1,
                        leads + 1
                    );
                    let rule = "no change outside of the fence";
                    return Some(Breach { at: entry.at, rule, words });
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::planted::entry;
    use super::*;

    fn asked(at: Millis, manager: usize) -> Entry {
        entry(at, What::Asked(1, manager, "POST /containers/a/start".to_owned()))
    }

    #[test]
    fn a_change_by_one_that_leads_no_more_is_noticed() {
        let first = [entry(0, What::Primary(0)), asked(10, 0), entry(20, What::Primary(1))];
        let then = |more: &[Entry]| look(&[&first[..], more].concat());
        assert_eq!(then(&[asked(30, 1)]), None);
        assert_eq!(then(&[asked(30, 1), asked(31, 0)]).unwrap().at, 31);
        // It leads again.
        assert_eq!(then(&[entry(30, What::Primary(0)), asked(31, 0)]), None);
    }

    #[test]
    fn what_was_on_its_way_over_a_cut_cable_may_arrive_late() {
        let late = |at| {
            let cut = [entry(15, What::Out(1)), entry(20, What::Primary(1))];
            look(&[&cut[..], &[entry(50, What::Back(1)), asked(at, 0)]].concat())
        };
        assert_eq!(late(60), None);
        assert!(late(50 + LATEST).is_some());
    }
}
