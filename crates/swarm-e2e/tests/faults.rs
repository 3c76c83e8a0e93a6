//! Engines that fail, return, join, leave and lie about who they are.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{IMAGE, Lab, Pool, Scratch, exclusive, until};

const SOON: Duration = Duration::from_secs(20);
/// How soon a silent engine is to be noticed, and its return.
const NOTICED: Duration = Duration::from_secs(5);
const RETURNED: Duration = Duration::from_secs(2);
/// What a request that needs no sick engine may take on a busy machine; the client's own start
/// included.
const PROMPT: Duration = Duration::from_millis(1_500);

fn prompt<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let outcome = work()?;
    let took = start.elapsed();
    ensure!(took < PROMPT, "{what} took {took:?}");
    Ok(outcome)
}

/// The pool over three hosts with a container on each, host 1's engine about to fail.
fn populated(lab: &Lab) -> Result<Pool> {
    let pool = Pool::start(lab, &[])?;
    for i in 1..=3 {
        pool.sleeper(&format!("on-{i}"), &["-e", &format!("constraint:node==host-{i}")]).ok()?;
    }
    Ok(pool)
}

fn healthy(pool: &Pool) -> Result<usize> {
    pool.manager().nodes_with_status("Healthy")
}

/// Requests that need only the other engines, again and again until the failure is noticed.
fn others_are_served_meanwhile(pool: &Pool) -> Result<()> {
    let start = Instant::now();
    let mut round = 0;
    while healthy(pool)? == 3 {
        ensure!(start.elapsed() < NOTICED, "not noticed within {NOTICED:?}");
        round += 1;
        let name = format!("round-{round}");
        prompt("ps", || pool.docker(&["ps", "--all"]).ok())?;
        prompt("inspect", || pool.docker(&["inspect", "on-2"]).ok())?;
        prompt("create", || {
            let on = ["create", "--name", &name, "-e", "constraint:node!=host-1", IMAGE];
            pool.docker(&on).ok()
        })?;
        prompt("rm", || pool.docker(&["rm", &name]).ok())?;
        prompt("info", || pool.docker(&["info"]).ok())?;
    }
    ensure!(start.elapsed() < NOTICED, "noticed after {:?}", start.elapsed());
    Ok(())
}

/// What everybody sees of the engine of host 1 while it is down.
fn loss_is_shown(pool: &Pool, lab: &Lab) -> Result<()> {
    let listed = pool.docker(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok()?;
    assert!(listed.lines().any(|line| line == "host-1/on-1 Host Down"), "{listed}");
    assert_eq!(listed.matches("Host Down").count(), 1, "{listed}");
    for arguments in
        [&["stop", "on-1"][..], &["logs", "on-1"], &["exec", "on-1", "true"], &["rm", "-f", "on-1"]]
    {
        let words = prompt("a request to the lost engine", || pool.docker(arguments).fails())?;
        assert!(words.contains("host-1") && words.contains("unhealthy"), "{arguments:?}: {words}");
    }
    let pinned = ["create", "-e", "constraint:node==host-1", IMAGE];
    let words = pool.docker(&pinned).fails()?;
    assert!(words.contains("health") && words.contains("host-1 is unhealthy"), "{words}");
    let taken = pool.docker(&["create", "--name", "on-1", IMAGE]).fails()?;
    assert!(taken.contains("already in use"), "its names stay taken: {taken}");
    let info = pool.docker(&["info"]).output()?;
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    let block = info.split("host-1: ").nth(1).unwrap_or_default();
    assert!(block.starts_with(&lab.ip(1)) && block.contains("Status: Unhealthy"), "{info}");
    let error = block.split("Error: ").nth(1).unwrap_or("(none)");
    assert!(!error.starts_with("(none)"), "{info}");
    Ok(())
}

#[test]
fn a_power_cut_is_noticed_and_delays_nobody_else() -> Result<()> {
    let lab = exclusive()?;
    let pool = populated(&lab)?;
    lab.kill(1)?;
    others_are_served_meanwhile(&pool)?;
    loss_is_shown(&pool, &lab)?;
    lab.start(1)?;
    pool.manager().wait_healthy(3, RETURNED)?;
    let shown =
        pool.docker(&["ps", "--all", "--filter", "name=on-1", "--format", "{{.Status}}"]).ok()?;
    assert!(shown.starts_with("Exited"), "its container did not survive: {shown}");
    pool.docker(&["start", "on-1"]).ok().map(drop)
}

#[test]
fn a_frozen_engine_is_noticed_and_delays_nobody_else() -> Result<()> {
    let lab = exclusive()?;
    let pool = populated(&lab)?;
    lab.pause_dockerd(1)?;
    others_are_served_meanwhile(&pool)?;
    loss_is_shown(&pool, &lab)?;
    lab.resume_dockerd(1)?;
    pool.manager().wait_healthy(3, RETURNED)?;
    pool.docker(&["stop", "on-1"]).ok().map(drop)
}

#[test]
fn a_stream_from_an_engine_that_dies_ends_with_an_error() -> Result<()> {
    let lab = exclusive()?;
    let pool = populated(&lab)?;
    let mut waits = pool.watch(&["wait", "on-1"])?;
    let mut stats = pool.watch(&["stats", "--format", "{{.Name}}", "on-2"])?;
    stats.wait_for("on-2", SOON)?;
    lab.kill(1)?;
    assert!(!waits.wait_end(NOTICED * 2)?.success(), "{:?}", waits.lines());
    assert!(stats.runs()?, "the other engine's stream goes on");
    Ok(())
}

#[test]
fn a_pool_without_a_healthy_engine_says_so() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::launch(&lab, &["nodes://10.77.0.201:2375,10.77.0.202:2375"])?;
    let words = pool.docker(&["create", IMAGE]).fails()?;
    assert!(words.contains("No healthy node available in the cluster"), "{words}");
    assert!(words.contains("10.77.0.201:2375"), "{words}");
    assert_eq!(pool.docker(&["ps", "--all", "--quiet"]).ok()?, "");
    let info = pool.manager().get("/info")?.to_string();
    assert!(info.contains("Pending") && info.contains("10.77.0.202:2375"), "{info}");
    Ok(())
}

#[test]
fn engines_join_and_leave_at_run_time() -> Result<()> {
    let lab = exclusive()?;
    let file = |lines: &str| lab.put("nodes", lines);
    let path = file(&format!("# the first\n{}:2375\n", lab.ip(1)))?;
    let pool = Pool::launch(&lab, &[&format!("file://{}", path.display())])?;
    pool.manager().wait_healthy(1, SOON)?;
    pool.sleeper("first", &[]).ok()?;
    let events = pool.watch(&["events", "--filter", "type=container"])?;
    file("10.77.0.[11:13]:2375\n")?;
    pool.manager().wait_healthy(3, SOON)?;
    pool.sleeper("second", &["-e", "constraint:node==host-3"]).ok()?;
    events.wait_for("second", SOON)?;
    file(&format!("{}:2375\n{}:2375\n", lab.ip(2), lab.ip(3)))?;
    until(SOON, "host 1 leaves", || {
        let info = pool.manager().get("/info")?.to_string();
        Ok((!info.contains(&lab.ip(1))).then_some(()))
    })?;
    assert_eq!(pool.docker(&["ps", "--all", "--format", "{{.Names}}"]).ok()?, "host-3/second");
    assert_eq!(pool.ask("GET", "/containers/first/json", "")?.status, 404);
    // The name is free in this pool, whose engines do not have it.
    pool.sleeper("first", &[]).ok()?;
    assert_eq!(lab.sh(1, "docker ps --quiet")?.lines().count(), 1, "leaving stops nothing");
    Ok(())
}

#[test]
fn two_engines_with_one_identity_are_refused_with_both_addresses() -> Result<()> {
    let lab = Scratch::boot(2, |_| {})?;
    lab.kill_dockerd(2)?;
    let key = lab.sh(1, "cat /etc/docker/key.json")?;
    let copy = lab.put("key.json", key)?;
    lab.sh(2, &format!("cp {} /etc/docker/key.json", copy.display()))?;
    lab.start_dockerd(2)?;
    let pool = Pool::launch(&lab, &[&lab.nodes(2)])?;
    pool.manager().wait_healthy(1, SOON)?;
    let (one, two) = (format!("{}:2375", lab.ip(1)), format!("{}:2375", lab.ip(2)));
    let ids = [1, 2].map(|i| lab.sh(i, "docker info --format '{{.ID}}'").unwrap_or_default());
    assert_eq!(ids[0], ids[1]);
    let words = until(SOON, "the twin is named", || {
        let info = pool.manager().get("/info")?["SystemStatus"].clone();
        let rows = info.as_array().context("no rows")?.clone();
        let error = rows
            .iter()
            .filter_map(|row| row[1].as_str())
            .find(|text| text.contains("two addresses"));
        Ok(error.map(str::to_owned))
    })?;
    assert!(words.contains(&one) && words.contains(&two), "{words}");
    pool.docker(&["create", IMAGE]).ok()?;
    assert_eq!(pool.docker(&["ps", "--all", "--quiet"]).ok()?.lines().count(), 1, "counted once");

    lab.kill_dockerd(2)?;
    lab.sh(2, "rm /etc/docker/key.json")?;
    lab.start_dockerd(2)?;
    pool.manager().wait_healthy(2, SOON)
}
