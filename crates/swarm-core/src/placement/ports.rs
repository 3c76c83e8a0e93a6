//! Host ports: those in use on an engine, as a compact set, and those a new container asks for.
//!
//! Whether a port is taken follows classic's port filter: the same port on the same host address,
//! or on all addresses on either side. Unlike classic, TCP and UDP do not get in each other's way,
//! and a range (`-p 8000-8010:80`) needs one free port only, as the engine picks any.
//!
//! Invariant: a [`PortSet`] is sorted and has no repeats.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `tcp`, also where nothing is said.
    Tcp,
    /// `udp`.
    Udp,
    /// `sctp`.
    Sctp,
}

impl Protocol {
    /// Reads `tcp`, `udp`, `sctp` (any case) or nothing, which means TCP.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "" | "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            "sctp" => Some(Self::Sctp),
            _ => None,
        }
    }

    /// As Docker writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One host port that is taken. The field order is the sort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortUse {
    /// Port number on the host; never 0.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The host address it is bound to; `None` for all of them.
    pub ip: Option<IpAddr>,
}

impl PortUse {
    /// From one entry of `HostConfig.PortBindings` or `NetworkSettings.Ports`: the key (`80/tcp`)
    /// and its `HostIp` and `HostPort`. `None` where no single host port is named.
    pub fn from_binding(container_port: &str, host_ip: &str, host_port: &str) -> Option<Self> {
        let wish = PortWish::from_binding(container_port, host_ip, host_port)?;
        (wish.first == wish.last).then_some(Self {
            port: wish.first,
            protocol: wish.protocol,
            ip: wish.ip,
        })
    }

    /// From a key of `ExposedPorts` (`80/tcp`), for containers in the host's network.
    pub fn from_exposed(container_port: &str) -> Option<Self> {
        let (port, protocol) = split_port(container_port)?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self { port, protocol, ip: None })
    }

    /// Whether the two cannot be bound at once on one host.
    pub fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
    }
}

impl fmt::Display for PortUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, self.ip)?;
        write!(f, "{}/{}", self.port, self.protocol.as_str())
    }
}

/// The host ports taken on one engine, by running and by stopped containers; cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortSet(Option<Arc<[PortUse]>>);

impl PortSet {
    /// The ports in order.
    pub fn as_slice(&self) -> &[PortUse] {
        self.0.as_deref().unwrap_or_default()
    }

    /// What stands in the way of `wanted`, if anything.
    pub fn conflict(&self, wanted: &PortUse) -> Option<&PortUse> {
        let all = self.as_slice();
        let from =
            all.partition_point(|used| (used.port, used.protocol) < (wanted.port, wanted.protocol));
        all.get(from..)?
            .iter()
            .take_while(|used| (used.port, used.protocol) == (wanted.port, wanted.protocol))
            .find(|used| used.conflicts(wanted))
    }

    /// The same set and these.
    #[must_use]
    pub fn with(&self, more: &[PortUse]) -> Self {
        if more.is_empty() {
            return self.clone();
        }
        self.as_slice().iter().chain(more).copied().collect()
    }
}

impl FromIterator<PortUse> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortUse>>(ports: I) -> Self {
        let mut all: Vec<PortUse> = ports.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self((!all.is_empty()).then(|| all.into()))
    }
}

/// A host port that a new container asks for: any one of `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortWish {
    /// Its protocol.
    pub protocol: Protocol,
    /// The host address to bind; `None` for all of them.
    pub ip: Option<IpAddr>,
    /// First port that will do; never 0.
    pub first: u16,
    /// Last port that will do.
    pub last: u16,
}

impl PortWish {
    /// From one entry of `HostConfig.PortBindings`; `None` where the engine may take any port it
    /// likes (`HostPort` empty or 0), and for what the engine will refuse by itself.
    pub fn from_binding(container_port: &str, host_ip: &str, host_port: &str) -> Option<Self> {
        let (_, protocol) = split_port(container_port)?;
        let (first, last) = host_port.split_once('-').unwrap_or((host_port, host_port));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let ip = match host_ip.trim() {
            "" => None,
            text => Some(text.parse::<IpAddr>().ok()?).filter(|ip| !ip.is_unspecified()),
        };
        (first != 0 && first <= last).then_some(Self { protocol, ip, first, last })
    }

    /// The lowest wished port that is neither in `used` nor in `taken`.
    pub fn pick(&self, used: &PortSet, taken: &[PortUse]) -> Option<PortUse> {
        (self.first..=self.last)
            .map(|port| PortUse { port, protocol: self.protocol, ip: self.ip })
            .find(|wanted| {
                used.conflict(wanted).is_none() && !taken.iter().any(|t| t.conflicts(wanted))
            })
    }
}

impl fmt::Display for PortWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, self.ip)?;
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        write!(f, "/{}", self.protocol.as_str())
    }
}

fn write_address(f: &mut fmt::Formatter<'_>, ip: Option<IpAddr>) -> fmt::Result {
    match ip {
        None => Ok(()),
        Some(IpAddr::V4(ip)) => write!(f, "{ip}:"),
        Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:"),
    }
}

fn split_port(container_port: &str) -> Option<(&str, Protocol)> {
    let (port, protocol) = container_port.split_once('/').unwrap_or((container_port, ""));
    Some((port, Protocol::parse(protocol)?))
}
