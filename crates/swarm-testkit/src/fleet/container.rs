//! One simulated container and its JSON, as a list entry and as an inspect.
//!
//! Text is written by hand: an engine of the fleet must answer far faster than the
//! manager under test, or the benchmark would measure the fleet.

use std::fmt::Write;
use std::sync::Arc;

use super::id::Id;
use super::networks::Network;
use super::reply::quoted;
use super::spec::{Port, Spec};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Created,
    Running,
    Paused,
    Exited,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        }
    }

    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// Kept small: a benchmark holds 150,000 of these.
#[derive(Debug)]
pub(super) struct Container {
    pub id: Id,
    pub name: Arc<str>,
    pub spec: Arc<Spec>,
    /// Nanoseconds since 1970 by the engine's clock; 0 for never.
    pub created: i64,
    pub started: i64,
    pub finished: i64,
    pub state: State,
    /// Carries `com.docker.swarm.id` derived from its id.
    pub manager_label: bool,
    pub exit_code: i32,
    pub restarts: u32,
    /// Its place on the engine; addresses and the pid derive from it.
    pub ordinal: u32,
    pub ports: Box<[Port]>,
    pub networks: Vec<Arc<Network>>,
}

/// The label a manager marks its containers with.
const MANAGER_LABEL: &str = "com.docker.swarm.id";

impl Container {
    pub fn label(&self, key: &str) -> Option<String> {
        if self.manager_label && key == MANAGER_LABEL {
            return Some(self.manager_id());
        }
        self.spec.label(key).map(str::to_owned)
    }

    fn manager_id(&self) -> String {
        let mut bytes = self.id.to_string();
        // Any other 64 hex digits do; the same rotated are cheap and just as unique.
        bytes.make_ascii_lowercase();
        let (head, tail) = bytes.split_at(17);
        format!("{tail}{head}")
    }

    /// `"k":"v",…` without braces.
    pub fn write_labels(&self, out: &mut String) {
        self.spec.write_labels(out);
        if self.manager_label {
            let comma = if self.spec.labels.is_empty() { "" } else { "," };
            let _ = write!(out, "{comma}\"{MANAGER_LABEL}\":\"{}\"", self.manager_id());
        }
    }

    /// One element of `GET /containers/json` (API 1.41).
    pub fn write_entry(&self, out: &mut String, now: i64, size: bool) {
        let _ = write!(
            out,
            "{{\"Id\":\"{}\",\"Names\":[{}],\"Image\":{},\"ImageID\":\"sha256:{}\",\"Command\":{},\"Created\":{},\"Ports\":[",
            self.id,
            quoted(&format!("/{}", self.name)),
            quoted(&self.spec.image),
            self.spec.image_id,
            quoted(&self.spec.command),
            self.created / 1_000_000_000,
        );
        for (index, port) in self.ports.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(
                out,
                "{comma}{{\"IP\":{},\"PrivatePort\":{},\"PublicPort\":{},\"Type\":{}}}",
                quoted(&port.host_ip),
                port.private,
                port.public,
                quoted(&port.protocol)
            );
        }
        out.push_str("],");
        if size {
            out.push_str("\"SizeRw\":1095,\"SizeRootFs\":186712345,");
        }
        out.push_str("\"Labels\":{");
        self.write_labels(out);
        let _ = write!(
            out,
            "}},\"State\":\"{}\",\"Status\":\"{}\",\"HostConfig\":{{\"NetworkMode\":{}}},\"NetworkSettings\":{{\"Networks\":{{",
            self.state.word(),
            self.status(now),
            quoted(&self.spec.network_mode)
        );
        self.write_networks(out);
        out.push_str("}},\"Mounts\":[]}");
    }

    /// `Up 2 hours`, `Exited (0) 3 minutes ago`, as the list of Docker words it.
    pub fn status(&self, now: i64) -> String {
        match self.state {
            State::Created => "Created".to_owned(),
            State::Running => format!("Up {}", human(now - self.started)),
            State::Paused => format!("Up {} (Paused)", human(now - self.started)),
            State::Exited => {
                format!("Exited ({}) {} ago", self.exit_code, human(now - self.finished))
            }
        }
    }

    /// `GET /containers/{id}/json` (API 1.41).
    pub fn write_inspect(&self, out: &mut String, size: bool) {
        let (id, spec) = (self.id, &self.spec);
        let short = id.short();
        let root = format!("/var/lib/docker/containers/{id}");
        let up = self.state.is_up();
        let _ = write!(
            out,
            "{{\"Id\":\"{id}\",\"Created\":\"{}\",\"Path\":{},\"Args\":{},\"State\":{{\"Status\":\"{}\",\"Running\":{up},\"Paused\":{},\"Restarting\":false,\"OOMKilled\":false,\"Dead\":false,\"Pid\":{},\"ExitCode\":{},\"Error\":\"\",\"StartedAt\":\"{}\",\"FinishedAt\":\"{}\"}}",
            stamp(self.created),
            quoted(&spec.path),
            spec.args,
            self.state.word(),
            self.state == State::Paused,
            if up { 4000 + self.ordinal } else { 0 },
            self.exit_code,
            stamp(self.started),
            stamp(self.finished),
        );
        let _ = write!(
            out,
            ",\"Image\":\"sha256:{}\",\"ResolvConfPath\":\"{root}/resolv.conf\",\"HostnamePath\":\"{root}/hostname\",\"HostsPath\":\"{root}/hosts\",\"LogPath\":\"{root}/{id}-json.log\",\"Name\":{},\"RestartCount\":{},\"Driver\":\"overlay2\",\"Platform\":\"linux\",\"MountLabel\":\"\",\"ProcessLabel\":\"\",\"AppArmorProfile\":\"docker-default\",\"ExecIDs\":null,\"HostConfig\":{}",
            spec.image_id,
            quoted(&format!("/{}", self.name)),
            self.restarts,
            spec.host_config,
        );
        let layer = format!("/var/lib/docker/overlay2/{id}");
        let _ = write!(
            out,
            ",\"GraphDriver\":{{\"Data\":{{\"LowerDir\":\"{layer}-init/diff\",\"MergedDir\":\"{layer}/merged\",\"UpperDir\":\"{layer}/diff\",\"WorkDir\":\"{layer}/work\"}},\"Name\":\"overlay2\"}}"
        );
        if size {
            out.push_str(",\"SizeRw\":1095,\"SizeRootFs\":186712345");
        }
        let hostname = if spec.hostname.is_empty() { short.as_str() } else { &spec.hostname };
        let _ = write!(
            out,
            ",\"Mounts\":[],\"Config\":{{\"Hostname\":{},{},\"Labels\":{{",
            quoted(hostname),
            spec.config
        );
        self.write_labels(out);
        let _ = write!(
            out,
            "}}}},\"NetworkSettings\":{{\"Bridge\":\"\",\"SandboxID\":\"{id}\",\"HairpinMode\":false,\"LinkLocalIPv6Address\":\"\",\"LinkLocalIPv6PrefixLen\":0,\"Ports\":{{"
        );
        for (index, port) in self.ports.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(
                out,
                "{comma}\"{}/{}\":[{{\"HostIp\":{},\"HostPort\":\"{}\"}}]",
                port.private,
                port.protocol,
                quoted(&port.host_ip),
                port.public
            );
        }
        let (address, gateway) =
            if up { (self.address(), "172.17.0.1") } else { (String::new(), "") };
        let _ = write!(
            out,
            "}},\"SandboxKey\":\"/var/run/docker/netns/{short}\",\"SecondaryIPAddresses\":null,\"SecondaryIPv6Addresses\":null,\"EndpointID\":\"\",\"Gateway\":\"{gateway}\",\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"IPAddress\":\"{address}\",\"IPPrefixLen\":16,\"IPv6Gateway\":\"\",\"MacAddress\":\"\",\"Networks\":{{"
        );
        self.write_networks(out);
        out.push_str("}}}");
    }

    fn address(&self) -> String {
        let host = self.ordinal + 2;
        format!("172.17.{}.{}", host / 256 % 256, host % 256)
    }

    fn write_networks(&self, out: &mut String) {
        let up = self.state.is_up();
        for (index, network) in self.networks.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let address = if up { self.address() } else { String::new() };
            let (endpoint, gateway, prefix) =
                if up { (self.id.to_string(), "172.17.0.1", 16) } else { (String::new(), "", 0) };
            let _ = write!(
                out,
                "{comma}{}:{{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"NetworkID\":\"{}\",\"EndpointID\":\"{endpoint}\",\"Gateway\":\"{gateway}\",\"IPAddress\":\"{address}\",\"IPPrefixLen\":{prefix},\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"MacAddress\":\"02:42:ac:11:{:02x}:{:02x}\",\"DriverOpts\":null}}",
                quoted(&network.name),
                network.id,
                self.ordinal / 256 % 256,
                self.ordinal % 256
            );
        }
    }
}

/// RFC 3339 with nanoseconds; Docker writes year 1 for "never".
pub(super) fn stamp(nanos: i64) -> String {
    if nanos == 0 {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .map(|time| format!("{time:.9}"))
        .unwrap_or_default()
}

/// Docker's rounding of a time span.
fn human(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 14 => format!("{} days", hours / 24),
        () if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}
