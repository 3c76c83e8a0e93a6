//! Where one engine's API is: a host and port, a unix socket, or a node that others have a way to.
//!
//! Discovery decides which addresses there are; this file only reads and prints one. What prints
//! is what classic Swarm printed: `host:port`, without a scheme.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// Docker's registered plain port.
pub const PLAIN_PORT: u16 = 2375;
/// Docker's registered TLS port.
pub const TLS_PORT: u16 = 2376;
/// The longest DNS name (RFC 1035 2.3.4, in presentation form).
const LONGEST_HOST: usize = 253;

/// Where an engine's API is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngineAddress {
    /// A TCP port, with or without TLS.
    Tcp {
        /// A DNS name or an IP address; IPv6 without brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// A unix socket's absolute path.
    Unix(PathBuf),
    /// A node, reached by [`crate::Tunnels`]. Printed and never read: it is told by whoever has the
    /// way, not by a person.
    Node {
        /// What the way knows it by: letters, digits, and what a host may have.
        id: String,
        /// Where the node's published ports are.
        ip: Option<IpAddr>,
    },
}

/// The text names no engine address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an engine address: {reason}")]
pub struct AddressError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl EngineAddress {
    /// Reads `HOST`, `HOST:PORT`, `tcp://HOST:PORT`, `[V6]:PORT` or `unix:///PATH`; a missing port
    /// is `default_port`.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AddressError> {
        Self::read(text.trim(), default_port)
            .map_err(|reason| AddressError { text: text.to_owned(), reason })
    }

    fn read(text: &str, default_port: u16) -> Result<Self, &'static str> {
        let rest = match text.split_once("://") {
            Some(("unix", path)) => return unix(path),
            Some(("tcp", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => return Err("the scheme must be tcp:// or unix://"),
            None => text,
        };
        let (host, port) = split_port(rest)?;
        let port = match port {
            None => default_port,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| "the port must be a number from 1 to 65535")?
            }
            Some(_) => return Err("the port must be a number from 1 to 65535"),
        };
        if port == 0 {
            return Err("the port must be a number from 1 to 65535");
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// The address's IP when its host is written as one; a name is not looked up.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp { host, .. } => host.parse().ok(),
            Self::Unix(_) => None,
            Self::Node { ip, .. } => *ip,
        }
    }

    /// The `Host` header's value. Go's HTTP server refuses a request without a valid one.
    pub(crate) fn host_header(&self) -> String {
        match self {
            Self::Tcp { .. } => self.to_string(),
            Self::Unix(_) | Self::Node { .. } => "docker".to_owned(),
        }
    }
}

fn unix(path: &str) -> Result<EngineAddress, &'static str> {
    if !path.starts_with('/') || path.len() < 2 {
        return Err("a unix socket needs an absolute path, as in unix:///var/run/docker.sock");
    }
    // sun_path holds 108 bytes with its final NUL (unix(7)).
    if path.len() > 107 {
        return Err("a unix socket's path has at most 107 bytes");
    }
    if path.contains('\0') {
        return Err("a unix socket's path has no NUL");
    }
    Ok(EngineAddress::Unix(PathBuf::from(path)))
}

/// Cuts `host[:port]`, checks the host.
fn split_port(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket [ is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "there is no IPv6 address in the brackets")?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':').ok_or("after ] there can only be a :PORT")?),
        };
        return Ok((host, port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| port.contains(':')) {
        return Err("an IPv6 address is written in brackets, as in [::1]:2375");
    }
    if host.is_empty() {
        return Err("the host is missing");
    }
    if host.len() > LONGEST_HOST {
        return Err("the host name is longer than 253 characters");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if !host.bytes().all(plain) {
        return Err("a host has only letters, digits, '-', '.' and '_'");
    }
    Ok((host, port))
}

impl FromStr for EngineAddress {
    type Err = AddressError;

    /// With Docker's plain port where none is given.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, PLAIN_PORT)
    }
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Node { id, ip: None } => write!(f, "node://{id}"),
            Self::Node { id, ip: Some(ip) } => write!(f, "node://{id}/{ip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_reads_and_prints_as_classic_swarm_printed_it() {
        for (text, printed) in [
            ("10.0.0.1:2375", "10.0.0.1:2375"),
            ("tcp://10.0.0.1:2376", "10.0.0.1:2376"),
            ("tcp://node-1.example.org:99/", "node-1.example.org:99"),
            ("node_1", "node_1:2375"),
            ("[::1]:1234", "[::1]:1234"),
            ("tcp://[fe80::1]", "[fe80::1]:2375"),
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("  10.0.0.1 ", "10.0.0.1:2375"),
        ] {
            let address: EngineAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), printed, "{text}");
        }
        assert_eq!(EngineAddress::parse("h", TLS_PORT).unwrap().to_string(), "h:2376");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "host is missing"),
            (":2375", "host is missing"),
            ("h:", "port must be"),
            ("h:0", "port must be"),
            ("h:65536", "port must be"),
            ("h:+1", "port must be"),
            ("::1", "in brackets"),
            ("[::1", "not closed"),
            ("[::1]x", "after ]"),
            ("[h]:1", "no IPv6"),
            ("http://h:1", "scheme"),
            ("unix://run/d.sock", "absolute path"),
            ("user@h:1", "a host has only"),
            ("h/path", "a host has only"),
        ] {
            let error = text.parse::<EngineAddress>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn only_a_written_ip_is_an_ip() {
        let ip = |text: &str| text.parse::<EngineAddress>().unwrap().ip();
        assert_eq!(ip("10.0.0.1"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(ip("[::1]:1"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(ip("localhost"), None);
        assert_eq!(ip("unix:///s"), None);
        let node = EngineAddress::Node { id: "n1".to_owned(), ip: Some([10, 0, 0, 2].into()) };
        assert_eq!(
            (node.to_string().as_str(), node.ip()),
            ("node://n1/10.0.0.2", Some([10, 0, 0, 2].into()))
        );
        assert!("node://n1".parse::<EngineAddress>().is_err(), "no person names a node so");
    }

    proptest! {
        #[test]
        fn reading_is_total_and_what_is_read_prints_back(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<EngineAddress>() {
                prop_assert_eq!(address.to_string().parse::<EngineAddress>().unwrap(), address);
            }
        }
    }
}
