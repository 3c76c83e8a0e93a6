//! A machine's engine: whether it answers, what it says of itself, and room for what it keeps.

use std::time::Duration;

use serde_json::Value;
use swarm_docker::ApiVersion;
use swarm_docker::json::text;
use swarm_docker::time::Moment;

use crate::verdict::{Level, Verdict};

/// A clock further off confuses logs, certificates and whoever compares times.
const SKEW: Duration = Duration::from_secs(1);
/// Free space below which somebody should look, and below which pulls and builds fail, in percent.
const SPACE: (u64, u64) = (10, 2);

/// An engine that answered.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Where it is.
    pub address: String,
    /// The oldest and the newest version that it and this program speak.
    pub versions: (ApiVersion, ApiVersion),
    /// Its answer to `GET /info`.
    pub info: Value,
    /// In the middle of that question, in nanoseconds since 1970.
    pub now: i64,
    /// How long the answer took.
    pub took: Duration,
}

/// Why an engine did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Its socket is not there.
    Missing,
    /// Nobody listens.
    Refused,
    /// This program may not connect.
    Forbidden,
    /// Another failure of the connection.
    Unreachable,
    /// It is too old, or too new.
    Version,
    /// It wants TLS.
    Tls,
    /// Its answer was none.
    Odd,
}

/// Room where an engine keeps images and containers.
#[derive(Debug, Clone)]
pub struct Space {
    /// Where.
    pub folder: String,
    /// What is left, in percent.
    pub percent: u64,
}

impl Failure {
    /// What is found of an engine that did not answer, in whose words.
    pub fn judge(self, address: &str, words: &str) -> Verdict {
        let mut verdict = Verdict::new(String::new());
        let todo = match self {
            Self::Missing => "install Docker, or name its socket with --engine",
            Self::Refused => "start it: systemctl start docker",
            Self::Forbidden => "run this as root, or as one of the group docker",
            Self::Unreachable => "look at its address, and at the network towards it",
            Self::Version => "use an engine of Docker 20.10 or newer",
            Self::Tls => "it wants TLS: use its socket, or a port without TLS on loopback",
            Self::Odd => "look at its log: journalctl -u docker",
        };
        verdict.find(Level::Critical, format!("the engine at {address}: {words}"), todo);
        verdict
    }
}

impl Space {
    /// Whether there is enough.
    pub fn judge(&self) -> Verdict {
        let mut verdict = Verdict::new(String::new());
        let Self { folder, percent } = self;
        let todo = "docker system prune, or more room";
        let what = format!("{folder} has {percent} % of its space left");
        match *percent {
            left if left < SPACE.1 => verdict.find(Level::Critical, what, todo),
            left if left < SPACE.0 => verdict.find(Level::Warning, what, todo),
            _ => verdict.fact(what),
        }
        verdict
    }
}

impl Engine {
    /// What it says of itself.
    pub fn judge(&self) -> Verdict {
        let Self { address, versions: (oldest, newest), info, now, took } = self;
        let mut verdict = Verdict::new(String::new());
        let says = |key: &str| text(&info[key]);
        verdict.fact(format!(
            "engine {} at {address}, API {oldest} to {newest}",
            says("ServerVersion")
        ));
        for warning in info["Warnings"].as_array().into_iter().flatten().map(text) {
            // Some are set in lines, for a log.
            let warning = warning.trim_start_matches("WARNING: ").split_whitespace();
            let warning = warning.collect::<Vec<_>>().join(" ");
            verdict.find(Level::Warning, format!("the engine warns: {warning}"), "");
        }
        let swarm = text(&info["Swarm"]["LocalNodeState"]);
        if !matches!(swarm.as_str(), "" | "inactive") {
            let todo =
                "a pool works over it; to be without: docker swarm leave (--force on a manager)";
            verdict.find(Level::Warning, format!("the engine's own swarm mode is {swarm}"), todo);
        }
        if info["LiveRestoreEnabled"] == false {
            let todo = "\"live-restore\": true in /etc/docker/daemon.json keeps them running";
            verdict.find(Level::Healthy, "containers stop when dockerd is restarted", todo);
        }
        if info["OSType"] != "linux" {
            let what = format!("the engine runs {} containers", says("OSType"));
            verdict.find(Level::Warning, what, "swarm is tested with engines on Linux");
        }
        verdict.fact(format!(
            "{} CPUs, {} of memory, storage {}, cgroups {}",
            says("NCPU"),
            swarm_docker::units::bytes(info["MemTotal"].as_i64().unwrap_or_default()),
            says("Driver"),
            says("CgroupDriver")
        ));
        let Some(theirs) = Moment::parse(&says("SystemTime")) else { return verdict };
        let off = Duration::from_nanos(now.abs_diff(theirs.as_nanos()));
        if off > SKEW + *took {
            let what =
                format!("the engine's clock is {:.1} s off this program's", off.as_secs_f64());
            verdict.find(Level::Warning, what, "set the clocks, by NTP for example");
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(change: impl FnOnce(&mut Value)) -> String {
        let mut info = json!({"ServerVersion": "28.5.2", "OSType": "linux", "NCPU": 4,
            "MemTotal": 8_i64 << 30, "Driver": "overlay2", "CgroupDriver": "systemd",
            "LiveRestoreEnabled": true, "Warnings": null,
            "Swarm": {"LocalNodeState": "inactive"}, "SystemTime": "1970-01-01T00:01:40.5Z"});
        change(&mut info);
        let versions = (ApiVersion::new(1, 24), ApiVersion::new(1, 51));
        let (now, took) = (100_000_000_000, Duration::ZERO);
        let engine = Engine { address: "unix:///e".into(), versions, info, now, took };
        let verdict = engine.judge();
        let facts = [
            "engine 28.5.2 at unix:///e, API 1.24 to 1.51",
            "4 CPUs, 8 GiB of memory, storage overlay2, cgroups systemd",
        ];
        assert_eq!(verdict.facts, facts);
        if verdict.findings.is_empty() { String::new() } else { verdict.words() }
    }

    #[test]
    fn what_an_engine_says_of_itself_is_judged() {
        assert_eq!(judged(|_| {}), "");
        let words = judged(|info| {
            info["Warnings"] = json!(["WARNING: No swap\n   limit support"]);
            info["Swarm"]["LocalNodeState"] = json!("active");
            info["LiveRestoreEnabled"] = json!(false);
            info["SystemTime"] = json!("1970-01-01T00:00:10Z");
        });
        for part in [
            "warning: the engine warns: No swap limit support",
            "own swarm mode is active\n    a pool works over it; to be without: docker swarm leave",
            "note: containers stop when dockerd is restarted\n    \"live-restore\": true",
            "clock is 90.0 s off",
        ] {
            assert!(words.contains(part), "{part} is not in {words}");
        }
    }

    #[test]
    fn room_and_each_way_of_not_answering_are_judged() {
        let level = |percent| Space { folder: "/d".into(), percent }.judge().level();
        let levels = [level(50), level(9), level(1)];
        assert_eq!(levels, [Level::Healthy, Level::Warning, Level::Critical]);
        for (failure, words) in [
            (Failure::Missing, "install Docker"),
            (Failure::Refused, "systemctl start docker"),
            (Failure::Forbidden, "as root"),
        ] {
            let said = failure.judge("unix:///e", "no").words();
            assert!(said.contains("the engine at unix:///e: no\n    "), "{said}");
            assert!(said.contains(words), "{said}");
        }
    }
}
