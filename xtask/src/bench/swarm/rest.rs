//! A swarm that has nothing to do: memory and CPU of a worker with 50 tasks, and of the manager.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Figures;
use super::cluster::Cluster;
use super::cost::{cpu_of, memory_of};
use super::service::{Service, Wanted};

/// Tasks on the one worker.
const TASKS: u64 = 50;
/// Until what the start has caused is over.
const SETTLE: Duration = Duration::from_secs(10);
/// How long CPU is counted: a tick of 10 ms is then 0.03 %.
const WATCH: Duration = Duration::from_secs(30);

pub fn rest(cluster: &mut Cluster<'_>, figures: &mut Figures) -> Result<()> {
    let name = cluster.lab.hostname(2);
    let here = format!("node.hostname=={name}");
    let service = Service::create(cluster, &Wanted { replicas: TASKS, constraints: &[&here] })?;
    Service::settled(cluster, usize::try_from(TASKS)?)?;
    std::thread::sleep(SETTLE);
    let names = [
        (1, ["manager MiB", "manager MiB, swarm", "manager CPU", "manager CPU, swarm"]),
        (2, ["worker MiB", "worker MiB, swarm", "worker CPU", "worker CPU, swarm"]),
    ];
    let begun = Instant::now();
    let before = names.map(|(host, _)| cpu_of(cluster, host));
    std::thread::sleep(WATCH);
    let seconds = begun.elapsed().as_secs_f64();
    for ((host, [mib, own_mib, cpu, own_cpu]), before) in names.into_iter().zip(before) {
        let (used, memory) = (cpu_of(cluster, host).since(before), memory_of(cluster, host));
        figures.extend([
            (mib, memory.daemons),
            (own_mib, memory.swarm),
            (cpu, used.daemons / seconds * 100.0),
            (own_cpu, used.swarm / seconds * 100.0),
        ]);
    }
    service.remove(cluster)
}
