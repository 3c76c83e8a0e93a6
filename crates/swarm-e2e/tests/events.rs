//! The pool's event stream: every engine's events, each once, with its node, whatever happens to
//! the connections.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use swarm_e2e::{IMAGE, Lab, Pool, Watch, exclusive, until};

const SOON: Duration = Duration::from_secs(30);

/// `docker events` in JSON, once the manager has it as a listener.
fn listen(pool: &Pool, filters: &[&str]) -> Result<Watch> {
    let watch = pool.watch(&[&["events", "--format", "{{json .}}"], filters].concat())?;
    until(SOON, "the client listens", || {
        Ok((pool.manager().get("/info")?["NEventsListener"] == 1).then_some(()))
    })?;
    Ok(watch)
}

fn parse(lines: &[String]) -> Result<Vec<Value>> {
    lines.iter().map(|line| serde_json::from_str(line).context(line.clone())).collect()
}

/// `name action` of each, in order.
fn told(lines: &[String]) -> Result<Vec<String>> {
    let word = |event: &Value| {
        let name = event["Actor"]["Attributes"]["name"].as_str().unwrap_or_default();
        format!("{name} {}", event["Action"].as_str().unwrap_or_default())
    };
    Ok(parse(lines)?.iter().map(word).collect())
}

#[test]
fn events_of_all_engines_arrive_with_their_node() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let all = listen(&pool, &["--filter", "type=container"])?;
    for i in 1..=3 {
        let (name, on) = (format!("on-{i}"), format!("constraint:node==host-{i}"));
        pool.docker(&["run", "--name", &name, "--label", "n=1", "-e", &on, IMAGE, "true"]).ok()?;
        all.wait_for(&name, SOON)?;
    }
    pool.docker(&["rm", "on-1", "on-2", "on-3"]).ok()?;
    // The client removes them side by side, so the engines' last events come in any order.
    until(SOON, "three removals", || {
        let destroyed =
            told(&all.lines())?.iter().filter(|line| line.ends_with(" destroy")).count();
        Ok((destroyed == 3).then_some(()))
    })?;
    let events = parse(&all.lines())?;
    for i in 1..=3 {
        let name = format!("on-{i}");
        let own: Vec<_> =
            events.iter().filter(|e| e["Actor"]["Attributes"]["name"] == *name).collect();
        let actions: Vec<_> = own.iter().filter_map(|event| event["Action"].as_str()).collect();
        assert_eq!(actions, ["create", "attach", "start", "die", "destroy"]);
        for event in own {
            let attributes = &event["Actor"]["Attributes"];
            assert_eq!(attributes["node.name"], lab.hostname(i));
            assert_eq!(attributes["node.ip"], lab.ip(i));
            assert_eq!(attributes["node.addr"], format!("{}:2375", lab.ip(i)));
            assert!(attributes["node.id"].as_str().is_some_and(|id| !id.is_empty()));
            assert_eq!(event["from"], format!("{IMAGE} node:host-{i}"));
            assert_eq!(attributes["n"], "1");
        }
    }
    Ok(())
}

#[test]
fn the_past_is_told_in_order_between_since_and_until() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let clock = || -> Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(format!("{}.{:09}", now.as_secs(), now.subsec_nanos()))
    };
    pool.docker(&["create", "--name", "before", IMAGE]).ok()?;
    let since = clock()?;
    for i in 1..=3 {
        let on = format!("constraint:node==host-{i}");
        pool.docker(&[
            "create",
            "--name",
            &format!("in-{i}"),
            "--label",
            &format!("n={i}"),
            "-e",
            &on,
            IMAGE,
        ])
        .ok()?;
    }
    pool.docker(&["rm", "in-2"]).ok()?;
    let until_ = clock()?;
    pool.docker(&["create", "--name", "after", IMAGE]).ok()?;
    let past = |filters: &[&str]| -> Result<Vec<String>> {
        let head = ["events", "--format", "{{json .}}", "--since", &since, "--until", &until_];
        let lines = pool.docker(&[&head, filters].concat()).ok()?;
        told(&lines.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let all = ["in-1 create", "in-2 create", "in-3 create", "in-2 destroy"];
    assert_eq!(past(&["--filter", "type=container"])?, all);
    for (filter, found) in [
        ("event=create", &all[..3]),
        ("event=destroy", &all[3..]),
        ("container=in-1", &all[..1]),
        ("label=n=3", &all[2..3]),
        ("image=busybox", &all[..]),
        ("type=volume", &[]),
        ("node=host-1", &all[..1]),
    ] {
        assert_eq!(past(&["--filter", filter])?, found, "{filter}");
    }
    let bad = pool.ask("GET", "/events?since=yesterday", "")?;
    assert_eq!(bad.status, 400, "{}", bad.text());
    assert!(bad.message().contains("yesterday"), "{}", bad.text());
    Ok(())
}

/// Containers made on host 1 itself, a shell loop's names `PREFIX-1..=COUNT`.
fn make(lab: &Lab, prefix: &str, count: u32) -> Result<Vec<String>> {
    lab.sh(1, &format!("for n in $(seq {count}); do docker create --name {prefix}-$n {IMAGE} >/dev/null || exit; done"))?;
    Ok((1..=count).map(|n| format!("{prefix}-{n} create")).collect())
}

/// Waits until the stream has told exactly `expected`.
fn settle(watch: &Watch, expected: &[String]) -> Result<()> {
    let enough = || Ok((watch.lines().len() >= expected.len()).then_some(()));
    let waited = until(SOON, "all are told", enough);
    assert_eq!(told(&watch.lines())?, expected);
    waited
}

#[test]
fn nothing_is_lost_or_doubled_when_a_connection_is_cut_and_healed() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let watch = listen(&pool, &["--filter", "type=container", "--filter", "event=create"])?;
    let mut expected = make(&lab, "whole", 5)?;
    settle(&watch, &expected)?;

    lab.cut(1, Some(0))?;
    expected.extend(make(&lab, "blink", 5)?);
    lab.heal(1, Some(0))?;
    settle(&watch, &expected)?;

    lab.cut(1, Some(0))?;
    until(SOON, "the silence is noticed", || {
        Ok((pool.manager().nodes_with_status("Healthy")? == 2).then_some(()))
    })?;
    expected.extend(make(&lab, "dark", 30)?);
    lab.heal(1, Some(0))?;
    pool.manager().wait_healthy(3, SOON)?;
    expected.extend(make(&lab, "again", 5)?);
    settle(&watch, &expected)?;
    // What comes last proves that no repeat was still on its way.
    expected.extend(make(&lab, "last", 1)?);
    settle(&watch, &expected)?;
    let listed = pool.docker(&["ps", "--all", "--quiet"]).ok()?;
    assert_eq!(listed.lines().count(), expected.len());
    Ok(())
}

#[test]
fn a_restarted_engine_goes_on_with_its_events_and_its_state() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    pool.sleeper("stays", &["-e", "constraint:node==host-1"]).ok()?;
    pool.sleeper("other", &["-e", "constraint:node==host-2"]).ok()?;
    let watch = listen(&pool, &["--filter", "type=container", "--filter", "event=create"])?;
    let mut expected = make(&lab, "one", 3)?;
    settle(&watch, &expected)?;
    for round in 0..2 {
        lab.kill_dockerd(1)?;
        lab.start_dockerd(1)?;
        expected.extend(make(&lab, &format!("round-{round}"), 3)?);
        settle(&watch, &expected)?;
    }
    // The engine's own word about a container whose engine was killed.
    let state = lab.sh(1, "docker inspect --format '{{.State.Status}}' stays")?;
    until(SOON, "the state is read back", || {
        let shown = pool
            .docker(&["ps", "--all", "--filter", "name=stays", "--format", "{{.State}}"])
            .ok()?;
        Ok((shown == state).then_some(()))
    })?;
    pool.docker(&["start", "stays"]).ok()?;
    let running = pool.docker(&["ps", "--format", "{{.Names}}"]).ok()?;
    assert!(running.contains("host-1/stays") && running.contains("host-2/other"), "{running}");
    Ok(())
}
