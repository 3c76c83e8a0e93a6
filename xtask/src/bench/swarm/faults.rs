//! Power cuts: silence, without a word that connections end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;
use swarm_testkit::lab::ask;

use super::cluster::{Cluster, LONG, each};
use super::service::{Service, Wanted};
use super::{Figures, HOSTS};

/// For a swarm to come to rest, and for every node to learn who manages.
const SETTLE: Duration = Duration::from_secs(6);
/// Between two attempts to write.
const ATTEMPT_EVERY: Duration = Duration::from_millis(100);
/// For an attempt; with [`ATTEMPT_EVERY`], it bounds how many wait at once.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How often the leader loses its power in the series.
const LOSSES: usize = 20;
/// Replicas: two on each host.
const REPLICAS: u64 = 10;

/// A worker loses its power; then two of the others are promoted, and the leader loses its own.
pub fn faults(cluster: &mut Cluster<'_>, figures: &mut Figures) -> Result<()> {
    let _service = Service::create(cluster, &Wanted { replicas: REPLICAS, constraints: &[] })?;
    Service::settled(cluster, usize::try_from(REPLICAS)?)?;
    std::thread::sleep(SETTLE);
    let took = moved(cluster, 1, HOSTS, Instant::now())?;
    figures.insert("worker cut", took);

    promote(cluster, &[2, 3])?;
    std::thread::sleep(SETTLE);
    let begun = Instant::now();
    let id = cluster.node(2, 1)?;
    cluster.lab.kill(1)?;
    figures.insert("leader cut, write", first_write(cluster, &[2, 3], begun)?);
    let took = elsewhere(cluster, 2, &id, begun)?;
    figures.insert("leader cut, tasks", took);
    Ok(())
}

/// The leader of three managers loses its power, again and again; who it was comes back before the next.
pub fn leaders(cluster: &mut Cluster<'_>, figures: &mut Figures) -> Result<()> {
    promote(cluster, &[2, 3])?;
    std::thread::sleep(SETTLE);
    let mut took = Vec::with_capacity(LOSSES);
    for _ in 0..LOSSES {
        let leader = leader(cluster)?;
        let others: Vec<u8> = (1..=3).filter(|host| *host != leader).collect();
        let begun = Instant::now();
        cluster.lab.kill(leader)?;
        took.push(first_write(cluster, &others, begun)?);
        cluster.revive(leader)?;
        three_managers(cluster, others.first().copied().unwrap_or(1))?;
    }
    took.sort_by(f64::total_cmp);
    figures.insert("losses, median", took.get(LOSSES / 2).copied().unwrap_or_default());
    figures.insert("losses, worst", took.last().copied().unwrap_or_default());
    Ok(())
}

/// Which of the first three hosts leads.
fn leader(cluster: &Cluster<'_>) -> Result<u8> {
    cluster.until("one of three managers leads", || {
        let nodes = cluster.get(1, "/nodes")?;
        let leading = each(&nodes).find(|node| node["ManagerStatus"]["Leader"] == true);
        let name = leading.and_then(|node| node["Description"]["Hostname"].as_str());
        Ok((1..=3).find(|host| name == Some(&*cluster.lab.hostname(*host))))
    })
}

/// Cuts a host's power; after how long all tasks run elsewhere.
fn moved(cluster: &Cluster<'_>, by: u8, host: u8, begun: Instant) -> Result<f64> {
    let id = cluster.node(by, host)?;
    cluster.lab.kill(host)?;
    elsewhere(cluster, by, &id, begun)
}

fn elsewhere(cluster: &Cluster<'_>, by: u8, dead: &str, begun: Instant) -> Result<f64> {
    cluster.until("all tasks run elsewhere", || {
        // A manager without a leader may refuse.
        let Ok(tasks) = Service::tasks(cluster, by) else { return Ok(None) };
        let alive = tasks.iter().filter(|task| task.runs() && task.node != dead).count();
        let dead = tasks.iter().any(|task| task.runs() && task.node == dead);
        Ok((u64::try_from(alive)? == REPLICAS && !dead).then_some(()))
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

fn promote(cluster: &Cluster<'_>, hosts: &[u8]) -> Result<()> {
    for host in hosts {
        let id = cluster.node(1, *host)?;
        let mut node = cluster.get(1, &format!("/nodes/{id}"))?;
        let version = node["Version"]["Index"].clone();
        let mut spec = node["Spec"].take();
        spec["Role"] = "manager".into();
        cluster.post(1, &format!("/nodes/{id}/update?version={version}"), &spec)?;
    }
    three_managers(cluster, 1)
}

fn three_managers(cluster: &Cluster<'_>, by: u8) -> Result<()> {
    cluster.until("three managers are reachable", || {
        // A manager that has just come back may refuse.
        let Ok(nodes) = cluster.get(by, "/nodes") else { return Ok(None) };
        let is_manager = |node: &&serde_json::Value| {
            node["ManagerStatus"]["Reachability"] == "reachable"
                && node["Status"]["State"] == "ready"
        };
        Ok((each(&nodes).filter(is_manager).count() == 3).then_some(()))
    })
}

/// After how long one of the managers takes a write. Attempts begin by period and wait for nobody:
/// what they wait for is what is measured.
fn first_write(cluster: &Cluster<'_>, managers: &[u8], begun: Instant) -> Result<f64> {
    static SERIES: AtomicU32 = AtomicU32::new(0);
    let series = SERIES.fetch_add(1, Ordering::Relaxed);
    let (done, taken) = mpsc::channel();
    for (number, host) in managers.iter().cycle().enumerate() {
        let (sock, done) = (cluster.sock(*host), done.clone());
        let config = json!({ "Name": format!("write-{series}-{number}"), "Data": "eA==" });
        std::thread::spawn(move || {
            let answer = ask(&sock, "POST", "/configs/create", &config, ATTEMPT);
            if answer.is_ok_and(|answer| answer.status == 201) {
                // Another may have been faster.
                let _ = done.send(Instant::now());
            }
        });
        if let Ok(at) = taken.recv_timeout(ATTEMPT_EVERY) {
            return Ok(at.duration_since(begun).as_secs_f64());
        }
        if begun.elapsed() > LONG {
            break;
        }
    }
    bail!("no manager takes a write")
}
