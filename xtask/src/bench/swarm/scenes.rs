//! What a healthy swarm is asked to do, timed from the request to what the API shows at its end, with
//! the CPU seconds of all hosts.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Figures;
use super::cluster::Cluster;
use super::cost::{Cpu, cpu};
use super::service::{Service, Wanted};

/// What is left to do when all tasks run (words that are written, health that is looked at) is counted
/// with it.
const AFTERMATH: Duration = Duration::from_secs(2);

/// A stretch that is timed.
struct Stretch {
    begun: Instant,
    before: Cpu,
}

impl Stretch {
    fn begin(cluster: &Cluster<'_>) -> Self {
        Self { before: cpu(cluster), begun: Instant::now() }
    }

    /// Notes the seconds till now, and the CPU seconds till a moment later.
    fn end(self, cluster: &Cluster<'_>, names: [&'static str; 4], figures: &mut Figures) {
        let took = self.begun.elapsed().as_secs_f64();
        std::thread::sleep(AFTERMATH);
        let used = cpu(cluster).since(self.before);
        let [time, daemons, swarm, all] = names;
        let costs = [(daemons, used.daemons), (swarm, used.swarm), (all, used.all)];
        figures.insert(time, took);
        figures.extend(costs);
    }
}

/// 20 and 50 replicas from nothing.
pub fn create(cluster: &mut Cluster<'_>, figures: &mut Figures) -> Result<()> {
    let sizes = [
        (20, ["create 20", "create 20, daemons", "create 20, swarm", "create 20, all"]),
        (50, ["create 50", "create 50, daemons", "create 50, swarm", "create 50, all"]),
    ];
    for (replicas, names) in sizes {
        let stretch = Stretch::begin(cluster);
        let wanted = Wanted { replicas, constraints: &[] };
        let service = Service::create(cluster, &wanted)?;
        Service::settled(cluster, usize::try_from(replicas)?)?;
        stretch.end(cluster, names, figures);
        service.remove(cluster)?;
    }
    Ok(())
}

/// From 1 replica to 30, and back.
pub fn scale(cluster: &mut Cluster<'_>, figures: &mut Figures) -> Result<()> {
    let service = Service::create(cluster, &Wanted { replicas: 1, constraints: &[] })?;
    Service::settled(cluster, 1)?;
    let stretch = Stretch::begin(cluster);
    service.scale(cluster, 30)?;
    Service::settled(cluster, 30)?;
    stretch.end(cluster, ["up", "up, daemons", "up, swarm", "up, all"], figures);
    let stretch = Stretch::begin(cluster);
    service.scale(cluster, 1)?;
    Service::settled(cluster, 1)?;
    stretch.end(cluster, ["down", "down, daemons", "down, swarm", "down, all"], figures);
    service.remove(cluster)
}

/// 10 replicas, two at a time.
pub fn update(cluster: &mut Cluster<'_>, figures: &mut Figures) -> Result<()> {
    let service = Service::create(cluster, &Wanted { replicas: 10, constraints: &[] })?;
    Service::settled(cluster, 10)?;
    let stretch = Stretch::begin(cluster);
    let begun = stretch.begun;
    service.change(cluster, |spec| {
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = serde_json::json!(["VERSION=2"]);
    })?;
    cluster.until("ten new tasks run", || {
        let tasks = Service::tasks(cluster, 1)?;
        let is_new = |env: &[String]| env.iter().any(|one| one == "VERSION=2");
        let new = tasks.iter().filter(|task| task.runs() && is_new(&task.env)).count();
        let old = tasks.iter().any(|task| task.state == "running" && !is_new(&task.env));
        Ok((new == 10 && !old).then_some(()))
    })?;
    let replaced = begun.elapsed().as_secs_f64();
    cluster.until("the update is completed", || {
        let state = service.inspect(cluster)?["UpdateStatus"]["State"].take();
        Ok((state == "completed").then_some(()))
    })?;
    stretch.end(cluster, ["completed", "update, daemons", "update, swarm", "update, all"], figures);
    figures.insert("update", replaced);
    service.remove(cluster)
}
