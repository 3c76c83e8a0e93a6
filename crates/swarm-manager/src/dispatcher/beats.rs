//! Which nodes are heard of. Pure: the time is an argument.
//!
//! Invariants: a node is called silent once, until it is heard again; time in which this process stood
//! still, or was slow, counts against nobody; a new leader calls nobody silent while most are still on their
//! way, or one after the other is coming.

use std::collections::HashMap;
use std::time::Duration;

use swarm_model::Id;
use tokio::time::Instant;

/// So many beats may be missed.
const MISSED: u32 = 3;

/// How long a new leader waits for nodes that have not come yet, in beats, and at least: they have to
/// notice that the leader before is gone (at most 1.5 s after it is, of which the election took at
/// least 0.3 s), and to find this one (some 0.1 s). The rest is for machines that are loaded.
const COMING: f64 = 2.0;
const COMING_LEAST: Duration = Duration::from_secs(2);

/// While less than half of them came, so many beats: it may be this manager that is not reached.
const MOST_COMING: u32 = 10;

/// While one that was awaited came within so much of a beat, others are behind it: a leader that takes in
/// thousands of nodes is busy with that for longer than they needed to come.
const STREAM: f64 = 0.5;

/// A look that is later than this part of the time between two tells that this process is slow; less is
/// what any timer is late by.
const PUNCTUAL: u32 = 5;

/// A node that took leave may be back after this many beats, and at least: its daemon is being
/// restarted, and what it runs goes on.
const LEAVE: u32 = 10;
const LEAVE_LEAST: Duration = Duration::from_secs(10);

/// The looks at all nodes in a beat; each costs as much as counting the nodes.
const LOOKS: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was heard of.
    Heard,
    /// It was not heard of by this leader yet.
    Awaited,
    /// It took leave.
    Left,
    /// It is silent, and that was said.
    Silent,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    state: State,
    last: Instant,
    due: Instant,
}

/// All nodes that are expected to be heard of.
#[derive(Debug)]
pub struct Beats {
    period: Duration,
    entries: HashMap<Id, Entry>,
    looked: Option<Instant>,
    /// When this leader began, and how many it waited for.
    begun: Option<(Instant, usize)>,
    /// When one of those came last.
    came: Option<Instant>,
}

/// A node that is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// Which.
    pub node: Id,
    /// For the node's status.
    pub message: String,
}

impl Beats {
    /// Knows no node.
    pub fn new(period: Duration) -> Self {
        Self { period, entries: HashMap::new(), looked: None, begun: None, came: None }
    }

    /// How often a node is to be heard of.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// From now on another period counts.
    pub fn set_period(&mut self, period: Duration) {
        self.period = period;
    }

    /// How often [`Beats::look`] is called.
    pub fn every(&self) -> Duration {
        (self.period / LOOKS).clamp(Duration::from_millis(10), Duration::from_millis(250))
    }

    /// A leadership begins: nobody was heard of yet. Those who `left` told the leader before.
    pub fn begin(
        &mut self,
        nodes: impl Iterator<Item = Id>,
        left: impl Iterator<Item = Id>,
        now: Instant,
    ) {
        self.entries.clear();
        let due = now + self.period.mul_f64(COMING).max(COMING_LEAST);
        self.entries
            .extend(nodes.map(|node| (node, Entry { state: State::Awaited, last: now, due })));
        self.looked = Some(now);
        self.begun = Some((now, self.entries.len()));
        self.came = None;
        let entry = Entry { state: State::Left, last: now, due: now + self.leave() };
        self.entries.extend(left.map(|node| (node, entry)));
    }

    /// A node that joined should come soon.
    pub fn expect(&mut self, node: &Id, now: Instant) {
        let entry = Entry { state: State::Awaited, last: now, due: now + self.leave() };
        self.entries.entry(node.clone()).or_insert(entry);
    }

    /// A node said something.
    pub fn heard(&mut self, node: &Id, now: Instant) {
        // A little longer than the beats themselves, which are not delivered to the millisecond.
        let due = now + self.period * MISSED + self.period / 10;
        let entry = Entry { state: State::Heard, last: now, due };
        match self.entries.get_mut(node) {
            Some(known) => {
                if known.state == State::Awaited {
                    self.came = Some(now);
                }
                *known = entry;
            }
            None => {
                self.entries.insert(node.clone(), entry);
            }
        }
    }

    /// A node took leave.
    pub fn left(&mut self, node: &Id, now: Instant) {
        let leave = self.leave();
        if let Some(entry) = self.entries.get_mut(node) {
            *entry = Entry { state: State::Left, last: now, due: now + leave };
        }
    }

    /// How long a daemon's restart may take.
    fn leave(&self) -> Duration {
        (self.period * LEAVE).max(LEAVE_LEAST)
    }

    /// A node is no more.
    pub fn forget(&mut self, node: &str) {
        self.entries.remove(node);
    }

    /// Whether it was said that the node is silent, and it still is.
    pub fn is_silent(&self, node: &str) -> bool {
        self.entries.get(node).is_some_and(|entry| entry.state == State::Silent)
    }

    /// Those that are silent since now.
    pub fn look(&mut self, now: Instant) -> Vec<Silent> {
        self.forgive(now);
        let waits = self.begun.is_some_and(|(begun, count)| {
            let coming = self.entries.values().filter(|entry| entry.state == State::Awaited);
            let is_long = now < begun + self.period * MOST_COMING;
            let is_stream = self.came.is_some_and(|came| now < came + self.period.mul_f64(STREAM));
            is_long && (is_stream || 2 * coming.count() > count)
        });
        let mut silent = Vec::new();
        for (node, entry) in &mut self.entries {
            if entry.due > now || (waits && entry.state == State::Awaited) {
                continue;
            }
            let message = match entry.state {
                State::Silent => continue,
                // Docker's words.
                State::Awaited => "heartbeat failure for node in \"unknown\" state".to_owned(),
                State::Left => "it took leave and is not back".to_owned(),
                State::Heard => {
                    let seconds = now.duration_since(entry.last).as_secs_f64();
                    format!("heartbeat failure: nothing heard for {seconds:.1} s")
                }
            };
            entry.state = State::Silent;
            silent.push(Silent { node: node.clone(), message });
        }
        silent
    }

    /// When looks come late, this process stood still (or its machine did) or is slow, and what nodes said
    /// meanwhile was not read yet.
    fn forgive(&mut self, now: Instant) {
        let Some(looked) = self.looked.replace(now) else { return };
        let late = now.duration_since(looked).saturating_sub(self.every());
        if late < self.every() / PUNCTUAL {
            return;
        }
        for entry in self.entries.values_mut() {
            entry.due += late;
        }
        if let Some((begun, _)) = &mut self.begun {
            *begun += late;
        }
        if let Some(came) = &mut self.came {
            *came += late;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::empty;

    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ids<const N: usize>(names: [&str; N]) -> [Id; N] {
        names.map(Id::from)
    }

    /// Looks as often as is due, until `until`. Who was called silent, and after how long.
    fn look(beats: &mut Beats, begin: Instant, from: f64, until: f64) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        let mut at = from;
        while at <= until {
            let now = begin + Duration::from_secs_f64(at);
            found.extend(beats.look(now).into_iter().map(|silent| (silent.node.to_string(), at)));
            at += beats.every().as_secs_f64();
        }
        found
    }

    #[test]
    fn a_node_that_misses_three_beats_is_silent_once() {
        let (begin, [a]) = (Instant::now(), ids(["a"]));
        let mut beats = Beats::new(SECOND);
        beats.begin(empty(), empty(), begin);
        beats.heard(&a, begin);
        let found = look(&mut beats, begin, 0.0, 20.0);
        assert_eq!(found.len(), 1);
        assert!((3.0..3.3).contains(&found[0].1), "{found:?}");
        assert!(beats.is_silent(&a));
        beats.heard(&a, begin + 21 * SECOND);
        assert!(!beats.is_silent(&a));
    }

    #[test]
    fn a_manager_that_stood_still_calls_nobody_silent() {
        let (begin, [a]) = (Instant::now(), ids(["a"]));
        let mut beats = Beats::new(SECOND);
        beats.begin(empty(), empty(), begin);
        beats.heard(&a, begin);
        assert_eq!(look(&mut beats, begin, 0.0, 2.0), []);
        // Nothing was looked at for a minute, and the first look finds nothing wrong.
        assert_eq!(look(&mut beats, begin, 62.0, 62.9), []);
        assert_eq!(look(&mut beats, begin, 62.95, 65.0).len(), 1);
    }

    #[test]
    fn a_manager_that_is_slow_calls_nobody_silent_for_what_it_has_not_read() {
        let (begin, [a]) = (Instant::now(), ids(["a"]));
        let mut beats = Beats::new(SECOND);
        beats.begin(empty(), empty(), begin);
        // All takes nearly twice as long here: a look that is due, and what a node said.
        let slow = beats.every() * 9 / 5;
        let (mut found, mut now) = (Vec::new(), begin);
        for _ in 0..20 {
            beats.heard(&a, now);
            let until = now + SECOND * 18 / 5;
            while now < until {
                now += slow;
                found.extend(beats.look(now));
            }
        }
        assert_eq!(found, []);
        // In earnest it is silent in twice the time.
        let last = now;
        while found.is_empty() {
            now += slow;
            found.extend(beats.look(now));
        }
        assert!((now - last).as_secs_f64() < 3.0, "{:?}", now - last);
    }

    #[test]
    fn a_new_leader_that_is_still_taking_nodes_in_waits_for_the_rest() {
        let begin = Instant::now();
        let mut beats = Beats::new(SECOND);
        let nodes: Vec<Id> = (0..1_000_u128).map(Id::from_bits).collect();
        beats.begin(nodes.iter().cloned(), empty(), begin);
        // So fast as it can: 200 a second. One is dead.
        let mut found = Vec::new();
        for (number, node) in (1..).zip(&nodes[1..]) {
            let now = begin + Duration::from_millis(5 * number);
            beats.heard(node, now);
            if number % 10 == 0 {
                // Those that have come go on.
                let came = nodes[1..].iter().take(usize::try_from(number).unwrap());
                came.for_each(|node| beats.heard(node, now));
                found.extend(beats.look(now));
            }
        }
        assert_eq!(found, [], "while they come");
        let rest = look(&mut beats, begin, 5.0, 5.6);
        assert_eq!(rest.len(), 1, "{rest:?}");
    }

    #[test]
    fn a_new_leader_waits_for_those_who_are_on_their_way() {
        let (begin, all) = (Instant::now(), ids(["a", "b", "c"]));
        let mut beats = Beats::new(SECOND);
        // Two of three are back: the third is down soon.
        beats.begin(all.iter().cloned(), empty(), begin);
        for node in &all[..2] {
            beats.heard(node, begin + SECOND);
        }
        let found = look(&mut beats, begin, 0.0, 3.9);
        assert_eq!(found.len(), 1);
        assert!((1.95..2.2).contains(&found[0].1), "{found:?}");
        // Nobody is back: that says more of this manager than of them.
        beats.begin(all.iter().cloned(), empty(), begin);
        assert_eq!(look(&mut beats, begin, 0.0, 9.9), []);
        assert_eq!(look(&mut beats, begin, 9.95, 10.2).len(), 3);
    }

    #[test]
    fn nodes_that_find_a_new_leader_on_a_loaded_machine_are_not_called_silent() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut seconds = |range| Duration::from_millis(rng.random_range(range));
        for _ in 0..200 {
            let death = Instant::now();
            // Five times what an election takes at best, and ten times the way to the new leader.
            let begin = death + seconds(400..1_500);
            let mut beats = Beats::new(SECOND);
            let nodes: Vec<Id> = (0..20_u128).map(Id::from_bits).collect();
            beats.begin(nodes.iter().cloned(), empty(), begin);
            // One is dead, the others notice within 1.5 s.
            let mut coming: Vec<_> = nodes[1..]
                .iter()
                .map(|node| ((death + seconds(1_000..1_500)).max(begin) + seconds(20..900), node))
                .collect();
            coming.sort();
            let mut found = Vec::new();
            let mut last = begin;
            for (at, node) in &coming {
                while last < *at {
                    found.extend(beats.look(last));
                    last += beats.every();
                }
                beats.heard(node, *at);
            }
            assert_eq!(found, [], "before all are back");
            // Half a beat after the last one that came.
            let rest = look(&mut beats, begin, (last - begin).as_secs_f64(), 2.7);
            assert_eq!(rest.len(), 1, "and then the dead one: {rest:?}");
        }
    }

    #[test]
    fn one_that_took_leave_has_longer_to_come_back() {
        let (begin, [a]) = (Instant::now(), ids(["a"]));
        let mut beats = Beats::new(SECOND);
        beats.begin(empty(), empty(), begin);
        beats.heard(&a, begin);
        beats.left(&a, begin);
        assert_eq!(look(&mut beats, begin, 0.0, 9.9), []);
        assert_eq!(look(&mut beats, begin, 9.95, 10.1).len(), 1);
    }
    #[test]
    fn one_that_took_leave_has_longer_under_the_next_leader_too() {
        let (begin, [a, b]) = (Instant::now(), ids(["a", "b"]));
        let mut beats = Beats::new(SECOND);
        beats.begin([a.clone()].into_iter(), [b.clone()].into_iter(), begin);
        beats.heard(&a, begin + 9 * SECOND);
        let found = look(&mut beats, begin, 0.0, 11.0);
        assert_eq!(found.len(), 1);
        assert!(found[0].0 == "b" && (9.95..10.2).contains(&found[0].1), "{found:?}");
        assert!(beats.is_silent(&b));
    }
}
