//! What hosts cost, from `/proc`: CPU time of everything that ran on them, and of their daemons alone.
//!
//! A host is a PID namespace whose first process reaps what its parent left, so the times of live
//! processes and of the children that they have reaped are all there is. Containers have namespaces of
//! their own, and sleep.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::HOSTS;
use super::cluster::Cluster;

/// Linux's USER_HZ is 100 on every architecture this runs on.
const TICK: Duration = Duration::from_millis(10);
/// The engine's own; shims, runc and others are the containers'.
const ENGINE: [&str; 2] = ["dockerd", "containerd"];

/// CPU seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// Of everything.
    pub all: f64,
    /// Of the daemons.
    pub daemons: f64,
    /// Of `swarm daemon`.
    pub swarm: f64,
}

impl Cpu {
    /// What was used since.
    pub fn since(self, before: Self) -> Self {
        Self {
            all: self.all - before.all,
            daemons: self.daemons - before.daemons,
            swarm: self.swarm - before.swarm,
        }
    }
}

/// Resident memory in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Of the daemons.
    pub daemons: f64,
    /// Of `swarm daemon`.
    pub swarm: f64,
}

/// What the swarm has used so far.
pub fn cpu(cluster: &Cluster<'_>) -> Cpu {
    (1..=HOSTS).map(|host| cpu_of(cluster, host)).fold(Cpu::default(), |sum, one| Cpu {
        all: sum.all + one.all,
        daemons: sum.daemons + one.daemons,
        swarm: sum.swarm + one.swarm,
    })
}

/// What one host has used so far.
pub fn cpu_of(cluster: &Cluster<'_>, host: u8) -> Cpu {
    let mut cpu = Cpu::default();
    for process in processes(cluster, host) {
        cpu.all += process.own + process.reaped;
        if process.is_ours(cluster) {
            cpu.swarm += process.own;
            cpu.daemons += process.own;
        } else if ENGINE.contains(&process.name.as_str()) {
            cpu.daemons += process.own;
        }
    }
    cpu
}

/// What one host's daemons hold.
pub fn memory_of(cluster: &Cluster<'_>, host: u8) -> Memory {
    let mut memory = Memory::default();
    for process in processes(cluster, host) {
        if process.is_ours(cluster) {
            memory.swarm += process.resident;
            memory.daemons += process.resident;
        } else if ENGINE.contains(&process.name.as_str()) {
            memory.daemons += process.resident;
        }
    }
    memory
}

struct Process {
    name: String,
    own: f64,
    reaped: f64,
    resident: f64,
}

impl Process {
    /// The kernel keeps the first 15 bytes of a program's name.
    fn is_ours(&self, cluster: &Cluster<'_>) -> bool {
        cluster.program.as_bytes().iter().take(15).eq(self.name.as_bytes())
    }
}

/// The processes of a host; one that ends meanwhile is left out.
fn processes(cluster: &Cluster<'_>, host: u8) -> Vec<Process> {
    let Some(init) = cluster.lab.init(host) else { return Vec::new() };
    let Ok(space) = fs::read_link(format!("/proc/{init}/ns/pid")) else { return Vec::new() };
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers: BTreeSet<u32> =
        listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let is_inside =
        |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|own| own == space);
    numbers.into_iter().filter(is_inside).filter_map(process).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let (name, own, reaped) = parse(&stat)?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
    Some(Process { name, own, reaped, resident: f64::from(kib.unwrap_or(0)) / 1024.0 })
}

/// The name, and the seconds of a process and of the children that it has reaped.
fn parse(stat: &str) -> Option<(String, f64, f64)> {
    // The name may hold spaces and brackets; the fields follow its last bracket.
    let (head, fields) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut seconds = || Some((TICK * ticks.next()?.ok()?).as_secs_f64());
    let own = seconds()? + seconds()?;
    let reaped = seconds()? + seconds()?;
    Some((name, own, reaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_process_and_of_its_children_are_read() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 10 30 20 0 1 0 9 0 0";
        assert_eq!(parse(stat), Some(("a ) b".to_owned(), 3.0, 0.4)));
        assert_eq!(parse("nonsense"), None);
    }
}
