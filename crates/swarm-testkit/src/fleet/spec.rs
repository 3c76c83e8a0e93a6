//! What a container was asked to be, in the form its JSON needs: ready text.
//!
//! Containers seeded from one template share one spec, which keeps a fleet of 150,000
//! small. The labels stay apart because a container may add one of its own.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::reply::{Refusal, quoted};

/// A published port as asked: host address, host port (0: the engine chooses).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub private: u16,
    pub public: u16,
    pub host_ip: Box<str>,
    pub protocol: Box<str>,
}

/// See the module's words.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// The image as asked for.
    pub image: Box<str>,
    pub image_id: super::Id,
    /// The command line as the list shows it.
    pub command: Box<str>,
    pub path: Box<str>,
    /// JSON array.
    pub args: Box<str>,
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Members of `Config` but `Hostname` and `Labels`, without braces.
    pub config: Box<str>,
    /// The explicit host name, if any.
    pub hostname: Box<str>,
    /// `HostConfig`, whole.
    pub host_config: Box<str>,
    pub network_mode: Box<str>,
    pub networks: Box<[Box<str>]>,
    pub ports: Box<[Port]>,
    pub auto_remove: bool,
}

impl Spec {
    /// From the body of `POST /containers/create`, filled in as dockerd fills it in.
    pub fn from_body(body: &Value, image: &str, image_id: super::Id) -> Result<Self, Refusal> {
        let given = body.as_object().ok_or_else(|| Refusal::bad("invalid JSON: not an object"))?;
        let mut config = default_config();
        for (key, value) in given {
            if config.contains_key(key) && !value.is_null() {
                config.insert(key.clone(), value.clone());
            }
        }
        let mut host = default_host_config();
        if let Some(given) = given.get("HostConfig").and_then(Value::as_object) {
            host.extend(given.clone());
        }
        let labels = strings(config.remove("Labels"));
        let hostname = text(config.remove("Hostname").as_ref());
        config.insert("Image".to_owned(), Value::from(image));
        let mut argv = list(config.get("Entrypoint"));
        argv.extend(list(config.get("Cmd")));
        if argv.is_empty() {
            argv.push("sh".to_owned());
        }
        let mode = text(host.get("NetworkMode"));
        let mode = if mode.is_empty() { "default".into() } else { mode };
        host.insert("NetworkMode".to_owned(), Value::from(&*mode));
        let networks = body
            .pointer("/NetworkingConfig/EndpointsConfig")
            .and_then(Value::as_object)
            .map(|map| map.keys().map(|k| k.as_str().into()).collect())
            .unwrap_or_default();
        let whole = Value::Object(config).to_string();
        Ok(Self {
            image: image.into(),
            image_id,
            command: argv.join(" ").into(),
            args: json!(argv[1..]).to_string().into(),
            path: argv.swap_remove(0).into(),
            labels,
            config: whole[1..whole.len() - 1].into(),
            hostname,
            ports: ports(host.get("PortBindings"))?,
            auto_remove: host.get("AutoRemove").and_then(Value::as_bool) == Some(true),
            host_config: Value::Object(host).to_string().into(),
            network_mode: mode,
            networks,
        })
    }

    /// The same with `changes` laid over its `HostConfig` (`POST /containers/{id}/update`).
    pub fn updated(&self, changes: &Value) -> Self {
        let mut spec = self.clone();
        if let (Ok(Value::Object(mut host)), Some(changes)) =
            (serde_json::from_str(&self.host_config), changes.as_object())
        {
            for (key, value) in changes {
                let nothing = value.is_null() || *value == json!(0) || *value == json!("");
                if host.contains_key(key) && !nothing {
                    host.insert(key.clone(), value.clone());
                }
            }
            spec.host_config = Value::Object(host).to_string().into();
        }
        spec
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
    }

    /// `"k":"v",…` without braces.
    pub fn write_labels(&self, out: &mut String) {
        for (index, (key, value)) in self.labels.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{}:{}", quoted(key), quoted(value));
        }
    }
}

fn text(value: Option<&Value>) -> Box<str> {
    value.and_then(Value::as_str).unwrap_or_default().into()
}

fn strings(value: Option<Value>) -> Box<[(Box<str>, Box<str>)]> {
    let Some(Value::Object(map)) = value else {
        return Box::default();
    };
    map.iter().map(|(key, value)| (key.as_str().into(), text(Some(value)))).collect()
}

fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn ports(bindings: Option<&Value>) -> Result<Box<[Port]>, Refusal> {
    let mut ports = Vec::new();
    for (key, hosts) in bindings.and_then(Value::as_object).into_iter().flatten() {
        let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        let invalid = || Refusal::bad(format!("invalid port specification: {key:?}"));
        let private = port.parse().map_err(|_| invalid())?;
        for host in hosts.as_array().into_iter().flatten() {
            let public = text(host.get("HostPort"));
            ports.push(Port {
                private,
                public: match &*public {
                    "" => 0,
                    number => number.parse().map_err(|_| invalid())?,
                },
                host_ip: match text(host.get("HostIp")) {
                    any if any.is_empty() => "0.0.0.0".into(),
                    given => given,
                },
                protocol: protocol.into(),
            });
        }
    }
    Ok(ports.into())
}

/// `Config` as `GET /containers/{id}/json` of 20.10 shows it (API 1.41).
fn default_config() -> Map<String, Value> {
    object(json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false,
        "AttachStdout": false, "AttachStderr": false, "ExposedPorts": {}, "Tty": false,
        "OpenStdin": false, "StdinOnce": false,
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Cmd": null, "Healthcheck": null, "Image": "", "Volumes": null, "WorkingDir": "",
        "Entrypoint": null, "OnBuild": null, "Labels": {}, "StopSignal": "SIGTERM",
        "StopTimeout": null
    }))
}

/// `HostConfig` as `GET /containers/{id}/json` of 20.10 shows it (API 1.41).
fn default_host_config() -> Map<String, Value> {
    serde_json::from_str(HOST_CONFIG).unwrap_or_default()
}

const HOST_CONFIG: &str = r#"{
        "Binds": null, "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "default", "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": false, "VolumeDriver": "", "VolumesFrom": null, "CapAdd": null,
        "CapDrop": null, "CgroupnsMode": "private", "Dns": [], "DnsOptions": [],
        "DnsSearch": [], "ExtraHosts": null, "GroupAdd": null, "IpcMode": "private",
        "Cgroup": "", "Links": null, "OomScoreAdj": 0, "PidMode": "", "Privileged": false,
        "PublishAllPorts": false, "ReadonlyRootfs": false, "SecurityOpt": null,
        "UTSMode": "", "UsernsMode": "", "ShmSize": 67108864, "Runtime": "runc",
        "ConsoleSize": [0, 0], "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
        "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": null, "BlkioDeviceWriteBps": null,
        "BlkioDeviceReadIOps": null, "BlkioDeviceWriteIOps": null, "CpuPeriod": 0,
        "CpuQuota": 0, "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "CpusetCpus": "",
        "CpusetMems": "", "Devices": [], "DeviceCgroupRules": null, "DeviceRequests": null,
        "KernelMemory": 0, "KernelMemoryTCP": 0, "MemoryReservation": 0, "MemorySwap": 0,
        "MemorySwappiness": null, "OomKillDisable": false, "PidsLimit": null,
        "Ulimits": null, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "MaskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys",
            "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
            "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
        "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
            "/proc/sysrq-trigger"]
    }"#;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
