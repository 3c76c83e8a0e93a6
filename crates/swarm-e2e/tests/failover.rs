//! Containers that move when their engine fails, and managers that take over, on real engines.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{Client, IMAGE, Lab, Pool, exclusive, until};
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

/// Waits until the pool shows `name` running on another node than `from`; which, and after how long.
fn moved(pool: &Pool, name: &str, from: &str) -> Result<(String, Duration)> {
    let start = Instant::now();
    let to = until(LONG, format_args!("{name} runs elsewhere"), || {
        let listed = pool.docker(&["ps", "--format", "{{.Names}} {{.Status}}"]).ok()?;
        let line = listed.lines().find(|line| line.contains(&format!("/{name} Up")));
        let node = line.and_then(|line| line.split('/').next()).filter(|node| *node != from);
        Ok(node.map(str::to_owned))
    })?;
    Ok((to, start.elapsed()))
}

fn number(host: &str) -> Result<u8> {
    Ok(host.trim_start_matches("host-").parse()?)
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
    let (to, took) = moved(&pool, "web", &from)?;
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
    let (to, took) = moved(&pool, "web", &from)?;
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

/// Three managers that keep the store themselves, on the fabric's address.
struct Managers {
    pools: Vec<Pool>,
    _state: TempDir,
}

fn three(lab: &Lab) -> Result<Managers> {
    let state = TempDir::new()?;
    let address = lab.ip(0);
    let nodes = lab.nodes(3);
    let mut pools = Vec::new();
    for i in 1..=3_u16 {
        let folder = state.path().join(format!("m{i}")).display().to_string();
        let (listen, api) = (format!("{address}:{}", 3000 + i), format!("{address}:{}", 4000 + i));
        let host = format!("tcp://{api}");
        let mut arguments = vec![
            "--host",
            &host,
            "--data-dir",
            &folder,
            "--store-listen",
            &listen,
            "--replication",
            "--replication-ttl",
            "4s",
            "--advertise",
            &api,
        ];
        arguments.extend(GRACE);
        let first = format!("{address}:3001");
        let token = state.path().join("m1/join-token.manager").display().to_string();
        if i > 1 {
            arguments.extend(["--store-join", &first, "--store-token-file", &token]);
        }
        arguments.push(&nodes);
        pools.push(Pool::launch(lab, &arguments)?);
        if i == 1 {
            until(LONG, "the token is there", || {
                Ok(state.path().join("m1/join-token.manager").exists().then_some(()))
            })?;
        }
    }
    for pool in &pools {
        pool.manager().wait_healthy(3, LONG)?;
    }
    Ok(Managers { pools, _state: state })
}

impl Managers {
    fn role(&self, i: usize) -> Result<String> {
        let rows = self.pools[i].manager().get("/info")?["SystemStatus"].clone();
        let rows = rows.as_array().cloned().unwrap_or_default();
        let role = rows.iter().find(|row| row[0] == "Role").map(|row| row[1].clone());
        Ok(role.and_then(|role| role.as_str().map(str::to_owned)).unwrap_or_default())
    }

    fn primary(&self, among: &[usize]) -> Result<usize> {
        until(LONG, "there is a primary", || {
            for i in among {
                if self.role(*i)? == "primary" {
                    return Ok(Some(*i));
                }
            }
            Ok(None)
        })
    }
}

#[test]
fn managers_take_over_and_a_primary_that_was_frozen_changes_nothing() -> Result<()> {
    let lab = exclusive()?;
    let managers = three(&lab)?;
    let first = managers.primary(&[0, 1, 2])?;
    let others: Vec<usize> = (0..3).filter(|i| *i != first).collect();
    // Through a replica.
    let replica = &managers.pools[others[0]];
    replica.sleeper("web", &MOVES).ok()?;
    let from = replica.node_of("web")?;
    managers.pools[first].manager().signal(Signal::SIGSTOP)?;
    let start = Instant::now();
    let second = managers.primary(&others)?;
    println!("a frozen primary to the next one (ttl 4 s): {:?}", start.elapsed());
    let pool = &managers.pools[second];
    until(LONG, "a write goes through", || {
        Ok(pool.docker(&["create", "--name", "after", IMAGE]).ok().is_ok().then_some(()))
    })?;
    lab.kill(number(&from)?)?;
    let (to, _) = moved(pool, "web", &from)?;
    // It wakes with an engine gone that it knew, and with a lock that is another's by now.
    managers.pools[first].manager().signal(Signal::SIGCONT)?;
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
