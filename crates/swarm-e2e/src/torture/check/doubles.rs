//! No two copies run: never two running containers of one name on engines that the managers reach.
//!
//! Two are excused while one's engine was away since the older one was started: nobody could stop
//! it there. Once both engines are back, and a manager can act, it must be noticed and stopped
//! within [`NOTICE`].

use std::collections::{BTreeMap, BTreeSet};

use super::Breach;
use crate::torture::history::{Change, Entry, Millis, What};

/// To notice an old copy (a connection, a reading of the engine, a plan) and to stop it, on a
/// machine that does much else.
pub const NOTICE: Millis = 10_000;
/// For another manager to act when one does not: the lock's time to live (4 s), and an election or
/// two of the store and of the primary.
pub const FAILOVER: Millis = 8_000;

/// A container that runs.
#[derive(Debug, Clone)]
struct Running {
    engine: u8,
    name: String,
    since: Millis,
}

/// What is so at one moment of the history.
#[derive(Debug, Default)]
struct Moment {
    running: BTreeMap<String, Running>,
    /// Since when an engine is away, for each that is.
    away: BTreeMap<u8, Millis>,
    /// When an engine was back.
    back: BTreeMap<u8, Millis>,
    /// When the managers were last shaken.
    shaken: Option<Millis>,
    /// Since when there are two, for each name.
    two: BTreeMap<String, Millis>,
}

pub(super) fn look(history: &[Entry]) -> Option<Breach> {
    let mut moment = Moment::default();
    for entry in history {
        // What was so until now is judged before it changes.
        let words = moment.overdue(entry.at);
        moment.take(entry);
        if let Some(words) = words.or_else(|| moment.unexcused(entry.at)) {
            return Some(Breach { at: entry.at, rule: "no two copies run", words });
        }
    }
    None
}

/// What runs in the end, as the events tell: engines and ids.
pub fn running(history: &[Entry]) -> BTreeSet<(u8, String)> {
    let mut moment = Moment::default();
    for entry in history {
        moment.take(entry);
    }
    moment.running.into_iter().map(|(id, one)| (one.engine, id)).collect()
}

impl Moment {
    fn take(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.what {
            What::Out(engine) => {
                self.away.entry(*engine).or_insert(at);
            }
            What::Back(engine) => {
                self.away.remove(engine);
                self.back.insert(*engine, at);
            }
            What::Off(engine) => self.running.retain(|_, one| one.engine != *engine),
            What::Shaken => self.shaken = Some(at),
            What::Event(event) => match event.change {
                Change::Started => {
                    let (engine, name) = (event.engine, event.name.clone());
                    self.running.insert(event.id.clone(), Running { engine, name, since: at });
                }
                Change::Died | Change::Destroyed => {
                    self.running.remove(&event.id);
                }
                Change::Renamed => {
                    if let Some(one) = self.running.get_mut(&event.id) {
                        one.name.clone_from(&event.name);
                    }
                }
                Change::Created => {}
            },
            _ => {}
        }
        let pairs = self.pairs();
        self.two.retain(|name, _| pairs.iter().any(|(a, _)| a.name == *name));
        for (a, _) in pairs {
            self.two.entry(a.name).or_insert(at);
        }
    }

    /// All that run beside another of the same name; the older one first.
    fn pairs(&self) -> Vec<(Running, Running)> {
        let mut all: Vec<&Running> = self.running.values().collect();
        all.sort_by_key(|one| one.since);
        let mut pairs = Vec::new();
        for (i, a) in all.iter().enumerate() {
            let same = all[i + 1..].iter().filter(|b| b.name == a.name);
            pairs.extend(same.map(|b| ((*a).clone(), (*b).clone())));
        }
        pairs
    }

    /// Two of which neither engine was away since the older one was started.
    fn unexcused(&self, at: Millis) -> Option<String> {
        let was_away = |one: &Running, since: Millis| {
            self.away.contains_key(&one.engine)
                || self.back.get(&one.engine).is_some_and(|back| *back >= since)
        };
        let (a, b) = self
            .pairs()
            .into_iter()
            .find(|(a, b)| !was_away(a, a.since) && !was_away(b, a.since))?;
        Some(format!(
            "{} runs on host-{} and host-{} at {at} ms, and both were there all the time",
            a.name, a.engine, b.engine
        ))
    }

    /// Two that run for longer than it takes to notice and to stop one.
    fn overdue(&self, at: Millis) -> Option<String> {
        self.pairs().into_iter().find_map(|(a, b)| {
            if [&a, &b].iter().any(|one| self.away.contains_key(&one.engine)) {
                return None;
            }
            let since = [
                self.two.get(&a.name).copied(),
                self.back.get(&a.engine).copied(),
                self.back.get(&b.engine).copied(),
                self.shaken.map(|shaken| shaken + FAILOVER),
            ];
            let since = since.into_iter().flatten().max()?;
            (at > since + NOTICE).then(|| {
                format!(
                    "{} runs on host-{} and host-{}, which nothing excuses since {since} ms",
                    a.name, a.engine, b.engine
                )
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::planted::{entry, event, named};
    use super::*;
    use Change::{Died, Renamed, Started};

    /// A cut of host 1 from 1 s to 9 s, and what is made on host 2 meanwhile.
    fn cut(then: &[Entry]) -> Vec<Entry> {
        let mut all = vec![
            event(100, 1, "a", Started),
            entry(1_000, What::Out(1)),
            event(6_000, 2, "b", Started),
            entry(9_000, What::Back(1)),
        ];
        all.extend_from_slice(then);
        all
    }

    #[test]
    fn two_where_nobody_was_away_are_noticed_at_once() {
        let breach = look(&[event(100, 1, "a", Started), event(6_000, 2, "b", Started)]).unwrap();
        assert_eq!((breach.at, breach.rule), (6_000, "no two copies run"));
        // Away before, and back before the older one was started, is no excuse.
        let early = [entry(10, What::Out(1)), entry(20, What::Back(1))];
        let late = [event(100, 1, "a", Started), event(6_000, 2, "b", Started)];
        assert!(look(&[&early[..], &late[..]].concat()).is_some());
        // By a rename too.
        let renamed = [
            event(100, 1, "a", Started),
            named(200, 2, "b", "s0-next", Started),
            event(300, 2, "b", Renamed),
        ];
        assert_eq!(look(&renamed).unwrap().at, 300);
    }

    #[test]
    fn a_stale_copy_has_its_time_to_go_and_no_more() {
        assert_eq!(look(&cut(&[event(12_000, 1, "a", Died)])), None);
        let late = cut(&[event(9_000 + NOTICE + 1, 1, "a", Died)]);
        assert_eq!(look(&late).unwrap().at, 9_000 + NOTICE + 1);
        // While it is away nobody can stop it, and while no manager can act nobody does.
        let long = [&cut(&[])[..3], &[entry(99_000, What::Back(1)), event(99_500, 1, "a", Died)]];
        assert_eq!(look(&long.concat()), None);
        let at = 9_500 + FAILOVER + NOTICE;
        let shaken = |at| cut(&[entry(9_500, What::Shaken), event(at, 1, "a", Died)]);
        assert_eq!(look(&shaken(at)), None);
        assert!(look(&shaken(at + 1)).is_some());
    }

    #[test]
    fn a_power_cut_ends_what_ran_and_a_boot_excuses_what_the_engine_starts() {
        let mut all = vec![
            event(100, 1, "a", Started),
            entry(1_000, What::Out(1)),
            entry(1_300, What::Off(1)),
            event(6_000, 2, "b", Started),
            event(8_000, 1, "a", Started),
            entry(8_500, What::Back(1)),
            event(9_500, 1, "a", Died),
        ];
        assert_eq!(look(&all), None);
        assert_eq!(running(&all), BTreeSet::from([(2, "b".to_owned())]));
        all.insert(4, entry(6_500, What::Back(1)));
        all.remove(6);
        all[6] = event(6_500 + 99_000, 1, "a", Died);
        assert!(look(&all).is_some());
    }
}
