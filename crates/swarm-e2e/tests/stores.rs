//! Pools that live in a real Consul, etcd or ZooKeeper, over real engines: registering and leaving,
//! outages of agents and of the store, and containers that move under two managers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{IMAGE, Kind, Lab, Pool, Scratch, Stored, Watch, host_number as number, until};

/// Who was without the store tries again every 15 s at the latest.
const SOON: Duration = Duration::from_mins(1);
/// What is done at once may take so long on a machine that runs other tests; what is not heard of comes with the
/// next reading.
const AT_ONCE: Duration = Duration::from_secs(10);
const GRACE: [&str; 2] = ["--cluster-opt", "swarm.reschedule.grace=1s"];
const MOVES: [&str; 2] = ["-e", "reschedule:on-node-failure"];

/// How many nodes a manager knows, whatever their state.
fn known(pool: &Pool) -> Result<usize> {
    let info = pool.manager().get("/info")?;
    let rows = info["SystemStatus"].as_array().cloned().unwrap_or_default();
    let nodes = rows.iter().find(|row| row[0].as_str().is_some_and(|name| name.trim() == "Nodes"));
    Ok(nodes.and_then(|row| row[1].as_str()?.parse().ok()).unwrap_or_default())
}

fn knows(pool: &Pool, nodes: usize, limit: Duration) -> Result<Duration> {
    let begun = Instant::now();
    until(limit, format_args!("{nodes} nodes are known"), || {
        Ok((known(pool)? == nodes).then_some(()))
    })?;
    Ok(begun.elapsed())
}

/// Engines register, leave, and are dropped when nobody vouches for them and they are gone.
fn engines_come_and_go(lab: &Lab, stored: &Stored<'_>, agents: &mut Vec<Watch>) -> Result<()> {
    for host in 1..=3 {
        agents.push(stored.join(host)?);
    }
    let engines: Vec<_> = (1..=3).map(|host| stored.engine(host)).collect();
    stored.lists(&[1, 2, 3], SOON)?;
    ensure!(stored.nodes()? == engines, "the keys are {:?}", stored.nodes()?);
    let pool = stored.manage(&[])?;
    pool.manager().wait_healthy(3, SOON)?;

    let stopped = Instant::now();
    agents[2].signal(Signal::SIGTERM)?;
    ensure!(agents[2].wait_end(SOON)?.success(), "{:?}", agents[2].lines());
    // Taken out by itself, and not when it has run out.
    ensure!(stored.nodes()? == engines[..2], "the keys are {:?}", stored.nodes()?);
    knows(&pool, 2, AT_ONCE)?;
    println!("an agent's clean stop to the node gone: {:?}", stopped.elapsed());
    agents[2] = stored.join(3)?;
    pool.manager().wait_healthy(3, SOON)?;

    // Nobody renews it: it is not registered any more, and stays while it answers.
    let killed = Instant::now();
    agents[0].signal(Signal::SIGKILL)?;
    stored.lists(&[2, 3], stored.kept() + SOON)?;
    println!("a killed agent's registration was over after {:?}", killed.elapsed());
    // It was renewed a second before at the latest, and ZooKeeper's leases are a quarter shorter.
    ensure!(killed.elapsed() > Duration::from_secs(1), "that was too early");
    let stays = "no longer registered, and still answers: it stays";
    until(SOON, "the manager has seen it", || {
        Ok(pool.manager().log().contains(stays).then_some(()))
    })?;
    ensure!(known(&pool)? == 3 && pool.manager().nodes_with_status("Healthy")? == 3);
    pool.docker(&["create", "-e", "constraint:node==host-1", "--name", "there", IMAGE]).ok()?;
    lab.kill_dockerd(1)?;
    let took = knows(&pool, 2, SOON)?;
    println!("its engine's end to the node gone: {took:?}");
    lab.start_dockerd(1)?;
    agents[0] = stored.join(1)?;
    pool.manager().wait_healthy(3, SOON)?;
    pool.docker(&["rm", "there"]).ok().map(drop)
}

/// The store is away for longer than a registration lives.
fn the_store_goes_and_returns(stored: &mut Stored<'_>) -> Result<()> {
    let pool = stored.manage(&[])?;
    pool.manager().wait_healthy(3, SOON)?;
    // It has read what the store keeps; a manager that has not refuses to keep more.
    pool.docker(&["run", "--rm", IMAGE, "true"]).ok()?;
    stored.stop()?;
    let stopped = Instant::now();
    let mut run = 0;
    while stopped.elapsed() < Stored::TTL + Duration::from_secs(3) {
        run += 1;
        pool.docker(&["run", "--rm", IMAGE, "true"]).ok()?;
        ensure!(known(&pool)? == 3, "a node is gone with the store");
    }
    let begun = Instant::now();
    stored.restart()?;
    println!(
        "{run} containers were run without the store; it was up again in {:?}",
        begun.elapsed()
    );
    // The first reading may still show what was registered before.
    until(SOON, "all have registered again", || {
        ensure!(known(&pool)? == 3, "a node is gone after the store's return");
        Ok((stored.nodes()?.len() == 3).then_some(()))
    })?;
    // Their leases are renewed, and not the last of the old ones.
    let until_old_ones_ran_out = Instant::now() + Stored::TTL + Duration::from_secs(2);
    while Instant::now() < until_old_ones_ran_out {
        ensure!(pool.manager().nodes_with_status("Healthy")? == 3);
        std::thread::sleep(Duration::from_millis(100));
    }
    stored.lists(&[1, 2, 3], SOON)?;
    pool.docker(&["run", "--rm", IMAGE, "true"]).ok().map(drop)
}

/// Two managers, the first of them the primary.
fn two(lab: &Lab, stored: &Stored<'_>) -> Result<[Pool; 2]> {
    let ttl = format!("{}s", Stored::TTL.as_secs());
    let manage = |number: u8| {
        let api = format!("{}:400{number}", lab.ip(0));
        let host = format!("tcp://{api}");
        let replication = ["--replication", "--replication-ttl", &ttl, "--advertise", &api];
        stored.manage(&[&["--host", &host][..], &replication, &GRACE].concat())
    };
    let first = manage(1)?;
    leads(&first, SOON)?;
    let second = manage(2)?;
    for pool in [&first, &second] {
        pool.manager().wait_healthy(3, SOON)?;
    }
    Ok([first, second])
}

fn leads(pool: &Pool, limit: Duration) -> Result<()> {
    until(limit, "it is the primary", || {
        let info = pool.manager().get("/info")?.to_string();
        Ok(info.contains(r#"["Role","primary"]"#).then_some(()))
    })
}

/// An engine fails, and then another one together with the manager that moved its container.
fn containers_move(lab: &Lab, stored: &Stored<'_>, agents: &mut [Watch]) -> Result<()> {
    let [mut first, second] = two(lab, stored)?;
    let limit = 2 * stored.kept() + SOON;
    second.sleeper("web", &MOVES).ok()?;
    let from = first.node_of("web")?;
    // A machine's agent goes with it.
    agents[usize::from(number(&from)? - 1)].signal(Signal::SIGKILL)?;
    lab.kill(number(&from)?)?;
    let (to, took) = second.moved("web", &from, limit)?;
    println!("a power cut to the container elsewhere: {took:?}");
    lab.start(number(&from)?)?;
    agents[usize::from(number(&from)? - 1)] = stored.join(number(&from)?)?;
    first.manager().wait_healthy(3, SOON)?;
    second.manager().wait_healthy(3, SOON)?;

    first.manager().signal(Signal::SIGKILL)?;
    agents[usize::from(number(&to)? - 1)].signal(Signal::SIGKILL)?;
    lab.kill(number(&to)?)?;
    first.manager_mut().wait_end(SOON)?;
    let (last, took) = second.moved("web", &to, limit)?;
    println!("a power cut of manager and engine to the container elsewhere: {took:?}");
    leads(&second, SOON)?;
    let running = |host: u8| lab.sh(host, "docker ps --quiet --filter name=web");
    for host in (1..=3).filter(|host| number(&to).is_ok_and(|gone| gone != *host)) {
        let copies = running(host)?.lines().count();
        ensure!(copies == usize::from(host == number(&last)?), "host {host} runs {copies} of it");
    }
    Ok(())
}

fn lives_in(kind: Kind) -> Result<()> {
    let lab = Scratch::boot(3, |_| {})?;
    let mut stored = Stored::start(&lab, kind)?;
    let mut agents = Vec::new();
    engines_come_and_go(&lab, &stored, &mut agents)?;
    the_store_goes_and_returns(&mut stored)?;
    containers_move(&lab, &stored, &mut agents)
}

#[test]
fn a_pool_lives_in_consul() -> Result<()> {
    lives_in(Kind::Consul)
}

#[test]
fn a_pool_lives_in_etcd() -> Result<()> {
    lives_in(Kind::Etcd)
}

#[test]
fn a_pool_lives_in_zookeeper() -> Result<()> {
    lives_in(Kind::ZooKeeper)
}
