//! What the kernel says of a process: memory and CPU time.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub rss: u64,
    pub pss: u64,
    /// The highest RSS since it began or since the mark was cleared.
    pub peak: u64,
}

/// Reads `/proc/PID/status` and `smaps_rollup`.
pub fn memory(pid: u32) -> Result<Memory> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    let (status, rollup) = (read("status")?, read("smaps_rollup")?);
    Ok(Memory {
        rss: kib(&status, "VmRSS:"),
        pss: kib(&rollup, "Pss:"),
        peak: kib(&status, "VmHWM:"),
    })
}

fn kib(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// User and system time a process has used, in clock ticks of 10 ms.
pub fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(parse_cpu(&text))
}

/// The same of a process and of all that came from it and still run.
pub fn family_cpu(root: u32) -> Duration {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats: Vec<(u32, u32, Duration)> = processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent, parse_cpu(&stat)))
        })
        .collect();
    let (mut family, mut sum) = (vec![root], Duration::ZERO);
    while let Some(member) = family.pop() {
        for (pid, parent, cpu) in &stats {
            if *parent == member {
                family.push(*pid);
            }
            if *pid == member {
                sum += *cpu;
            }
        }
    }
    sum
}

/// Linux's USER_HZ is 100 on every architecture this runs on.
const TICK: Duration = Duration::from_millis(10);

fn parse_cpu(stat: &str) -> Duration {
    // The command may hold spaces and brackets; the fields follow its last bracket.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// Open descriptors of a process.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_after_the_last_bracket() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9 0 0";
        assert_eq!(parse_cpu(stat), Duration::from_secs(3));
        assert_eq!(parse_cpu("nonsense"), Duration::ZERO);
    }

    #[test]
    fn own_memory_is_read() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.rss > 0 && memory.peak >= memory.rss && memory.pss <= memory.rss * 2);
    }
}
