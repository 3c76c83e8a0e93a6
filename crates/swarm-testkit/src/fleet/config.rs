//! What a fleet looks like: how many engines, which release, what they hold at start.
//!
//! Leaves the making of containers and images to `seed`.

use std::net::Ipv4Addr;

/// Which dockerd an engine pretends to be; decides versions and JSON details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 20.10.24, API 1.41, minimum 1.12.
    Docker20,
    /// 28.5.2, API 1.51, minimum 1.24.
    Docker28,
}

impl Release {
    /// The engine's own version.
    pub fn engine_version(self) -> &'static str {
        match self {
            Self::Docker20 => "20.10.24",
            Self::Docker28 => "28.5.2",
        }
    }

    /// The newest API version it speaks.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Docker20 => "1.41",
            Self::Docker28 => "1.51",
        }
    }

    /// The oldest API version it speaks.
    pub fn min_api_version(self) -> &'static str {
        match self {
            Self::Docker20 => "1.12",
            Self::Docker28 => "1.24",
        }
    }
}

/// A fleet's shape. `FleetConfig::default()` is one empty engine on a free port.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// How many engines.
    pub engines: usize,
    /// Number of the first engine: names of engines and containers count from here, so
    /// that several fleets make one.
    pub first: usize,
    /// Containers on each engine at start.
    pub containers_per_engine: usize,
    /// Of all containers at start, how many run (the others have exited). Spread
    /// evenly over the engines; larger than the total means all.
    pub running: usize,
    /// Whether the containers at start carry the manager's own label
    /// `com.docker.swarm.id`.
    pub manager_labels: bool,
    /// The address of engine 0; the next ones count up, 250 to a /24. `None` takes a
    /// stretch of 127/8 that no other fleet of this process uses.
    pub base: Option<Ipv4Addr>,
    /// The port of every engine; 0 lets the kernel choose one for each.
    pub port: u16,
    /// Which dockerd they are.
    pub release: Release,
    /// Overrides the newest API version of `release`.
    pub api_version: Option<String>,
    /// Overrides the minimum API version of `release`.
    pub min_api_version: Option<String>,
    /// Image references that every engine holds.
    pub images: Vec<String>,
    /// CPUs of each engine.
    pub cpus: u32,
    /// Memory of each engine in bytes.
    pub memory: u64,
    /// Labels of each engine, `key=value`; `{i}` becomes the engine's index.
    pub labels: Vec<String>,
    /// Events an engine remembers for `since`; dockerd keeps 256.
    pub event_history: usize,
    /// Name of engine `i`: this, then `i` in four digits.
    pub name_prefix: String,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            engines: 1,
            first: 0,
            containers_per_engine: 0,
            running: usize::MAX,
            manager_labels: false,
            base: None,
            port: 0,
            release: Release::Docker20,
            api_version: None,
            min_api_version: None,
            images: [
                "busybox:latest",
                "nginx:1.25",
                "redis:7",
                "postgres:16",
                "registry.example.com:5000/team/app:2.4.1",
            ]
            .map(str::to_owned)
            .to_vec(),
            cpus: 16,
            memory: 64 << 30,
            labels: vec!["storage=ssd".to_owned(), "rack=r{i}".to_owned()],
            event_history: 256,
            name_prefix: "engine-".to_owned(),
        }
    }
}

impl FleetConfig {
    /// Address of engine `index` under `base`: 250 engines to each /24, hosts 1 to 250,
    /// so that a range such as `127.1.0.[1:250]` names them.
    pub fn address_of(base: Ipv4Addr, index: usize) -> Ipv4Addr {
        let [a, b, c, d] = base.octets();
        let offset = usize::from(d.saturating_sub(1)) + index;
        let block = usize::from(b) * 256 + usize::from(c) + offset / 250;
        let byte = |value: usize| u8::try_from(value % 256).unwrap_or(0);
        Ipv4Addr::new(a, byte(block / 256), byte(block), byte(offset % 250 + 1))
    }
}
