//! The machine against a model that is too simple to be wrong, over random commands; and what
//! must hold besides: replays and snapshots give the same state, watchers end up with the truth.
#![allow(clippy::panic)]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use swarm_kv::{Change, Item, Revision};
use swarm_store::{
    Command, Done, Due, Loader, Machine, Outcome, Pinned, Refusal, When, lease_name,
};

const KEYS: [&str; 6] = ["a", "d/a", "d/b", "d/b/c", "d/b-c", "dd/a"];
const LEASES: [&str; 3] = [
    "00000000000000000000000000000001",
    "00000000000000000000000000000002",
    "a name that is no number",
];

/// A key's value, revision and lease.
type Plain = (Bytes, u64, Option<String>);

/// The model: a map, a list of leases, a counter.
#[derive(Default)]
struct Model {
    items: BTreeMap<String, Plain>,
    leases: BTreeMap<String, u64>,
    revision: u64,
}

impl Model {
    fn apply(&mut self, command: &Command) -> Outcome {
        let at = |items: &BTreeMap<String, Plain>, key: &str| items.get(key).map(|kept| kept.1);
        let guarded = |guard: &Option<Pinned>| match guard {
            Some(pinned) if at(&self.items, &pinned.key) != Some(pinned.revision) => {
                Err(Refusal::Fenced(pinned.key.clone()))
            }
            _ => Ok(()),
        };
        let expected = |key: &str, when: When| {
            let met = match when {
                When::Always => true,
                When::Absent => at(&self.items, key).is_none(),
                When::At(revision) => at(&self.items, key) == Some(revision),
            };
            if met { Ok(()) } else { Err(Refusal::Conflict(key.to_owned())) }
        };
        match command {
            Command::Put { key, value, when, lease, guard } => {
                guarded(guard)?;
                if let Some(lease) = lease.as_ref().filter(|l| !self.leases.contains_key(*l)) {
                    return Err(Refusal::LeaseLost(lease.clone()));
                }
                expected(key, *when)?;
                self.revision += 1;
                self.items.insert(key.clone(), (value.clone(), self.revision, lease.clone()));
                Ok(Done::Written(self.revision))
            }
            Command::Delete { key, when, guard } => {
                guarded(guard)?;
                expected(key, *when)?;
                self.revision += u64::from(self.items.remove(key).is_some());
                Ok(Done::Deleted)
            }
            Command::Grant { lease, .. } => {
                if self.leases.contains_key(lease) {
                    return Err(Refusal::Conflict(lease.clone()));
                }
                self.leases.insert(lease.clone(), 0);
                Ok(Done::Leased)
            }
            Command::Transact(_) => panic!("transactions have a model of their own"),
            Command::Renew { lease } => match self.leases.get_mut(lease) {
                Some(renewals) => {
                    *renewals += 1;
                    Ok(Done::Leased)
                }
                None => Err(Refusal::LeaseLost(lease.clone())),
            },
            Command::Revoke { lease } => Ok(Done::Ended(u64::from(self.end(lease)))),
            Command::Expire { due } => {
                let due = due.iter().filter(|due| {
                    self.leases.get(&due.lease) == Some(&due.renewals) && self.end(&due.lease)
                });
                Ok(Done::Ended(due.count() as u64))
            }
            Command::RenewAll { leases } => {
                let mut over = Vec::new();
                for lease in leases {
                    match self.leases.get_mut(&lease_name(*lease)) {
                        Some(renewals) => *renewals += 1,
                        None => over.push(*lease),
                    }
                }
                Ok(Done::Renewed { over })
            }
        }
    }

    fn end(&mut self, lease: &str) -> bool {
        let before = self.items.len();
        self.items.retain(|_, kept| kept.2.as_deref() != Some(lease));
        self.revision += (before - self.items.len()) as u64;
        self.leases.remove(lease).is_some()
    }

    fn list(&self, directory: &str) -> Vec<Item> {
        let prefix = format!("{directory}/");
        let child = |key: &str| key.strip_prefix(&*prefix).is_some_and(|name| !name.contains('/'));
        let items = self.items.iter().filter(|(key, _)| child(key));
        let item = |(key, (value, revision, _)): (&String, &Plain)| Item {
            key: key.clone(),
            value: value.clone(),
            revision: Revision(*revision),
        };
        items.map(item).collect()
    }
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(&KEYS[..]).prop_map(str::to_owned)
}

fn lease() -> impl Strategy<Value = String> {
    prop::sample::select(&LEASES[..]).prop_map(str::to_owned)
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![Just(When::Always), Just(When::Absent), (0..12_u64).prop_map(When::At)]
}

fn guard() -> impl Strategy<Value = Option<Pinned>> {
    prop::option::weighted(
        0.2,
        (key(), 0..12_u64).prop_map(|(key, revision)| Pinned { key, revision }),
    )
}

fn command() -> impl Strategy<Value = Command> {
    let value = prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let put = (key(), value, when(), prop::option::weighted(0.4, lease()), guard());
    let due = (lease(), 0..3_u64).prop_map(|(lease, renewals)| Due { lease, renewals });
    prop_oneof![
        5 => put.prop_map(|(key, value, when, lease, guard)| Command::Put {
            key, value, when, lease, guard
        }),
        2 => (key(), when(), guard()).prop_map(|(key, when, guard)| Command::Delete {
            key, when, guard
        }),
        2 => (lease(), 1..100_u64).prop_map(|(lease, ttl)| Command::Grant { lease, ttl }),
        1 => lease().prop_map(|lease| Command::Renew { lease }),
        1 => prop::collection::vec(0..4_u128, 0..4).prop_map(|leases| Command::RenewAll { leases }),
        1 => lease().prop_map(|lease| Command::Revoke { lease }),
        1 => prop::collection::vec(due, 0..3).prop_map(|due| Command::Expire { due }),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(command(), 0..60)
}

fn chunks(machine: &Machine) -> Vec<Vec<u8>> {
    machine.snapshot().chunks().collect()
}

fn loaded(chunks: &[Vec<u8>], now: u64) -> Result<Machine, TestCaseError> {
    let mut loader = Loader::new(now);
    let taken = chunks.iter().try_for_each(|chunk| loader.take(chunk));
    let machine = taken.and_then(|()| loader.finish());
    machine.map_err(|error| TestCaseError::fail(error.to_string()))
}

/// What a watcher of `d` makes of its changes.
fn tell(known: &mut BTreeMap<String, Item>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Whole(items) => {
                *known = items.into_iter().map(|item| (item.key.clone(), item)).collect();
            }
            Change::Put(item) => drop(known.insert(item.key.clone(), item)),
            Change::Deleted(key) => drop(known.remove(&key)),
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(commands in commands()) {
        let (mut machine, mut model) = (Machine::new(), Model::default());
        for (now, command) in (0_u64..).zip(commands) {
            let expected = model.apply(&command);
            prop_assert_eq!(machine.apply(command.clone(), now), expected, "{:?}", command);
            prop_assert_eq!(machine.revision(), model.revision);
            for directory in ["d", "d/b", "dd", "none"] {
                prop_assert_eq!(machine.list(directory), model.list(directory));
            }
            for key in KEYS {
                let expected = model.items.get(key).map(|kept| kept.1);
                prop_assert_eq!(machine.get(key).map(|item| item.revision.0), expected);
            }
            let bytes: usize = model.items.iter().map(|(key, kept)| key.len() + kept.0.len()).sum();
            prop_assert_eq!(machine.bytes(), bytes);
        }
    }

    #[test]
    fn the_same_commands_give_the_same_state_at_any_time(commands in commands(), shift in 0..9_u64) {
        let (mut one, mut other) = (Machine::new(), Machine::new());
        for (now, command) in (0_u64..).zip(commands) {
            prop_assert_eq!(one.apply(command.clone(), now), other.apply(command, now * shift));
        }
        prop_assert_eq!(chunks(&one), chunks(&other));
    }

    #[test]
    fn a_snapshot_goes_on_where_its_machine_was(commands in commands(), cut in 0..60_usize) {
        let mut machine = Machine::new();
        let cut = cut.min(commands.len());
        for command in &commands[..cut] {
            let _ = machine.apply(command.clone(), 0);
        }
        let mut copy = loaded(&chunks(&machine), 7)?;
        for command in &commands[cut..] {
            prop_assert_eq!(machine.apply(command.clone(), 1), copy.apply(command.clone(), 8));
        }
        prop_assert_eq!(chunks(&machine), chunks(&copy));
    }

    #[test]
    fn a_watcher_that_looks_now_and_then_knows_the_truth(
        steps in prop::collection::vec((command(), any::<bool>()), 0..60)
    ) {
        let mut machine = Machine::new();
        let (mut known, mut since) = (BTreeMap::new(), None);
        for (command, look) in steps {
            let _ = machine.apply(command, 0);
            if look {
                let followed = machine.follow("d", since);
                since = Some(followed.revision);
                tell(&mut known, followed.changes);
                prop_assert_eq!(known.values().cloned().collect::<Vec<_>>(), machine.list("d"));
            }
        }
    }

    #[test]
    fn damaged_chunks_are_refused_and_never_panic(
        commands in commands(), at in any::<prop::sample::Index>(), to in any::<u8>()
    ) {
        let mut machine = Machine::new();
        for command in commands {
            let _ = machine.apply(command, 0);
        }
        let mut chunk = chunks(&machine).remove(0);
        let place = at.index(chunk.len());
        chunk[place] = to;
        let mut loader = Loader::new(0);
        if loader.take(&chunk).is_ok() {
            let _ = loader.finish();
        }
        let mut loader = Loader::new(0);
        if loader.take(&chunk[..place]).is_ok() {
            prop_assert!(loader.finish().is_err(), "a snapshot without its end is not whole");
        }
    }
}
