//! The machine's bounds, its leases' time, and watchers that fall far behind.

use bytes::Bytes;
use swarm_kv::{Change, Expect, Write};
use swarm_store::{
    Command, Done, LARGEST_VALUE, LONGEST_KEY, Loader, Machine, QUOTA, Refusal, SnapshotError,
};

fn put(key: &str, value: impl Into<Bytes>) -> Command {
    Write::new(key, value).into()
}

fn grant(lease: &str, ttl: u64) -> Command {
    Command::Grant { lease: lease.to_owned(), ttl }
}

fn leased(key: &str, lease: &str) -> Command {
    let Command::Put { key, value, when, guard, .. } = put(key, "v") else { unreachable!() };
    Command::Put { key, value, when, lease: Some(lease.to_owned()), guard }
}

#[test]
fn what_is_too_much_is_refused_in_words() {
    let mut machine = Machine::new();
    let large = vec![0; LARGEST_VALUE + 1];
    let refused = machine.apply(put("k", large), 0);
    assert!(matches!(refused, Err(Refusal::TooLarge { .. })), "{refused:?}");
    for key in ["", &"k".repeat(LONGEST_KEY + 1)] {
        assert!(matches!(machine.apply(put(key, ""), 0), Err(Refusal::Bound(_))));
    }
    // One value shared by all keys: the account counts, the memory does not.
    let value = Bytes::from(vec![0; LARGEST_VALUE]);
    let mut written = 0;
    let refusal = loop {
        match machine.apply(put(&format!("k/{written}"), value.clone()), 0) {
            Ok(_) => written += 1,
            Err(refusal) => break refusal,
        }
    };
    // The keys take their part.
    let most = QUOTA / LARGEST_VALUE;
    assert!((most - 1..=most).contains(&written), "{written} of {most}");
    let error = refusal.into_error("swarm://a").to_string();
    assert!(error.contains("swarm://a refused: it is full: it keeps at most 1024 MiB"), "{error}");
    // Overwriting and deleting goes on.
    assert!(machine.apply(put("k/0", value.clone()), 0).is_ok());
    assert!(machine.apply(Command::delete("k/1", Expect::Anything, None), 0).is_ok());
    assert!(machine.apply(put("k/new", "x"), 0).is_ok());
}

#[test]
fn a_lease_is_due_after_its_time_and_a_renewal_on_its_way_saves_it() {
    let mut machine = Machine::new();
    machine.apply(grant("l", 100), 1000).unwrap();
    machine.apply(leased("d/k", "l"), 1000).unwrap();
    assert_eq!(machine.due(1099), []);
    assert_eq!(machine.next_due(), Some(1100));
    let due = machine.due(1100);
    assert_eq!(due.len(), 1);
    // Renewed after it was seen to be due, and before that was applied.
    let renew = Command::Renew { lease: "l".to_owned() };
    machine.apply(renew, 1101).unwrap();
    assert_eq!(machine.apply(Command::Expire { due }, 1102), Ok(Done::Ended(0)));
    assert!(machine.get("d/k").is_some());
    // Whoever takes over gives it all its time again.
    machine.restart_leases(1150);
    assert_eq!(machine.due(1249), []);
    let due = machine.due(1250);
    assert_eq!(machine.apply(Command::Expire { due }, 1250), Ok(Done::Ended(1)));
    assert!(machine.get("d/k").is_none());
    assert_eq!(machine.next_due(), None);
}

#[test]
fn a_renewal_that_was_not_seen_is_not_made_up() {
    let mut machine = Machine::new();
    machine.apply(grant("l", 100), 50).unwrap();
    machine.apply(leased("k", "l"), 60).unwrap();
    assert_eq!(machine.renewed_ago("k", 70).unwrap().as_millis(), 20);
    let mut loader = Loader::new(9);
    machine.snapshot().chunks().for_each(|chunk| loader.take(&chunk).unwrap());
    let mut copy = loader.finish().unwrap();
    assert_eq!(copy.renewed_ago("k", 10), None);
    assert_eq!(copy.next_due(), Some(109), "its time begins when it is loaded");
    copy.apply(Command::Renew { lease: "l".to_owned() }, 20).unwrap();
    assert_eq!(copy.renewed_ago("k", 25).unwrap().as_millis(), 5);
}

#[test]
fn a_watcher_that_is_too_far_behind_reads_the_whole() {
    let mut machine = Machine::new();
    machine.apply(put("d/first", "x"), 0).unwrap();
    let since = machine.follow("d", None).revision;
    for round in 0..9000_u32 {
        machine.apply(put("d/k", round.to_string()), 0).unwrap();
    }
    let followed = machine.follow("d", Some(since));
    assert!(matches!(&followed.changes[..], [Change::Whole(items)] if items.len() == 2));
    // One that is near reads what changed, each key once.
    let followed = machine.follow("d", Some(since + 8900));
    assert!(matches!(&followed.changes[..], [Change::Put(item)] if item.value == "8999"));
}

#[test]
fn large_states_are_cut_and_missing_or_newer_chunks_are_noticed() {
    let mut machine = Machine::new();
    for number in 0..1000 {
        machine.apply(put(&format!("d/{number}"), vec![1; 2000]), 0).unwrap();
    }
    let chunks: Vec<_> = machine.snapshot().chunks().collect();
    assert!(chunks.len() > 5 && chunks.iter().all(|chunk| chunk.len() < 300_000));
    let load = |chunks: &[Vec<u8>]| {
        let mut loader = Loader::new(0);
        chunks.iter().try_for_each(|chunk| loader.take(chunk))?;
        loader.finish().map(|machine| machine.len())
    };
    assert_eq!(load(&chunks), Ok(1000));
    let without = [&chunks[..1], &chunks[2..]].concat();
    assert!(matches!(load(&without), Err(SnapshotError::Damaged(_))));
    assert!(matches!(load(&chunks[..2]), Err(SnapshotError::Damaged(_))));
    let mut newer = chunks.clone();
    newer[0][0] = 2;
    assert_eq!(load(&newer), Err(SnapshotError::Newer(2)));
}
