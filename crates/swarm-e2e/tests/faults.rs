//! Engines that fail, return, join, leave and lie about who they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{IMAGE, Lab, Pool, Scratch, exclusive, until};

const SOON: Duration = Duration::from_secs(30);
/// How soon a silent engine is to be noticed, and its return, where the machine is quick.
const NOTICED: Duration = Duration::from_secs(5);
const RETURNED: Duration = Duration::from_secs(2);
/// What a request that needs no sick engine may take where the machine is quick; the client's own start included.
const PROMPT: Duration = Duration::from_millis(1_500);

/// How long requests take while all engines are well, on this machine as busy as it is.
struct Usual(Duration);

impl Usual {
    /// By the slowest of some rounds.
    fn of(pool: &Pool) -> Result<Self> {
        let mut usual = Self(Duration::MAX);
        let mut slowest = Duration::ZERO;
        for number in 0..3 {
            slowest = slowest.max(usual.round(pool, &format!("usual-{number}"))?);
        }
        usual.0 = slowest;
        Ok(usual)
    }

    /// That long, and what a machine needs for it whose cores have other work.
    fn within(&self, limit: Duration) -> Duration {
        limit + self.0.saturating_mul(5)
    }

    /// Does it in no more time than it takes when all is well; how long it took.
    fn prompt<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
        let start = Instant::now();
        let outcome = work()?;
        let (took, bound) = (start.elapsed(), PROMPT.max(self.0.saturating_mul(3)));
        ensure!(took < bound, "{what} took {took:?}, and usually {:?}", self.0);
        Ok((outcome, took))
    }

    /// Requests that need only the engines of the hosts 2 and 3; the slowest of them.
    fn round(&self, pool: &Pool, name: &str) -> Result<Duration> {
        let create = ["create", "--name", name, "-e", "constraint:node!=host-1", IMAGE];
        let all = [&["ps", "--all"][..], &["inspect", "on-2"], &create, &["rm", name], &["info"]];
        let mut slowest = Duration::ZERO;
        for arguments in all {
            let (_, took) = self.prompt(arguments[0], || pool.docker(arguments).ok())?;
            slowest = slowest.max(took);
        }
        Ok(slowest)
    }
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
fn others_are_served_meanwhile(pool: &Pool, usual: &Usual) -> Result<()> {
    let start = Instant::now();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Beside the requests: the last round of them is none of the time.
        let noticed = scope.spawn(|| {
            let noticed = until(usual.within(NOTICED), "the failure is noticed", || {
                Ok((healthy(pool)? < 3).then(|| start.elapsed()))
            });
            over.store(true, Ordering::SeqCst);
            noticed
        });
        let (mut round, mut served) = (0, Ok(Duration::ZERO));
        while served.is_ok() && !over.load(Ordering::SeqCst) {
            round += 1;
            served = usual.round(pool, &format!("round-{round}"));
        }
        let noticed = noticed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let slowest = served?;
        println!(
            "noticed after {noticed:.1?}, in {round} rounds, the last one's slowest {slowest:.1?}"
        );
        Ok(())
    })
}

/// What everybody sees of the engine of host 1 while it is down.
fn loss_is_shown(pool: &Pool, lab: &Lab, usual: &Usual) -> Result<()> {
    let listed = pool.docker(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok()?;
    assert!(listed.lines().any(|line| line == "host-1/on-1 Host Down"), "{listed}");
    assert_eq!(listed.matches("Host Down").count(), 1, "{listed}");
    for arguments in
        [&["stop", "on-1"][..], &["logs", "on-1"], &["exec", "on-1", "true"], &["rm", "-f", "on-1"]]
    {
        let asked = || pool.docker(arguments).fails();
        let (words, _) = usual.prompt("a request to the lost engine", asked)?;
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
    let usual = Usual::of(&pool)?;
    lab.kill(1)?;
    others_are_served_meanwhile(&pool, &usual)?;
    loss_is_shown(&pool, &lab, &usual)?;
    lab.start(1)?;
    pool.manager().wait_healthy(3, usual.within(RETURNED))?;
    let shown =
        pool.docker(&["ps", "--all", "--filter", "name=on-1", "--format", "{{.Status}}"]).ok()?;
    assert!(shown.starts_with("Exited"), "its container did not survive: {shown}");
    pool.docker(&["start", "on-1"]).ok().map(drop)
}

#[test]
fn a_frozen_engine_is_noticed_and_delays_nobody_else() -> Result<()> {
    let lab = exclusive()?;
    let pool = populated(&lab)?;
    let usual = Usual::of(&pool)?;
    lab.pause_dockerd(1)?;
    others_are_served_meanwhile(&pool, &usual)?;
    loss_is_shown(&pool, &lab, &usual)?;
    lab.resume_dockerd(1)?;
    pool.manager().wait_healthy(3, usual.within(RETURNED))?;
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
    assert!(!waits.wait_end(SOON)?.success(), "{:?}", waits.lines());
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
