//! One case a row: what is known, and what the plan says about it, in its own words.

use std::time::Duration;

use serde_json::json;
use swarm_model::{Desired, Place, Policy};

use super::super::fixture::{NOW, Pool, at, engine, going, intent, with};
use super::super::{Confirmation, Millis, Registration, State};

/// Two engines, and a container that has moved from n1 to n2 once, or would.
fn pool() -> Pool {
    Pool::new(&["n1", "n2"])
}

fn nowhere() -> Place {
    Place::Nowhere { reason: "n1 failed".to_owned() }
}

fn check(cases: Vec<(Pool, &str)>) {
    for (index, (pool, expected)) in cases.into_iter().enumerate() {
        assert_eq!(pool.says(), expected, "case {index}: {pool:#?}");
    }
}

#[test]
fn an_engine_that_fails_loses_what_may_move_after_the_grace() {
    let web = || pool().wants(intent("web", 1, at("n1", "c1"))).has("n1", "web", 1, "c1");
    let registered = |registration| {
        let mut pool = web().silent("n1", 30);
        pool.engine("n1").registration = registration;
        pool
    };
    let renewed = |ago, ttl: Option<u64>| {
        let (ago, ttl) = (Duration::from_secs(ago), ttl.map(Duration::from_secs));
        registered(Registration::Renewed { ago, ttl })
    };
    let mut strict = registered(Registration::Present);
    strict.settings.confirmation = Confirmation::Registration;
    let mut fresh = web().silent("n1", 60);
    fresh.watching_since = Millis(NOW.0 - 4_000);
    let unknown = Millis(NOW.0 - 10_000);
    let given_up = |silence| {
        let mut pool = web().silent("n1", silence);
        pool.engine("n1").registration = Registration::Down;
        pool
    };
    let mut answers = web();
    answers.engine("n1").registration = Registration::Down;
    let away = "held web: n1 does not answer (timeout); ";
    let lost = "lose web: n1 has not answered for 30 s (timeout)";
    let wait = "its containers are moved when it has not for 10 s";
    check(vec![
        (web(), ""),
        (web().silent("n1", 9), &format!("{away}{wait}\nwake 101000 ms")),
        (web().silent("n1", 30), lost),
        (fresh, &format!("{away}{wait}\nwake 106000 ms")),
        (given_up(0), "lose web: n1 is down and does not answer (timeout)"),
        (answers, ""),
        (registered(Registration::Absent), &format!("{lost} and its registration is gone")),
        (registered(Registration::Present), lost),
        (strict, &format!("{away}its registration is still in the store\nwake 110000 ms")),
        (
            registered(Registration::StoreUnavailable),
            &format!(
                "{away}the store does not either, so it may be this manager's fault\nwake 110000 ms"
            ),
        ),
        (renewed(5, Some(20)), &format!("{away}its agent still vouches for it\nwake 115000 ms")),
        (renewed(5, None), &format!("{away}its agent still vouches for it\nwake 110000 ms")),
        (renewed(31, None), &format!("{lost} and its agent has not renewed its registration")),
        (
            web().state("n1", State::Unknown { since: unknown }),
            "lose web: n1 has not answered for 10 s (it never answered this manager)",
        ),
        (web().state("n1", State::Gone), "lose web: n1 was taken out of the pool"),
    ]);
}

#[test]
fn what_may_not_move_stays_and_says_why() {
    let of = |policy, host: serde_json::Value| {
        let mut db = with(intent("db", 1, at("n1", "c1")), &host);
        db.policy = policy;
        pool().wants(db).silent("n1", 30)
    };
    let data = || json!({"Binds": ["data:/d", "nfs:/n"]});
    let mut full = of(Policy::OnNodeFailure, json!({}));
    full.unsuitable.insert("db".to_owned());
    let alone = of(Policy::OnNodeFailure, json!({})).silent("n2", 3);
    let mut many = of(Policy::OnNodeFailure, json!({})).wants(intent("a", 1, at("n1", "c2")));
    many.settings.at_once = 1;
    let lost = "n1 has not answered for 30 s (timeout)";
    let away = "n1 does not answer (timeout); it";
    check(vec![
        (of(Policy::Off, json!({})), ""),
        (of(Policy::OnNodeFailureWithVolumes, data()), &format!("lose db: {lost}")),
        (of(Policy::OnNodeFailure, json!({"Binds": ["nfs:/n"]})), &format!("lose db: {lost}")),
        (
            of(Policy::OnNodeFailure, data()),
            &format!(
                "held db: {away} stays, because it has data there (volume data) and its policy is \
                 on-node-failure"
            ),
        ),
        (full, &format!("held db: {away} stays: no suitable node for db")),
        (alone, &format!("held db: {away} stays: no suitable node for db")),
        (many, &format!("lose a: {lost}\nheld db: {away} waits for others that are being moved")),
    ]);
}

#[test]
fn what_needs_another_goes_with_it_and_after_it() {
    let web = |place| with(intent("web", 2, place), &json!({"NetworkMode": "container:db"}));
    let both = |db: Policy| {
        let mut first = intent("db", 1, at("n1", "c1"));
        first.policy = db;
        pool().wants(first).wants(web(at("n1", "c2"))).silent("n1", 30)
    };
    let lost = "n1 has not answered for 30 s (timeout)";
    let needs = "it needs db (--net=container:db), which is on no working engine";
    let later = pool().wants(web(nowhere())).wants(intent("db", 2, nowhere()));
    let mut one_at_once = both(Policy::OnNodeFailure);
    one_at_once.settings.at_once = 1;
    check(vec![
        (both(Policy::OnNodeFailure), &format!("lose db: {lost}\nlose web: {lost}")),
        (one_at_once, &format!("lose db: {lost}\nlose web: {lost}")),
        (both(Policy::Off), &format!("held web: n1 does not answer (timeout); it stays: {needs}")),
        (later, &format!("place db: it needs a node: n1 failed\nheld web: {needs}")),
        (
            pool()
                .wants(web(nowhere()))
                .wants(intent("db", 2, at("n2", "d")))
                .has("n2", "db", 2, "d"),
            "place web: it needs a node: n1 failed",
        ),
    ]);
    let link =
        |id: &str, to: &str| with(intent(id, 2, nowhere()), &json!({"Links": [format!("{to}:x")]}));
    let circle = pool().wants(link("a", "b")).wants(link("b", "a"));
    assert!(circle.says().starts_with("held a: it needs b (--link=b:x)"), "{}", circle.says());
}

#[test]
fn a_create_that_was_announced_is_finished_or_given_up() {
    let web = |generation, moved: bool| {
        let mut web = intent("web", generation, going("n2"));
        if moved {
            web = super::super::transition::lost(&intent("web", 1, at("n1", "c")), "n1 failed", 0);
            web = super::super::transition::going(&web, &engine("n2"));
        }
        pool().wants(web)
    };
    let unsettled = State::Healthy { settled: false };
    check(vec![
        (web(1, false).has("n2", "web", 1, "c"), "finish web: n2 has it"),
        (web(1, false).has("n2", "web", 1, "c").state("n2", unsettled), "finish web: n2 has it"),
        (web(1, false).state("n2", unsettled), ""),
        (web(1, false), "abandon web: n2 does not have it: generation 1 was never made there"),
        (web(2, true), "abandon web: n2 does not have it: generation 2 was never made there"),
        (web(1, false).silent("n2", 30), "abandon web: n2 has not answered for 30 s (timeout)"),
        (web(2, true).has("n1", "web", 2, "c"), "finish web: n1 has it"),
    ]);
    let apply = |mut pool: Pool| {
        let plan = pool.plan();
        pool.apply(&plan.steps[0]);
        (pool.intents.get("web").cloned(), pool.removed.len())
    };
    assert_eq!(apply(web(1, false)), (None, 1));
    let (next, _) = apply(web(2, true));
    assert_eq!(next.map(|next| next.generation), Some(3));
}

#[test]
fn a_moved_container_is_started_once_if_it_is_to_run() {
    let web = |generation, desired, started| {
        let mut web = intent("web", generation, at("n2", "c"));
        web.desired = desired;
        let mut pool = pool().wants(web).has("n2", "web", generation, "c");
        let copy = &mut pool.engine("n2").copies[0];
        (copy.running, copy.started) = (false, started);
        pool
    };
    let unsettled = State::Healthy { settled: false };
    check(vec![
        (
            web(2, Desired::Running, false),
            "start web: it was moved and is to run, and has not been started yet",
        ),
        (web(2, Desired::Running, false).state("n2", unsettled), ""),
        (web(2, Desired::Running, true), ""),
        (web(1, Desired::Running, false), ""),
        (web(2, Desired::Stopped, false), ""),
    ]);
}

#[test]
fn a_container_gets_the_name_that_is_wanted() {
    let mut pool = pool().wants(intent("web", 1, at("n1", "c"))).has("n1", "web", 1, "c");
    pool.engine("n1").copies[0].name = "web-next".to_owned();
    assert_eq!(pool.says(), "rename web: its name on n1 is web-next");
    let plan = pool.plan();
    pool.apply(&plan.steps[0]);
    assert_eq!(pool.says(), "");
}

#[test]
fn what_was_removed_beside_the_manager_is_forgotten() {
    let web = |generation| pool().wants(intent("web", generation, at("n1", "c")));
    let unsettled = State::Healthy { settled: false };
    check(vec![
        (web(1), "drop web: it was removed from n1 beside the manager"),
        (web(1).state("n1", unsettled), ""),
        (web(1).has("n1", "web", 1, "other"), "finish web: n1 has it"),
        (web(1).has("n2", "web", 1, "other"), "finish web: n2 has it"),
    ]);
    let (mut first, mut moved) = (web(1), web(2));
    for pool in [&mut first, &mut moved] {
        let plan = pool.plan();
        pool.apply(&plan.steps[0]);
        assert!(pool.intents.is_empty());
    }
    assert_eq!((first.removed.len(), moved.removed.len()), (0, 1));
}

#[test]
fn old_copies_go_before_anything_else() {
    let stale = "remove-stale web: it is out of date: generation 1, and 2 is wanted";
    let moved = || pool().wants(intent("web", 2, at("n2", "new")));
    let back = || moved().has("n1", "web", 1, "old");
    let mut never_started = back().has("n2", "web", 2, "new");
    let copy = &mut never_started.engine("n2").copies[0];
    (copy.running, copy.started) = (false, false);
    let mut busy = back().has("n2", "web", 2, "new");
    busy.busy.insert("web".to_owned());
    let mut failed = back().has("n2", "web", 2, "new");
    failed.failed.insert("web".to_owned(), Millis(NOW.0 + 5));
    let mut stopped = pool().wants(intent("web", 2, nowhere())).has("n1", "web", 1, "old");
    stopped.engine("n1").copies[0].running = false;
    check(vec![
        (back().has("n2", "web", 2, "new"), stale),
        (never_started, stale),
        (busy, ""),
        (failed, "held web: the last attempt failed: no space left on device\nwake 100005 ms"),
        (pool().wants(intent("web", 2, nowhere())).has("n1", "web", 1, "old"), stale),
        (stopped, &format!("{stale}\nplace web: it needs a node: n1 failed")),
        (
            moved().has("n2", "web", 2, "new").has("n1", "web", 2, "twin"),
            "remove-stale web: n1 has a second copy of it, and the one on n2 stays",
        ),
        (
            moved().has("n2", "web", 2, "new").has("n1", "web", 3, "later"),
            "held web: n1 has generation 3 of it, and the store knows 2 only: was the store \
             restored from a backup? Remove one or the other",
        ),
    ]);
}

#[test]
fn what_a_person_removed_while_it_was_away_goes_when_it_returns() {
    let mut away = pool().has("n1", "web", 1, "c").has("n1", "unknown", 1, "d");
    away.removed.insert("web".to_owned());
    let said = "remove-stale web: it was removed by a person";
    assert_eq!(away.says(), format!("{said} while n1 was away"));
    let half = away.clone().wants(intent("web", 2, at("n2", "c")));
    assert_eq!(half.says(), said);
    let mut half = half;
    half.engine("n1").copies.clear();
    assert_eq!(half.says(), "drop web: it was removed by a person");
    away.busy.insert("web".to_owned());
    assert_eq!(away.says(), "");
}

#[test]
fn an_old_copy_that_is_to_be_kept_is_set_aside_once() {
    let mut web = intent("web", 2, at("n2", "new"));
    web.stale = swarm_model::StalePolicy::Keep;
    let mut pool = pool().wants(web).has("n1", "web", 1, "old").has("n2", "web", 2, "new");
    let plan = pool.plan();
    pool.apply(&plan.steps[0]);
    assert_eq!(pool.engine("n1").copies[0].name, "web.stale-1-old");
    assert_eq!(pool.says(), "");
    pool.engine("n1").copies[0].running = true;
    assert!(pool.says().starts_with("remove-stale"), "somebody started it: {}", pool.says());
    pool.engine("n1").copies[0].running = false;
    pool.intents.clear();
    pool.removed.insert("web".to_owned());
    pool.engine("n2").copies.clear();
    assert_eq!(pool.says(), "", "what was kept is a person's to remove");
}
