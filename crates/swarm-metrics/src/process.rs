//! This process, by the names that every Prometheus client library gives it: start, CPU time,
//! memory, descriptors, threads. Read from `/proc/self` when somebody asks.
//!
//! What cannot be read is left out, never told as zero.

use std::collections::HashMap;
use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The unit of times in `/proc/PID/stat`, per second: the kernel's `USER_HZ`, which is 100 for
/// programs on every architecture that Docker runs on, whatever the kernel counts in.
const TICKS: f64 = 100.0;

/// Registers the process, and what is built into it.
pub fn register(registry: &mut Registry, version: &'static str, commit: &'static str) {
    registry.register_collector(Box::new(Process));
    registry.register(
        "swarm_build",
        "The version that runs, and the commit it was built from",
        Info::new([("version", version), ("commit", commit)]),
    );
}

#[derive(Debug)]
struct Process;

/// What is read of the process.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    cpu: Option<f64>,
    start: Option<f64>,
    resident: Option<f64>,
    virtual_: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

impl Reading {
    fn now() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            // One of them is what the listing itself holds open.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .and_then(|listed| u32::try_from(listed.count()).ok())
                .map(|count| f64::from(count.saturating_sub(1))),
            ..Self::parse(
                &text("/proc/self/stat"),
                &text("/proc/stat"),
                &text("/proc/self/status"),
                &text("/proc/self/limits"),
            )
        }
    }

    /// From `/proc/self/stat`, `/proc/stat`, `/proc/self/status` and `/proc/self/limits`.
    fn parse(stat: &str, system: &str, status: &str, limits: &str) -> Self {
        // The second field is the program's name, which may hold anything: what counts begins after
        // its closing bracket, with the third.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let boot =
            system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
        let sizes: HashMap<&str, f64> = status
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.split_once(':')?;
                Some((name, rest.split_whitespace().next()?.parse().ok()?))
            })
            .collect();
        let kib = |name| sizes.get(name).map(|size| size * 1024.0);
        Self {
            cpu: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
            start: boot.zip(field(22)).map(|(boot, after)| boot + after / TICKS),
            resident: kib("VmRSS"),
            virtual_: kib("VmSize"),
            threads: sizes.get("Threads").copied(),
            open_fds: None,
            max_fds: limits.lines().find_map(|line| {
                let soft = line.strip_prefix("Max open files")?.split_whitespace().next()?;
                soft.parse().ok()
            }),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let reading = Reading::now();
        if let Some(cpu) = reading.cpu {
            let (help, unit) = ("Processor time spent, in user and in system mode.", Unit::Seconds);
            let metric = ConstCounter::new(cpu);
            let encoder = encoder.encode_descriptor(
                "process_cpu",
                help,
                Some(&unit),
                metric.metric_type(),
            )?;
            metric.encode(encoder)?;
        }
        for (name, help, unit, value) in [
            (
                "process_start_time",
                "When the process started, in seconds since 1970.",
                Some(Unit::Seconds),
                reading.start,
            ),
            (
                "process_resident_memory",
                "Memory in use, as the kernel counts it.",
                Some(Unit::Bytes),
                reading.resident,
            ),
            (
                "process_virtual_memory",
                "Address space in use.",
                Some(Unit::Bytes),
                reading.virtual_,
            ),
            ("process_threads", "Threads of the process.", None, reading.threads),
            ("process_open_fds", "Open file descriptors.", None, reading.open_fds),
            ("process_max_fds", "How many file descriptors may be open.", None, reading.max_fds),
        ] {
            let Some(value) = value else { continue };
            let metric = ConstGauge::new(value);
            let encoder =
                encoder.encode_descriptor(name, help, unit.as_ref(), metric.metric_type())?;
            metric.encode(encoder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn proc_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 12345 1 2 3";
        let status = "Name:\ta\nVmSize:\t    2000 kB\nVmRSS:\t  1000 kB\nThreads:\t9\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        let reading = Reading::parse(stat, "cpu 1 2\nbtime 1000\n", status, limits);
        let expected = Reading {
            cpu: Some(3.0),
            start: Some(1123.45),
            resident: Some(1_024_000.0),
            virtual_: Some(2_048_000.0),
            threads: Some(9.0),
            open_fds: None,
            max_fds: Some(1024.0),
        };
        assert_eq!(reading, expected);
        assert_eq!(Reading::parse("", "", "", ""), Reading::default(), "nothing is told as zero");
    }

    #[test]
    fn this_process_is_told_as_it_is() {
        let reading = Reading::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - reading.start.unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age} s old");
        assert!(reading.cpu.unwrap() < 3600.0);
        assert!(reading.resident.unwrap() > 500_000.0, "{reading:?}");
        assert!(reading.virtual_.unwrap() >= reading.resident.unwrap(), "{reading:?}");
        assert!(reading.threads.unwrap() >= 1.0);
        let opened = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(Reading::now().open_fds.unwrap() >= 4.0, "{reading:?}");
        drop(opened);
        assert!(reading.max_fds.unwrap() >= reading.open_fds.unwrap());
    }
}
