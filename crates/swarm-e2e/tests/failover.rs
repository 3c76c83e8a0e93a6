//! Containers that move when their engine fails, and managers that take over, on real engines.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{
    Client, IMAGE, Lab, Managers, Pool, RegistryConfig, exclusive, host_number as number, until,
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_mins(1);
const GRACE: [&str; 2] = ["--cluster-opt", "swarm.reschedule.grace=1s"];
const MOVES: [&str; 2] = ["-e", "reschedule:on-node-failure"];

/// The names of an engine's own containers, running ones only where asked.
fn own(lab: &Lab, host: u8, all: bool) -> Result<Vec<String>> {
    let docker = Client::new("docker", &format!("unix://{}", lab.sock(host).display()));
    let which = if all { vec!["ps", "--all"] } else { vec!["ps"] };
    let said = docker.run(&[&which[..], &["--format", "{{.Names}}"]].concat()).ok()?;
    Ok(said.lines().map(str::to_owned).collect())
}

#[test]
fn a_power_cut_moves_a_container_and_the_stale_copy_goes_when_the_node_returns() -> Result<()> {
    let lab = exclusive()?;
    let metrics = format!("{}:9323", lab.ip(0));
    let pool = Pool::start(&lab, &[&GRACE[..], &["--metrics-addr", &metrics]].concat())?;
    pool.sleeper("web", &[&MOVES[..], &["--restart", "always"]].concat()).ok()?;
    pool.sleeper("data", &[&MOVES[..], &["--volume", "/srv:/srv"]].concat()).ok()?;
    let from = pool.node_of("web")?;
    let data = pool.node_of("data")?;
    let events = pool.watch(&["events", "--filter", "event=reschedule_moved"])?;
    lab.kill(number(&from)?)?;
    let (to, took) = pool.moved("web", &from, LONG)?;
    println!("a power cut to its container elsewhere: {took:?}");
    events.wait_for("reschedule_moved", LONG)?;
    let told = lab.fabric_exec(&["curl", "-fsS", &format!("http://{metrics}/metrics")])?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let counted = "swarm_moves_total{cause=\"failure\",result=\"moved\"} 1\n";
    ensure!(told.contains(counted), "the move is counted: {told}");
    if data == from {
        ensure!(pool.node_of("data").is_ok_and(|node| node == data), "data stays with its engine");
    }
    // By its restart policy the engine starts its copy when it boots.
    lab.start(number(&from)?)?;
    until(LONG, "the stale copy is gone", || {
        let copies = own(&lab, number(&from)?, true)?;
        Ok((!copies.iter().any(|name| name == "web")).then_some(()))
    })?;
    ensure!(own(&lab, number(&to)?, false)?.iter().any(|name| name == "web"), "one runs");
    ensure!(pool.node_of("web")? == to, "and is the one that is shown");
    Ok(())
}

#[test]
fn a_manager_and_an_engine_lost_together_lose_no_container() -> Result<()> {
    let lab = exclusive()?;
    let state = TempDir::new()?;
    let state = state.path().display().to_string();
    let arguments = [&["--data-dir", &state], &GRACE[..]].concat();
    let pool = Pool::start(&lab, &arguments)?;
    pool.sleeper("web", &MOVES).ok()?;
    pool.sleeper("plain", &["-e", "affinity:container==web"]).ok()?;
    let from = pool.node_of("web")?;
    pool.manager().signal(Signal::SIGKILL)?;
    lab.kill(number(&from)?)?;
    drop(pool);
    let nodes = lab.nodes(3);
    let pool = Pool::launch(&lab, &[&arguments[..], &[nodes.as_str()]].concat())?;
    let (to, took) = pool.moved("web", &from, LONG)?;
    println!("a new manager's start to the container elsewhere: {took:?}");
    let listed = pool.docker(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok()?;
    ensure!(listed.contains(&format!("{from}/plain Host Down")), "{listed}");
    ensure!(own(&lab, number(&to)?, false)?.iter().any(|name| name == "web"));
    lab.start(number(&from)?)?;
    until(LONG, "the stale copy is gone", || {
        let copies = own(&lab, number(&from)?, true)?;
        Ok((!copies.iter().any(|name| name == "web")).then_some(()))
    })
}

#[test]
fn managers_take_over_and_a_primary_that_was_frozen_changes_nothing() -> Result<()> {
    let lab = exclusive()?;
    let managers = Managers::start(&lab, [0; 3], 3, &GRACE)?;
    let first = managers.primary(&[0, 1, 2])?;
    let others: Vec<usize> = (0..3).filter(|i| *i != first).collect();
    // Through a replica.
    let replica = managers.pool(others[0])?;
    // From now on, however long the client takes to begin.
    let since = jiff::Timestamp::now().to_string();
    let events = replica.watch(&["events", "--since", &since, "--filter", "container=web"])?;
    replica.sleeper("web", &MOVES).ok()?;
    events.wait_for("container start", LONG)?;
    let attached = replica.docker(&["run", "--rm", IMAGE, "echo", "through"]).ok()?;
    ensure!(attached == "through", "{attached}");
    let echoed = replica.client("docker").feed(&["exec", "-i", "web", "cat"], b"and back").ok()?;
    ensure!(echoed == "and back", "{echoed}");
    let from = replica.node_of("web")?;
    managers.pool(first)?.manager().signal(Signal::SIGSTOP)?;
    let start = Instant::now();
    let second = managers.primary(&others)?;
    println!("a frozen primary to the next one (ttl 4 s): {:?}", start.elapsed());
    let pool = managers.pool(second)?;
    // Of one that failed the name may be taken all the same.
    let mut tried = 0;
    until(LONG, "a write goes through", || {
        tried += 1;
        let name = format!("after-{tried}");
        Ok(pool.docker(&["create", "--name", &name, IMAGE]).ok().is_ok().then_some(()))
    })?;
    lab.kill(number(&from)?)?;
    let (to, _) = pool.moved("web", &from, LONG)?;
    // It wakes with an engine gone that it knew, and with a lock that is another's by now.
    managers.pool(first)?.manager().signal(Signal::SIGCONT)?;
    until(LONG, "it finds that it is a replica", || {
        Ok((managers.role(first).is_ok_and(|role| role == "replica")).then_some(()))
    })?;
    for host in (1..=3).filter(|host| *host != number(&from).unwrap_or(0)) {
        let runs = own(&lab, host, true)?.iter().filter(|name| *name == "web").count();
        let expected = usize::from(host == number(&to)?);
        ensure!(runs == expected, "host {host} has {runs} copies of web");
    }
    lab.start(number(&from)?)?;
    until(LONG, "the stale copy is gone", || {
        let copies = own(&lab, number(&from)?, true)?;
        Ok((!copies.iter().any(|name| name == "web")).then_some(()))
    })
}

/// What is needed to pull an image again is kept, and nobody can read it where it is kept.
#[test]
fn a_private_image_is_pulled_again_where_its_container_moves() -> Result<()> {
    let lab = exclusive()?;
    let state = TempDir::new()?;
    let folder = state.path().display().to_string();
    let arguments = [&["--data-dir", &folder], &GRACE[..]].concat();
    let pool = Pool::start(&lab, &arguments)?;
    let auth = Some(("ann".to_owned(), "hushed-word".to_owned()));
    let registry =
        lab.registry(&RegistryConfig { port: 5003, auth, ..RegistryConfig::default() })?;
    let image = format!("{}/team/box:1", registry.address);
    pool.docker(&["tag", IMAGE, &image]).ok()?;
    let login = ["login", "--username", "ann", "--password-stdin", &registry.address];
    pool.client("docker").feed(&login, b"hushed-word").ok()?;
    pool.docker(&["push", &image]).ok()?;
    // With no other name of it left, every engine but the container's has to fetch it.
    for host in 1..=3 {
        let docker = Client::new("docker", &format!("unix://{}", lab.sock(host).display()));
        docker.run(&["rmi", "--force", &image, IMAGE]).ok()?;
    }
    let run = [&["run", "--detach", "--name", "web"], &MOVES[..], &[&image, "sleep", "1d"]];
    pool.docker(&run.concat()).ok()?;
    let from = pool.node_of("web")?;
    pool.manager().signal(Signal::SIGKILL)?;
    lab.kill(number(&from)?)?;
    drop(pool);
    for file in ["store.redb", "store.key"] {
        let bytes = std::fs::read(state.path().join(file))?;
        for secret in ["hushed-word", "aHVzaGVkLXdvcm", "h1c2hlZC13b3Jk", "odXNoZWQtd29yZ"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            ensure!(!found, "{secret} stands in {file}");
        }
    }
    // Another manager, whose client never logged in.
    let nodes = lab.nodes(3);
    let pool = Pool::launch(&lab, &[&arguments[..], &[nodes.as_str()]].concat())?;
    let (to, took) = pool.moved("web", &from, LONG)?;
    println!("a new manager's start to the private image elsewhere: {took:?}");
    ensure!(own(&lab, number(&to)?, false)?.iter().any(|name| name == "web"));
    lab.start(number(&from)?).map(drop)
}
