//! `GET /info`: the pool as one engine, with the rows classic Swarm's users know.
//!
//! The rows go out as `SystemStatus` (API v1.22 and up), where classic Swarm put them, where its
//! tools look for them, and from where the docker CLI prints them.

use serde_json::{Map, Value, json};
use swarm_backend::{ApiError, InSwarm, Result};
use swarm_docker::json::write_string;
use swarm_docker::units;

use crate::Pool;
use crate::engine::{EngineView, Status};

/// A clock further off than this is worth a line.
const NOTABLE_SKEW_MILLIS: i64 = 1_000;

impl Pool {
    /// The answer.
    pub(super) fn info_json(&self) -> Result<Vec<u8>> {
        let engines = self.members.all();
        let mut views: Vec<_> = engines.iter().map(|engine| engine.view()).collect();
        views.sort_by(|a, b| (a.label(), &a.address).cmp(&(b.label(), &b.address)));
        let mut totals = Totals::default();
        let election = &self.shared.config.election;
        totals.warnings.extend(election.warning().map(|warning| format!("WARNING: {warning}")));
        for view in &views {
            totals.add(view);
        }
        let mut rows = Rows::default();
        for (name, value) in election.rows() {
            rows.put(name, value);
        }
        rows.put("Strategy", self.shared.scheduler.strategy());
        rows.put("Filters", self.shared.scheduler.filters());
        for (name, value) in self.kept_rows() {
            rows.put(name, value);
        }
        rows.put("Nodes", views.len().to_string());
        for view in &views {
            rows.splice(view.info_rows.get_or_init(|| Rows::of_engine(view)));
        }
        let served = swarm_backend::System::served(self);
        let mut info = fixed_fields();
        if let Some(swarm) = self.swarm() {
            let part = serde_json::from_slice(&swarm.swarm_info()?);
            let part: Value = part.map_err(|error| ApiError::system(error.to_string()))?;
            info.insert("Swarm".to_owned(), part);
        }
        let version = self.shared.config.build.version;
        let own = json!({
            "ID": "",
            "Name": hostname(),
            "Containers": totals.containers,
            "ContainersRunning": totals.running,
            "ContainersPaused": totals.paused,
            "ContainersStopped": totals.stopped,
            "Images": totals.images,
            "NCPU": totals.cpus,
            "MemTotal": totals.memory,
            "NEventsListener": self.shared.events.listeners(),
            "NGoroutines": 0,
            "NFd": 0,
            "SystemTime": jiff::Timestamp::now().to_string(),
            "ServerVersion": format!("swarm/{version}"),
            "KernelVersion": kernel(),
            "OperatingSystem": std::env::consts::OS,
            "OSType": std::env::consts::OS,
            "Architecture": std::env::consts::ARCH,
            "ApiVersion": served.newest.to_string(),
            "Warnings": totals.warnings,
        });
        if let Value::Object(own) = own {
            info.extend(own);
        }
        let mut json =
            serde_json::to_vec(&info).map_err(|error| ApiError::system(error.to_string()))?;
        // The rows of a large pool are a megabyte of text that hardly changes: they are not parsed
        // into values, but spliced as they are before the closing brace.
        json.pop();
        json.extend_from_slice(b",\"SystemStatus\":[");
        json.extend_from_slice(&rows.0);
        json.extend_from_slice(b"]}");
        Ok(json)
    }
}

/// What a client expects to find in `GET /info` (v1.24 to v1.52) and a pool has nothing to say of.
fn fixed_fields() -> Map<String, Value> {
    let fields = json!({
        "Driver": "",
        "DriverStatus": [],
        "Plugins": {"Volume": [], "Network": [], "Authorization": [], "Log": []},
        "MemoryLimit": true,
        "SwapLimit": true,
        "KernelMemory": true,
        "KernelMemoryTCP": true,
        "CpuCfsPeriod": true,
        "CpuCfsQuota": true,
        "CPUShares": true,
        "CPUSet": true,
        "PidsLimit": true,
        "OomKillDisable": true,
        "IPv4Forwarding": true,
        "BridgeNfIptables": true,
        "BridgeNfIp6tables": true,
        "Debug": false,
        "LoggingDriver": "",
        "CgroupDriver": "",
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
        "GenericResources": null,
        "DockerRootDir": "",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Labels": [],
        "ExperimentalBuild": false,
        "Runtimes": {},
        "DefaultRuntime": "",
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive",
                  "ControlAvailable": false, "Error": "", "RemoteManagers": null},
        "LiveRestoreEnabled": false,
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": {"ID": "", "Expected": ""},
        "RuncCommit": {"ID": "", "Expected": ""},
        "InitCommit": {"ID": "", "Expected": ""},
        "SecurityOptions": [],
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[derive(Default)]
struct Totals {
    containers: usize,
    running: usize,
    paused: usize,
    stopped: usize,
    images: usize,
    cpus: i64,
    memory: i64,
    warnings: Vec<String>,
}

impl Totals {
    fn add(&mut self, view: &EngineView) {
        self.containers += view.counts.total();
        self.running += view.counts.running;
        self.paused += view.counts.paused;
        self.stopped += view.counts.stopped;
        self.images += view.images.len();
        if let Some(known) = &view.identity {
            self.cpus += known.cpus;
            self.memory += known.memory;
            if let Some(skew) = known.skew_millis.filter(|skew| skew.abs() > NOTABLE_SKEW_MILLIS) {
                self.warnings.push(format!(
                    "WARNING: the clock of node {} is {} the manager's",
                    known.name,
                    skew_words(skew)
                ));
            }
        }
        if !view.status.is_reachable() {
            let error = view.error.as_deref().unwrap_or("not reached yet");
            // Counted as classic Swarm did, as it was seen last: who reads the numbers is told.
            let counted = match view.counts.running {
                0 => String::new(),
                running => format!(
                    "; {running} of ContainersRunning are what ran there when last heard of"
                ),
            };
            self.warnings.push(format!(
                "WARNING: node {} is {}: {error}{counted}",
                view.label(),
                view.status.to_string().to_lowercase()
            ));
        }
    }
}

/// Rows of the table: pairs in JSON, with commas between them.
#[derive(Default)]
struct Rows(Vec<u8>);

impl Rows {
    fn put(&mut self, key: impl AsRef<str>, value: impl AsRef<str>) {
        self.splice(b"[");
        write_string(&mut self.0, key.as_ref());
        self.0.push(b',');
        write_string(&mut self.0, value.as_ref());
        self.0.push(b']');
    }

    /// Adds what is ready.
    fn splice(&mut self, ready: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(ready);
    }

    fn of_engine(view: &EngineView) -> Box<[u8]> {
        let mut rows = Self::default();
        rows.engine(view);
        rows.0.into()
    }

    /// One engine's block, in classic Swarm's form.
    fn engine(&mut self, view: &EngineView) {
        let known = view.identity.as_deref();
        let name = known.map_or("(unknown)", |known| known.name.as_str());
        self.put(format!(" {name}"), &*view.address);
        self.put("  └ ID", known.map_or("(unknown)", |known| known.id.as_str()));
        self.put("  └ Status", view.status.to_string());
        let counts = view.counts;
        self.put(
            "  └ Containers",
            format!(
                "{} ({} Running, {} Paused, {} Stopped)",
                counts.total(),
                counts.running,
                counts.paused,
                counts.stopped
            ),
        );
        let (cpus, memory) = known.map_or((0, 0), |known| (known.cpus, known.memory));
        self.put("  └ Reserved CPUs", format!("{} / {cpus}", units::cpus(view.reserved.nano_cpus)));
        self.put(
            "  └ Reserved Memory",
            format!("{} / {}", units::bytes(view.reserved.memory), units::bytes(memory)),
        );
        let labels: Vec<String> = known
            .map(|known| known.labels.iter().map(|(key, value)| format!("{key}={value}")).collect())
            .unwrap_or_default();
        self.put("  └ Labels", labels.join(", "));
        let skew =
            known.and_then(|known| known.skew_millis).filter(|_| view.status != Status::Pending);
        if let Some(skew) = skew.filter(|skew| skew.abs() > NOTABLE_SKEW_MILLIS) {
            self.put("  └ Clock", format!("{} the manager's", skew_words(skew)));
        }
        let updated = jiff::Timestamp::from_second(view.updated).unwrap_or_default();
        self.put("  └ UpdatedAt", updated.to_string());
        self.put("  └ ServerVersion", known.map_or("", |known| known.server_version.as_str()));
        self.put("  └ Error", view.error.as_deref().unwrap_or("(none)"));
    }
}

fn skew_words(millis: i64) -> String {
    let direction = if millis > 0 { "ahead of" } else { "behind" };
    format!("{}.{} s {direction}", millis.abs() / 1_000, millis.abs() % 1_000 / 100)
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind() {
        assert_eq!(skew_words(90_250), "90.2 s ahead of");
        assert_eq!(skew_words(-1_500), "1.5 s behind");
    }
}
