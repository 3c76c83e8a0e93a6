//! The machine and the load, for the head of the table.

use serde_json::{Value, json};

use crate::limits;

/// What a reader must know to compare figures.
#[derive(Debug)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    pub load: String,
    pub manager: String,
}

impl Machine {
    /// Reads it from `/proc`; `manager` is what the manager's `--version` says.
    pub fn observe(manager: String) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            text.lines()
                .find(|line| line.starts_with(key))
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib / 1024 / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load(),
            manager,
        }
    }

    pub fn markdown(&self) -> String {
        format!(
            "Machine: {}, {} cores, {} GiB, Linux {}; open files {}. Manager: {}. The fleet, the manager and the driver share the cores. Load average before the run: {}; after it: {}.",
            self.cpu,
            self.cores,
            self.memory_gib,
            self.kernel,
            limits::open_files(),
            self.manager,
            self.load,
            load(),
        )
    }

    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "memory_gib": self.memory_gib,
            "kernel": self.kernel, "load_before": self.load, "load_after": load(),
            "manager": self.manager
        })
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
