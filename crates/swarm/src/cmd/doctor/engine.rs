//! This machine's engine: whether it answers, what it says of itself, and room for what it keeps.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use swarm_docker::time::Moment;
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, EngineError};

use super::super::node::text;
use super::super::verdict::Level;
use super::Seen;

/// For each question.
const DEADLINE: Duration = Duration::from_secs(5);
/// A clock further off confuses logs, certificates and whoever compares times.
const SKEW: Duration = Duration::from_secs(1);
/// Free space below which somebody should look, and below which pulls and builds fail, in percent.
const SPACE: (u64, u64) = (10, 2);

pub(super) async fn look(address: &EngineAddress, seen: &mut Seen) {
    let client = EngineClient::new(address.clone(), ClientOptions::default());
    let versions = match client.negotiate(DEADLINE).await {
        Ok(versions) => versions,
        Err(error) => {
            let todo = remedy(&error);
            return seen.find(Level::Critical, format!("the engine at {address}: {error}"), todo);
        }
    };
    let asked = SystemTime::now();
    match client.get_json::<Value>("/info", DEADLINE).await {
        Ok(info) => {
            let took = asked.elapsed().unwrap_or_default();
            seen.fact(format!(
                "engine {} at {address}, API {} to {}",
                text(&info["ServerVersion"]),
                versions.oldest,
                versions.newest
            ));
            judge(&info, asked + took / 2, took, seen);
            if let Some(folder) = info["DockerRootDir"].as_str() {
                space(folder, seen);
            }
        }
        Err(error) => {
            let todo = "look at its log: journalctl -u docker";
            seen.find(Level::Critical, format!("the engine at {address}: {error}"), todo);
        }
    }
}

/// What to do when it does not answer.
fn remedy(error: &EngineError) -> &'static str {
    match error {
        EngineError::Connect(cause) => match cause.kind() {
            ErrorKind::NotFound => "install Docker, or name its socket with --engine",
            ErrorKind::ConnectionRefused => "start it: systemctl start docker",
            ErrorKind::PermissionDenied => "run this as root, or as one of the group docker",
            _ => "look at its address, and at the network towards it",
        },
        EngineError::Version { .. } => "use an engine of Docker 20.10 or newer",
        EngineError::Tls(_) => "it wants TLS: use its socket, or a port without TLS on loopback",
        _ => "look at its log: journalctl -u docker",
    }
}

/// What it says of itself. `now` is in the middle of the question, which `took` so long.
fn judge(info: &Value, now: SystemTime, took: Duration, seen: &mut Seen) {
    let says = |key: &str| text(&info[key]);
    for warning in info["Warnings"].as_array().into_iter().flatten().map(text) {
        // Some are set in lines, for a log.
        let warning = warning.trim_start_matches("WARNING: ").split_whitespace();
        let warning = warning.collect::<Vec<_>>().join(" ");
        seen.find(Level::Warning, format!("the engine warns: {warning}"), "");
    }
    let swarm = text(&info["Swarm"]["LocalNodeState"]);
    if !matches!(swarm.as_str(), "" | "inactive") {
        let todo = "a pool works over it; to be without: docker swarm leave (--force on a manager)";
        seen.find(Level::Warning, format!("the engine's own swarm mode is {swarm}"), todo);
    }
    if info["LiveRestoreEnabled"] == false {
        let todo = "\"live-restore\": true in /etc/docker/daemon.json keeps them running";
        seen.find(Level::Healthy, "containers stop when dockerd is restarted", todo);
    }
    if info["OSType"] != "linux" {
        let what = format!("the engine runs {} containers", says("OSType"));
        seen.find(Level::Warning, what, "swarm is tested with engines on Linux");
    }
    seen.fact(format!(
        "{} CPUs, {} of memory, storage {}, cgroups {}",
        says("NCPU"),
        swarm_docker::units::bytes(info["MemTotal"].as_i64().unwrap_or_default()),
        says("Driver"),
        says("CgroupDriver")
    ));
    let Some(theirs) = Moment::parse(&says("SystemTime")) else { return };
    let ours = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ours = i64::try_from(ours.as_nanos()).unwrap_or(i64::MAX);
    let off = Duration::from_nanos(ours.abs_diff(theirs.as_nanos()));
    if off > SKEW + took {
        let what = format!("the engine's clock is {:.1} s off this program's", off.as_secs_f64());
        seen.find(Level::Warning, what, "set the clocks, by NTP for example");
    }
}

/// Whether there is room for images and containers.
fn space(folder: &str, seen: &mut Seen) {
    // An engine behind a TCP address keeps them elsewhere.
    let Ok(kept) = nix::sys::statvfs::statvfs(folder) else { return };
    let percent = kept.blocks_available() * 100 / kept.blocks().max(1);
    let todo = "docker system prune, or more room";
    let what = format!("{folder} has {percent} % of its space left");
    match percent {
        left if left < SPACE.1 => seen.find(Level::Critical, what, todo),
        left if left < SPACE.0 => seen.find(Level::Warning, what, todo),
        _ => seen.fact(what),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cmd::verdict::Finding;

    fn judged(change: impl FnOnce(&mut Value)) -> String {
        let mut info = json!({"ServerVersion": "28.5.2", "OSType": "linux", "NCPU": 4,
            "MemTotal": 8_i64 << 30, "Driver": "overlay2", "CgroupDriver": "systemd",
            "LiveRestoreEnabled": true, "Warnings": null,
            "Swarm": {"LocalNodeState": "inactive"}, "SystemTime": "1970-01-01T00:01:40.5Z"});
        change(&mut info);
        let mut seen = Seen::default();
        judge(&info, UNIX_EPOCH + Duration::from_secs(100), Duration::ZERO, &mut seen);
        assert_eq!(seen.facts, ["4 CPUs, 8 GiB of memory, storage overlay2, cgroups systemd"]);
        let words =
            |one: Finding| format!("{}: {} ({})", one.level.of_finding(), one.what, one.todo);
        seen.findings.into_iter().map(words).collect::<Vec<_>>().join("\n")
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
            "own swarm mode is active (a pool works over it; to be without: docker swarm leave",
            "note: containers stop when dockerd is restarted (\"live-restore\": true",
            "clock is 90.0 s off",
        ] {
            assert!(words.contains(part), "{part} is not in {words}");
        }
    }

    #[test]
    fn each_way_of_not_answering_has_its_remedy() {
        for (kind, words) in [
            (ErrorKind::NotFound, "install Docker"),
            (ErrorKind::ConnectionRefused, "systemctl start docker"),
            (ErrorKind::PermissionDenied, "as root"),
        ] {
            let error = EngineError::Connect(std::sync::Arc::new(kind.into()));
            assert!(remedy(&error).contains(words), "{kind:?}");
        }
    }
}
