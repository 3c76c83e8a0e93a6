//! One engine's address as a discovery backend names it: `host:port` over TCP, the path of a unix
//! socket on this machine, or a node of a swarm. It says where an engine is, never
//! whether the engine answers: that is the pool's to find out.
//!
//! Invariant: an [`Entry`] that exists is well formed. A TCP entry has a non-empty
//! host without spaces, slashes or control characters and a port in 1..=65535; a
//! unix entry has an absolute path. `Display` and `FromStr` are each other's inverse, but for nodes: those
//! are named by their swarm and not written by a person, so they are never read.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// `sun_path` holds 108 bytes with its final NUL (unix(7)).
const LONGEST_PATH: usize = 107;

/// Where one engine listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A TCP endpoint; `host` is a name, an IPv4 or a bare IPv6 address (no brackets).
    Tcp {
        /// Host name or address.
        host: String,
        /// Port, never 0.
        port: u16,
    },
    /// A unix socket on this machine, by absolute path: for pools over local engines.
    Unix {
        /// Absolute path of the socket.
        path: String,
    },
    /// A node, reached by its swarm.
    Node {
        /// Its id.
        id: String,
        /// Where its published ports are.
        ip: Option<IpAddr>,
    },
}

/// Why a piece of text is not an engine's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Nothing between two commas, or an empty line where an address belongs.
    #[error("an address is empty; expected HOST:PORT or unix:///PATH")]
    Empty,
    /// No `:PORT` at the end, or the port does not fit.
    #[error("{address:?} has no valid port; expected HOST:PORT with a port from 1 to 65535")]
    Port {
        /// The text as given.
        address: String,
    },
    /// The host part cannot be a host.
    #[error(
        "{address:?} has no valid host; expected a name, an IPv4 address, or an IPv6 address in brackets"
    )]
    Host {
        /// The text as given.
        address: String,
    },
    /// A scheme that engines are not reached by.
    #[error(
        "{address:?} has a scheme that names no engine; expected HOST:PORT, tcp://HOST:PORT or unix:///PATH"
    )]
    Scheme {
        /// The text as given.
        address: String,
    },
    /// `unix://` without an absolute path that fits a socket's address.
    #[error(
        "{address:?} names no absolute socket path of at most {LONGEST_PATH} bytes; expected \
         unix:///PATH"
    )]
    Path {
        /// The text as given.
        address: String,
    },
}

impl Entry {
    /// A TCP entry; `host` may be given with or without IPv6 brackets.
    pub fn tcp(host: &str, port: u16) -> Result<Self, EntryError> {
        let address = || format!("{host}:{port}");
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|inner| inner.contains(':'))
                .ok_or_else(|| EntryError::Host { address: address() })?,
            None => host,
        };
        if !is_host(bare) {
            return Err(EntryError::Host { address: address() });
        }
        if port == 0 {
            return Err(EntryError::Port { address: address() });
        }
        Ok(Self::Tcp { host: bare.to_owned(), port })
    }

    /// Reads what was written here, nodes included, which no person names.
    pub fn kept(text: &str) -> Result<Self, EntryError> {
        let Some(node) = text.strip_prefix("node://") else { return text.parse() };
        let (id, ip) = match node.split_once('/') {
            Some((id, ip)) => (id, Some(ip.parse().map_err(|_| node_error(text))?)),
            None => (node, None),
        };
        if !is_name(id) {
            return Err(node_error(text));
        }
        Ok(Self::Node { id: id.to_owned(), ip })
    }

    /// A unix socket entry.
    pub fn unix(path: &str) -> Result<Self, EntryError> {
        if !path.starts_with('/')
            || !(2..=LONGEST_PATH).contains(&path.len())
            || path.contains('\0')
        {
            return Err(EntryError::Path { address: format!("unix://{path}") });
        }
        Ok(Self::Unix { path: path.to_owned() })
    }
}

fn node_error(text: &str) -> EntryError {
    EntryError::Host { address: text.to_owned() }
}

/// Letters, digits, `-`, `_` and `.` make a name; anything with a colon must parse as
/// IPv6. A zone (`%eth0`) is refused: no HTTP `Host` header can carry one.
fn is_host(host: &str) -> bool {
    if host.contains(':') { host.parse::<Ipv6Addr>().is_ok() } else { is_name(host) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => write!(f, "unix://{path}"),
            Self::Node { id, ip: None } => write!(f, "node://{id}"),
            Self::Node { id, ip: Some(ip) } => write!(f, "node://{id}/{ip}"),
        }
    }
}

impl FromStr for Entry {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.trim();
        if address.is_empty() {
            return Err(EntryError::Empty);
        }
        if let Some(path) = address.strip_prefix("unix://") {
            return Self::unix(path);
        }
        let bare = address.strip_prefix("tcp://").unwrap_or(address);
        if bare.contains("://") {
            return Err(EntryError::Scheme { address: address.to_owned() });
        }
        let wrong_port = || EntryError::Port { address: address.to_owned() };
        let (host, port) = bare.rsplit_once(':').ok_or_else(wrong_port)?;
        // An IPv6 address without brackets reads as a host with a port at its end:
        // nobody can tell which was meant, so it is refused.
        if host.contains(':') && !host.starts_with('[') {
            return Err(EntryError::Host { address: address.to_owned() });
        }
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong_port());
        }
        let port = port.parse::<u16>().map_err(|_| wrong_port())?;
        Self::tcp(host, port).map_err(|error| match error {
            EntryError::Host { .. } => EntryError::Host { address: address.to_owned() },
            EntryError::Port { .. } => wrong_port(),
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_kept_is_read_and_no_person_names_a_node() {
        for text in ["node://abc", "node://abc/10.0.0.1", "node://abc/fe80::1", "a:1", "unix:///s"]
        {
            assert_eq!(Entry::kept(text).unwrap().to_string(), text);
            assert_eq!(text.parse::<Entry>().is_err(), text.starts_with("node"), "{text}");
        }
        for text in ["node://", "node://a/b", "node://a b", "node:///10.0.0.1"] {
            assert!(Entry::kept(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_read_and_written_back() {
        let table = [
            ("a:1", "a:1"),
            ("tcp://10.0.0.1:2375", "10.0.0.1:2375"),
            (" node-1.example_x.:65535 ", "node-1.example_x.:65535"),
            ("[::1]:2375", "[::1]:2375"),
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("h:02375", "h:2375"),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Entry>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        let table = [
            ("", "is empty"),
            ("host", "has no valid port"),
            ("host:", "has no valid port"),
            ("host:0", "from 1 to 65535"),
            ("host:65536", "from 1 to 65535"),
            ("host:+1", "has no valid port"),
            (":2375", "has no valid host"),
            ("::1:2375", "IPv6 address in brackets"),
            ("[::1:2375", "has no valid host"),
            ("[fe80::1%eth0]:1", "has no valid host"),
            ("[1.2.3.4]:1", "has no valid host"),
            ("a b:1", "has no valid host"),
            ("a/b:1", "has no valid host"),
            ("https://a:1", "a scheme that names no engine"),
            ("unix://run/x", "expected unix:///PATH"),
            ("unix:///", "expected unix:///PATH"),
        ];
        for (text, words) in table {
            let error = text.parse::<Entry>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_survives_a_round_trip(text in "[\\[\\]:0-9a-z.%/_-]{0,24}|\\PC{0,40}") {
            if let Ok(entry) = text.parse::<Entry>() {
                prop_assert_eq!(entry.to_string().parse::<Entry>(), Ok(entry));
            }
        }
    }
}
