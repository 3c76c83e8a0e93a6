//! What happens when what fails, each by itself, with the times it takes.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{Expect, KeyValue, StoreError, Write};
use swarm_memory::Memory;
use tokio::time::{Instant, sleep};

use super::line::Line;
use super::rig::{Manager, a_primary, layout, until};
use crate::election::{Called, Epoch, Role};

const TTL: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

fn three(store: &Arc<Memory>) -> Vec<Manager> {
    (0..3).map(|number| Manager::start(store, &format!("m{number}:1"), TTL, number)).collect()
}

fn others(managers: &[Manager], not: usize) -> impl Iterator<Item = &Manager> {
    managers.iter().enumerate().filter(move |(at, _)| *at != not).map(|(_, manager)| manager)
}

fn outage() -> StoreError {
    StoreError::Unreachable { store: "memory".to_owned(), reason: "it is out".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn one_is_elected_at_once_and_everybody_knows_it() {
    let store = Memory::new();
    let begun = Instant::now();
    let managers = three(&store);
    let first = a_primary(&managers).await;
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    assert_eq!(managers[first].role(), Role::Primary { epoch: Epoch(1) });
    let known = Role::Replica { primary: Some(format!("m{first}:1")) };
    for manager in others(&managers, first) {
        until("a follower knows", || manager.role() == known).await;
        let refused = manager.election.fence().check().unwrap_err();
        assert_eq!(
            refused.message,
            format!("this manager is not the primary, m{first}:1 is; nothing was changed")
        );
    }
    let lock = store.get(&layout().leader()).await.unwrap().unwrap();
    assert_eq!(lock.value, format!("m{first}:1"));
    let epoch = store.get(&layout().epoch()).await.unwrap().unwrap();
    assert_eq!(epoch.value, "1");
    // And it stays for an hour.
    sleep(Duration::from_hours(1)).await;
    assert!(managers[first].is_primary());
    assert_eq!(store.get(&layout().epoch()).await.unwrap(), Some(epoch));
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_hands_over_within_a_second() {
    let store = Memory::new();
    let mut managers = three(&store);
    while managers.len() > 1 {
        let first = a_primary(&managers).await;
        let leaving = managers.remove(first);
        let begun = Instant::now();
        leaving.election.resign().await;
        assert!(leaving.election.fence().check().is_err());
        assert_eq!(leaving.role(), Role::Replica { primary: None });
        a_primary(&managers).await;
        assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_came_and_went_before_the_watch_showed_it_is_replaced_within_a_second() {
    let store = Memory::new();
    let first = Manager::start(&store, "a:1", TTL, 1);
    until("it leads", || first.is_primary()).await;
    let line = Line::new(Arc::clone(&store), 2);
    line.mute();
    let next = Manager::with(line, "b:1", true, TTL, 2);
    until("it follows", || next.role() == Role::Replica { primary: Some("a:1".into()) }).await;
    first.election.resign().await;
    let took = until("it leads", || next.is_primary()).await;
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_killed_primary_is_replaced_when_its_lock_has_run_out() {
    for seed in 0..20 {
        let store = Memory::new();
        let mut managers = three(&store);
        let first = a_primary(&managers).await;
        sleep(Duration::from_millis(seed * 977)).await;
        let killed = managers.remove(first);
        killed.kill();
        let begun = Instant::now();
        a_primary(&managers).await;
        assert!(begun.elapsed() <= TTL + Duration::from_millis(100), "{:?}", begun.elapsed());
        assert!(killed.election.fence().check().is_err(), "its fence has lapsed by then");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_before_it_was_asked_for() {
    // The store's answers are late, so that whoever counts from their arrival counts too long.
    let ttl = Duration::from_secs(6);
    for seed in 0..20 {
        let store = Memory::new();
        let late = Manager::start(&store, "late:1", ttl, seed);
        late.line.slow(Duration::from_millis(1_200));
        until("it leads", || late.is_primary()).await;
        let next = Manager::start(&store, "next:1", ttl, seed);
        late.kill();
        until("the next", || {
            let (old, new) = (late.election.fence().check(), next.election.fence().check());
            assert!(old.is_err() || new.is_err(), "seed {seed}: two at once");
            new.is_ok()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_stopped_for_minutes_wakes_without_a_mandate() {
    let store = Memory::new();
    let managers = three(&store);
    let first = a_primary(&managers).await;
    let slept = &managers[first];
    let old = slept.election.fence().guard().unwrap();
    slept.brake.stop();
    until("another primary", || others(&managers, first).any(Manager::is_primary)).await;
    sleep(Duration::from_mins(3)).await;
    // It has not run since, and believes itself the primary; its fence knows better.
    assert_eq!(slept.role(), Role::Primary { epoch: Epoch(1) });
    assert!(slept.election.fence().check().is_err());
    assert!(slept.election.fence().guard().is_err());
    // What it had prepared before it slept is refused by the store.
    let late = Write::new(layout().at("x"), "late").guarded(old.as_ref());
    assert!(matches!(store.put(late).await, Err(StoreError::Fenced { .. })));
    slept.brake.go();
    until("it knows", || matches!(slept.role(), Role::Replica { primary: Some(_) })).await;
    assert_eq!(managers.iter().filter(|manager| manager.is_primary()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_cut_off_steps_down_before_the_next_one_begins() {
    let store = Memory::new();
    let managers = three(&store);
    let first = a_primary(&managers).await;
    managers[first].line.cut(true);
    let lapsed = until("it steps down", || !managers[first].is_primary()).await;
    assert!(lapsed <= Duration::from_secs(18), "{lapsed:?}");
    assert!(!managers.iter().any(Manager::is_primary));
    until("another primary", || others(&managers, first).any(Manager::is_primary)).await;
    managers[first].line.cut(false);
    until("it follows", || matches!(managers[first].role(), Role::Replica { primary: Some(_) }))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_store_changes_nothing() {
    let store = Memory::new();
    let managers = three(&store);
    let first = a_primary(&managers).await;
    for _ in 0..50 {
        store.fail(Some(outage()));
        sleep(Duration::from_secs(9)).await;
        assert!(managers[first].is_primary());
        store.fail(None);
        // The pauses between attempts to renew are a twelfth of the lease.
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(managers[first].role(), Role::Primary { epoch: Epoch(1) });
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_there_is_a_primary_soon() {
    let store = Memory::new();
    let managers = three(&store);
    for round in 0..10 {
        let first = a_primary(&managers).await;
        store.fail(Some(outage()));
        sleep(Duration::from_mins(5)).await;
        assert!(!managers.iter().any(Manager::is_primary), "nobody can be sure");
        let refused = managers[first].election.fence().check().unwrap_err();
        assert!(refused.message.contains("the last one was m"), "{refused}");
        store.fail(None);
        let begun = Instant::now();
        a_primary(&managers).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{round}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_somebody_deletes_or_overwrites_is_given_up_at_once() {
    let store = Memory::new();
    let managers = three(&store);
    for overwritten in [false, true, false, true] {
        let first = a_primary(&managers).await;
        let Role::Primary { epoch } = managers[first].role() else { unreachable!() };
        let leader = layout().leader();
        if overwritten {
            store.put(Write::new(&*leader, "thief:1")).await.unwrap();
        } else {
            store.delete(&leader, Expect::Anything, None).await.unwrap();
        }
        let same = || managers[first].role() == Role::Primary { epoch };
        let begun = Instant::now();
        until("it steps down", || !same()).await;
        assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
        if overwritten {
            sleep(Duration::from_mins(1)).await;
            assert!(!managers.iter().any(Manager::is_primary), "the thief has it");
            store.delete(&leader, Expect::Anything, None).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_store_ended_is_given_up_at_once() {
    let store = Memory::new();
    let managers = three(&store);
    for epoch in 1..5 {
        let first = a_primary(&managers).await;
        assert_eq!(managers[first].role(), Role::Primary { epoch: Epoch(epoch) });
        let lease = managers[first].line.granted.lock().clone().unwrap();
        let begun = Instant::now();
        store.revoke(&lease).await.unwrap();
        let next = Role::Primary { epoch: Epoch(epoch + 1) };
        until("the next", || managers.iter().any(|manager| manager.role() == next)).await;
        assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_manager_waits_for_the_lock_of_its_earlier_life() {
    let store = Memory::new();
    let killed = Manager::start(&store, "m:1", TTL, 1);
    a_primary(std::slice::from_ref(&killed)).await;
    killed.kill();
    let again = Manager::start(&store, "m:1", TTL, 2);
    sleep(SECOND).await;
    assert_eq!(again.role(), Role::Replica { primary: None }, "it does not forward to itself");
    let waited = until("it leads", || again.is_primary()).await;
    assert!(waited <= TTL, "{waited:?}");
    assert_eq!(again.role(), Role::Primary { epoch: Epoch(2) });
}

#[tokio::test(start_paused = true)]
async fn two_without_replication_serve_both_and_one_has_the_mandate() {
    let store = Memory::new();
    let lone = |name: &str, seed| {
        Manager::with(Line::new(Arc::clone(&store), seed), name, false, TTL, seed)
    };
    let first = lone("a", 1);
    until("the lock", || first.election.fence().mandate().is_ok()).await;
    let second = lone("b", 2);
    until("it sees", || second.election.warning().is_some()).await;
    assert_eq!(second.role(), Role::Replica { primary: None });
    assert!(second.election.fence().check().is_ok(), "it serves requests");
    assert!(second.election.fence().mandate().is_err(), "it moves no containers");
    let warning = second.election.warning().unwrap();
    assert!(warning.contains("a runs on the same prefix without --replication"), "{warning}");
    // One with replication is told too, and forwards nothing to such a manager.
    let third = Manager::start(&store, "c:1", TTL, 3);
    until("it sees", || third.election.warning().is_some()).await;
    assert_eq!(third.role(), Role::Replica { primary: None });
    assert!(third.election.fence().check().unwrap_err().message.contains("start it with"));
    first.election.resign().await;
    let begun = Instant::now();
    until("the next", || {
        second.election.fence().mandate().is_ok() || third.election.fence().mandate().is_ok()
    })
    .await;
    assert!(begun.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_silent_is_told_of_soon_and_until_it_answers() {
    for replication in [false, true] {
        let store = Memory::new();
        let line = Line::new(Arc::clone(&store), 1);
        let manager = Manager::with(Arc::clone(&line), "m:1", replication, TTL, 1);
        until("it leads", || manager.is_primary()).await;
        assert_eq!(manager.election.warning(), None);
        line.cut(true);
        let told = || {
            let words = manager.election.warning().unwrap_or_default();
            words.starts_with("the pool's store fails: ")
        };
        let waited = until("it tells, while it still leads", told).await;
        assert!(waited < TTL && manager.is_primary(), "{waited:?}");
        until("it leads no more", || !manager.is_primary()).await;
        // Through all that it tries meanwhile.
        for _ in 0..300 {
            sleep(SECOND).await;
            assert!(told());
        }
        line.cut(false);
        until("it leads again", || manager.is_primary()).await;
        assert_eq!(manager.election.warning(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_is_no_number_stops_the_election_with_words() {
    let store = Memory::new();
    store.put(Write::new(layout().epoch(), "many")).await.unwrap();
    let manager = Manager::start(&store, "m:1", TTL, 1);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(manager.role(), Role::Replica { primary: None });
    assert_eq!(store.get(&layout().leader()).await.unwrap(), None, "it keeps no lock meanwhile");
    store.delete(&layout().epoch(), Expect::Anything, None).await.unwrap();
    let waited = until("it leads", || manager.is_primary()).await;
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_with_a_longer_minimum_decides_when_the_next_one_comes() {
    let store = Memory::new();
    let minimum = Duration::from_secs(30);
    let start = |name: &str, seed| {
        let line = Line::with_minimum(Arc::clone(&store), seed, minimum);
        Manager::with(line, name, true, Duration::from_secs(3), seed)
    };
    let mut managers = vec![start("a:1", 1), start("b:1", 2)];
    let first = a_primary(&managers).await;
    managers.remove(first).kill();
    let waited = until("the next", || managers[0].is_primary()).await;
    assert!(waited > Duration::from_secs(25) && waited <= minimum, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_appointed_takes_the_lock_and_gives_it_back_when_another_one_is() {
    let store = Memory::new();
    let (first, of_first) = Manager::appointed(&store, "a", TTL, 1);
    let (second, of_second) = Manager::appointed(&store, "b", TTL, 2);
    let leads = |manager: &Manager| manager.election.fence().mandate().is_ok();
    for called in [Called::No, Called::Unneeded] {
        of_first.call(called);
        sleep(Duration::from_hours(1)).await;
        assert!(!leads(&first) && !leads(&second));
    }
    assert_eq!(store.get(&layout().leader()).await.unwrap(), None, "nothing was written");
    of_first.call(Called::Yes);
    until("the first", || leads(&first)).await;
    // The next one is called before the first hears of it, and waits for the lock.
    of_second.call(Called::Yes);
    sleep(Duration::from_mins(10)).await;
    assert!(leads(&first) && !leads(&second));
    assert_eq!(second.election.warning(), None, "nothing is wrong with that");
    of_first.call(Called::No);
    let waited = until("the second", || leads(&second)).await;
    assert!(!leads(&first) && waited < SECOND, "{waited:?}");
    // One that dies is waited for.
    second.kill();
    of_first.call(Called::Yes);
    let waited = until("the first again", || leads(&first)).await;
    assert!(waited > TTL / 2 && waited <= TTL + SECOND, "{waited:?}");
    assert_eq!(first.role(), Role::Primary { epoch: Epoch(3) });
}

#[tokio::test(start_paused = true)]
async fn something_to_keep_calls_who_would_be_called() {
    let store = Memory::new();
    let (manager, mut appointer) = Manager::appointed(&store, "a", TTL, 1);
    appointer.call(Called::Unneeded);
    let appointment = manager.election.appointment().unwrap();
    assert!(!appointment.is_needed(false).await, "nothing is kept");
    let (needed, ()) = tokio::join!(appointment.is_needed(true), async {
        appointer.begun().await;
        appointer.call(Called::Yes);
    });
    assert!(needed && appointment.is_needed(false).await);
    until("the lock", || manager.election.fence().mandate().is_ok()).await;
}
