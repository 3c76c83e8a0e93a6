//! Changes that are made together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use swarm_kv::Change;
use swarm_store::{
    Command, Done, LARGEST_TRANSACTION, LARGEST_VALUE, MOST_CHANGES, Machine, Refusal, Transaction,
    When,
};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(machine: &mut Machine, key: &str, lease: Option<&str>) {
    let (key, lease) = (key.to_owned(), lease.map(str::to_owned));
    let put = Command::Put { key, value: bytes("old"), when: When::Always, lease, guard: None };
    machine.apply(put, 0).unwrap();
}

fn keys(machine: &Machine) -> Vec<(String, u64)> {
    machine.list("d").into_iter().map(|item| (item.key, item.revision.0)).collect()
}

#[test]
fn all_is_done_at_one_revision_and_watchers_see_all_of_it() {
    let mut machine = Machine::new();
    put(&mut machine, "d/gone", None);
    put(&mut machine, "d/kept", None);
    let transaction = Transaction {
        expects: vec![("d/new".into(), When::Absent), ("d/kept".into(), When::At(2))],
        puts: vec![("d/new".into(), bytes("1")), ("d/kept".into(), bytes("2"))],
        deletes: vec!["d/gone".into(), "d/never".into()],
    };
    assert_eq!(machine.apply(Command::Transact(transaction), 0), Ok(Done::Written(3)));
    assert_eq!(keys(&machine), [("d/kept".to_owned(), 3), ("d/new".to_owned(), 3)]);
    let followed = machine.follow("d", Some(2));
    assert_eq!((followed.changes.len(), followed.revision), (3, 3));
    assert!(followed.changes.contains(&Change::Deleted("d/gone".into())));
    assert!(machine.follow("d", Some(3)).changes.is_empty());
}

#[test]
fn nothing_is_done_where_one_part_cannot_be() {
    let mut machine = Machine::new();
    put(&mut machine, "d/a", None);
    let large = Bytes::from(vec![0; LARGEST_VALUE + 1]);
    let full = Bytes::from(vec![0; LARGEST_VALUE]);
    let with = |change: &dyn Fn(&mut Transaction)| {
        let mut transaction =
            Transaction { puts: vec![("d/b".into(), bytes("1"))], ..Transaction::default() };
        change(&mut transaction);
        Command::Transact(transaction)
    };
    let conflict = with(&|t| t.expects.push(("d/a".into(), When::Absent)));
    let stale = with(&|t| t.expects.push(("d/a".into(), When::At(7))));
    let too_large = with(&|t| t.puts.push(("d/c".into(), large.clone())));
    let no_key = with(&|t| t.puts.push((String::new(), bytes("1"))));
    let twice = with(&|t| t.deletes.push("d/b".into()));
    let many = with(&|t| t.deletes = (0..MOST_CHANGES).map(|n| n.to_string()).collect());
    let heavy = with(&|t| t.puts.extend((0..2).map(|n| (format!("d/{n}"), full.clone()))));
    let bound = |outcome: &Result<Done, Refusal>, words: &str| matches!(outcome, Err(Refusal::Bound(reason)) if reason.contains(words));
    for command in [conflict, stale] {
        assert_eq!(machine.apply(command, 0), Err(Refusal::Conflict("d/a".into())));
    }
    let outcome = machine.apply(too_large, 0);
    assert!(matches!(outcome, Err(Refusal::TooLarge { .. })), "{outcome:?}");
    assert!(bound(&machine.apply(no_key, 0), "a key has 1 to"));
    assert!(bound(&machine.apply(twice, 0), "names d/b twice"));
    assert!(bound(&machine.apply(many, 0), "at most 4096 parts, this one 4097"));
    let limit = LARGEST_TRANSACTION >> 20;
    assert!(bound(&machine.apply(heavy, 0), &format!("has at most {limit} MiB")));
    assert_eq!((keys(&machine), machine.revision()), (vec![("d/a".to_owned(), 1)], 1));
}

#[test]
fn a_key_that_a_transaction_writes_outlives_the_lease_it_had() {
    let mut machine = Machine::new();
    machine.apply(Command::Grant { lease: "l".into(), ttl: 1000 }, 0).unwrap();
    put(&mut machine, "d/a", Some("l"));
    let puts = vec![("d/a".into(), bytes("1"))];
    machine.apply(Command::Transact(Transaction { puts, ..Transaction::default() }), 0).unwrap();
    machine.apply(Command::Revoke { lease: "l".into() }, 0).unwrap();
    assert_eq!(keys(&machine).len(), 1);
}

#[test]
fn what_is_shown_of_a_transaction_is_no_value() {
    let puts = vec![("d/a".into(), bytes("secret"))];
    let command = Command::Transact(Transaction { puts, ..Transaction::default() });
    assert_eq!(format!("{command:?}"), "1 writes and 0 deletions under 0 conditions");
    assert!(command.weight() > 64 + "secret".len());
}

type Step = (Vec<(u8, bool)>, Vec<u8>, Vec<u8>);

proptest! {
    /// Against a map of keys to values: all or nothing, and the accounts of bytes hold.
    #[test]
    fn a_transaction_is_whole(steps in prop::collection::vec(step(), 1..30)) {
        let mut machine = Machine::new();
        let mut model: BTreeMap<String, Bytes> = BTreeMap::new();
        for (number, (expects, puts, deletes)) in steps.into_iter().enumerate() {
            let key = |n: u8| format!("d/{n}");
            let value = bytes(&number.to_string());
            let when = |there: bool, key: &str| match (there, machine.get(key)) {
                (true, Some(item)) => When::At(item.revision.0),
                (true, None) => When::At(1),
                (false, _) => When::Absent,
            };
            let expects: Vec<_> = expects.into_iter().map(|(n, t)| (key(n), when(t, &key(n)))).collect();
            let holds = expects.iter().all(|(key, when)| match when {
                When::Absent => !model.contains_key(key),
                _ => model.contains_key(key),
            });
            let transaction = Transaction {
                expects,
                puts: puts.iter().map(|n| (key(*n), value.clone())).collect(),
                deletes: deletes.iter().map(|n| key(*n)).collect(),
            };
            let before = machine.revision();
            let outcome = machine.apply(Command::Transact(transaction), 0);
            let mut named: Vec<_> = puts.iter().chain(&deletes).collect();
            named.sort_unstable();
            let distinct = named.windows(2).all(|two| two[0] != two[1]);
            prop_assert_eq!(outcome.is_ok(), holds && distinct, "{:?}", outcome);
            if outcome.is_ok() {
                model.extend(puts.iter().map(|n| (key(*n), value.clone())));
                model.retain(|known, _| !deletes.iter().any(|n| key(*n) == *known));
                prop_assert!(machine.revision() <= before + 1);
            } else {
                prop_assert_eq!(machine.revision(), before);
            }
            let kept = machine.list("d").into_iter().map(|item| (item.key, item.value)).collect();
            prop_assert_eq!(&model, &kept);
            let bytes: usize = model.iter().map(|(key, value)| key.len() + value.len()).sum();
            prop_assert_eq!(machine.bytes(), bytes);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(0_u8..6, 0..4);
    (prop::collection::vec((0_u8..6, any::<bool>()), 0..3), keys(), keys())
}

#[test]
fn all_keys_below_a_prefix_are_followed_however_deep() {
    let mut machine = Machine::new();
    let put = |key: &str| (key.to_owned(), Bytes::from_static(b"x"));
    let puts = vec![put("d/a/1"), put("d/b"), put("da"), put("e/1")];
    let first = Transaction { puts, ..Transaction::default() };
    machine.apply(Command::Transact(first), 0).unwrap();
    let whole = machine.follow_all("d/", None);
    assert!(matches!(&whole.changes[..], [Change::Whole(items)] if items.len() == 2));
    let second = Transaction {
        puts: vec![put("d/a/2"), put("e/2")],
        deletes: vec!["d/b".to_owned()],
        ..Transaction::default()
    };
    machine.apply(Command::Transact(second), 0).unwrap();
    let later = machine.follow_all("d/", Some(whole.revision));
    let keys = later.changes.iter().map(|change| match change {
        Change::Put(item) => item.key.as_str(),
        Change::Deleted(key) => key,
        Change::Whole(_) => "everything",
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["d/a/2", "d/b"]);
}
