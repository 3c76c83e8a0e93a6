//! `_ping`, `version`, `info`, `events`, `system/df` of a simulated engine.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::container::{State, stamp};
use super::events::{self, Request};
use super::filter::Filters;
use super::reply::{self, Outcome, Refusal, Reply};
use super::route::Call;
use super::{Engine, Release};

pub(super) fn ping() -> Reply {
    let mut reply = reply::raw(StatusCode::OK, "text/plain; charset=utf-8", "OK");
    let headers = reply.headers_mut();
    headers.insert("Builder-Version", HeaderValue::from_static("1"));
    headers
        .insert("Cache-Control", HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert("Pragma", HeaderValue::from_static("no-cache"));
    reply
}

pub(super) fn version(engine: &Engine) -> Reply {
    let version = engine.release.engine_version();
    let (go, kernel, commit) = match engine.release {
        Release::Docker20 => ("go1.19.8", "6.1.0-13-amd64", "5d6db84"),
        Release::Docker28 => ("go1.24.8", "6.12.0-1-amd64", "f8215cc"),
    };
    let (api, min) = (&engine.api_version, &engine.min_api_version);
    let built = "2023-04-04T18:16:20.000000000+00:00";
    reply::value(&json!({
        "Platform": {"Name": "Docker Engine - Community"},
        "Components": [
            {"Name": "Engine", "Version": version, "Details": {
                "ApiVersion": api, "Arch": "amd64", "BuildTime": built, "Experimental": "false",
                "GitCommit": commit, "GoVersion": go, "KernelVersion": kernel,
                "MinAPIVersion": min, "Os": "linux"}},
            {"Name": "containerd", "Version": "1.6.20", "Details": {"GitCommit": "2806fc1"}},
            {"Name": "runc", "Version": "1.1.5", "Details": {"GitCommit": "v1.1.5-0-gf19387a"}},
            {"Name": "docker-init", "Version": "0.19.0", "Details": {"GitCommit": "de40ad0"}}
        ],
        "Version": version, "ApiVersion": api, "MinAPIVersion": min, "GitCommit": commit,
        "GoVersion": go, "Os": "linux", "Arch": "amd64", "KernelVersion": kernel,
        "BuildTime": built
    }))
}

pub(super) fn info(engine: &Engine) -> Reply {
    let books = engine.books.lock();
    let count = |state: State| books.containers.values().filter(|c| c.state == state).count();
    let (running, paused) = (count(State::Running), count(State::Paused));
    let all = books.containers.len();
    let own = json!({
        "ID": engine.shown_id(), "Containers": all, "ContainersRunning": running,
        "ContainersPaused": paused, "ContainersStopped": all - running - paused,
        "Images": books.images.len(), "SystemTime": stamp(engine.now()),
        "NEventsListener": books.events.subscribers(), "NCPU": engine.cpus,
        "MemTotal": engine.memory, "Name": engine.name(), "Labels": engine.labels,
        "ServerVersion": engine.release.engine_version()
    });
    drop(books);
    let own = own.to_string();
    reply::ok(format!("{},{INFO}", own.trim_end_matches('}')))
}

/// The members of `GET /info` (API 1.41) that are the same on every engine, and the
/// closing brace.
const INFO: &str = r#""Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"],
        ["Native Overlay Diff", "true"], ["userxattr", "false"]],
    "Plugins": {"Volume": ["local"],
        "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
        "Authorization": null,
        "Log": ["awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local",
            "logentries", "splunk", "syslog"]},
    "MemoryLimit": true, "SwapLimit": true, "KernelMemory": true, "KernelMemoryTCP": true,
    "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true, "CPUSet": true,
    "PidsLimit": true, "IPv4Forwarding": true, "BridgeNfIptables": true,
    "BridgeNfIp6tables": true, "Debug": false, "NFd": 24, "OomKillDisable": true,
    "NGoroutines": 37, "LoggingDriver": "json-file",
    "CgroupDriver": "systemd", "CgroupVersion": "2",
    "KernelVersion": "6.1.0-13-amd64", "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "OSVersion": "12", "OSType": "linux", "Architecture": "x86_64",
    "IndexServerAddress": "https://index.docker.io/v1/",
    "RegistryConfig": {"AllowNondistributableArtifactsCIDRs": [],
        "AllowNondistributableArtifactsHostnames": [],
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": true,
            "Official": true}},
        "Mirrors": []},
    "GenericResources": null,
    "DockerRootDir": "/var/lib/docker", "HttpProxy": "", "HttpsProxy": "", "NoProxy": "",
    "ExperimentalBuild": false,
    "Runtimes": {"io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"}},
    "DefaultRuntime": "runc",
    "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive",
        "ControlAvailable": false, "Error": "", "RemoteManagers": null},
    "LiveRestoreEnabled": false, "Isolation": "", "InitBinary": "docker-init",
    "ContainerdCommit": {"ID": "2806fc1", "Expected": "2806fc1"},
    "RuncCommit": {"ID": "v1.1.5", "Expected": "v1.1.5"},
    "InitCommit": {"ID": "de40ad0", "Expected": "de40ad0"},
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default", "name=cgroupns"],
    "Warnings": null}
"#;

/// `GET /events` (API 1.24): the ring from `since`, then live, until `until`.
pub(super) fn events(engine: &Arc<Engine>, call: &Call) -> Outcome {
    let time = |key: &str| call.get(key).filter(|text| !text.is_empty()).map(nanos).transpose();
    let request = Request {
        since: time("since")?,
        until: time("until")?,
        filters: Filters::parse(call.get("filters"))?,
    };
    let subscription = engine.books.lock().events.subscribe(&request);
    let ends = request.until.map(|until| {
        let left = u64::try_from(until - engine.now()).unwrap_or(0);
        Instant::now() + Duration::from_nanos(left)
    });
    let control = engine.control.subscribe();
    Ok(reply::stream(
        "application/json",
        events::body(subscription, request.filters, ends, control),
    ))
}

/// Docker's times: `seconds`, `seconds.nanoseconds`, or RFC 3339.
fn nanos(text: &str) -> Result<i64, Refusal> {
    let invalid = || Refusal::bad(format!("invalid time {text:?}"));
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(time.as_nanosecond()).map_err(|_| invalid());
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().map_err(|_| invalid())?;
    let padded = format!("{fraction:0<9}");
    let fraction: i64 = padded.get(..9).and_then(|f| f.parse().ok()).ok_or_else(invalid)?;
    seconds.checked_mul(1_000_000_000).and_then(|s| s.checked_add(fraction)).ok_or_else(invalid)
}

pub(super) fn disk_usage(engine: &Engine) -> Reply {
    let books = engine.books.lock();
    let mut list = String::from("[");
    for container in books.containers.values() {
        if list.len() > 1 {
            list.push(',');
        }
        container.write_entry(&mut list, engine.now(), true);
    }
    drop(books);
    list.push(']');
    reply::ok(format!(
        "{{\"LayersSize\":186712345,\"Images\":[],\"Containers\":{list},\"Volumes\":[],\"BuildCache\":[],\"BuilderSize\":0}}\n"
    ))
}

pub(super) fn auth() -> Reply {
    reply::value(&Value::from_iter([("Status", "Login Succeeded"), ("IdentityToken", "")]))
}
