//! A store's URL: `SCHEME://HOST:PORT[,HOST:PORT...][/PREFIX]`, as classic Swarm writes it.

use std::fmt;

/// A store's URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl {
    /// `consul`, `etcd`, `zk`, …
    pub scheme: String,
    /// `HOST:PORT` each; at least one.
    pub hosts: Vec<String>,
    /// The path, without slashes around it; may be empty.
    pub prefix: String,
}

/// Why a store's URL cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url:?}: {reason}; expected {scheme}://HOST:PORT[,HOST:PORT...][/PREFIX]")]
pub struct UrlError {
    url: String,
    scheme: String,
    reason: String,
}

impl StoreUrl {
    /// Takes a URL apart. A host without a port gets `default_port`.
    pub fn parse(url: &str, default_port: u16) -> Result<Self, UrlError> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or(("STORE", url));
        let scheme = scheme.to_ascii_lowercase();
        let wrong = |reason: &str| {
            // What stands before an `@` may be a password.
            let shown = if url.contains('@') { "(not shown)" } else { url };
            UrlError { url: shown.to_owned(), scheme: scheme.clone(), reason: reason.to_owned() }
        };
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains('@') {
            return Err(wrong(
                "user and password do not belong into the URL, give them by --discovery-opt \
                 kv.username and kv.passwordfile",
            ));
        }
        let mut list = Vec::new();
        for host in hosts.split(',').map(str::trim).filter(|host| !host.is_empty()) {
            list.push(host_and_port(host, default_port).ok_or_else(|| {
                wrong(&format!("{host:?} is no HOST:PORT with a port from 1 to 65535"))
            })?);
        }
        if list.is_empty() {
            return Err(wrong("it names no server"));
        }
        let parts = prefix.split('/').filter(|part| !part.is_empty());
        let prefix = parts.collect::<Vec<_>>().join("/");
        if prefix.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#')) {
            return Err(wrong("the prefix holds characters that a key cannot have"));
        }
        Ok(Self { scheme, hosts: list, prefix })
    }
}

fn host_and_port(text: &str, default_port: u16) -> Option<String> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address in brackets are none of a port.
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, default_port),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    let valid = if bracketed {
        inner.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    (valid && port != 0).then(|| format!("{host}:{port}"))
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.hosts.join(","))?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_read_and_written_back() {
        let table = [
            ("etcd://a:1,b:2/x/y/", "etcd://a:1,b:2/x/y"),
            ("ETCD://a", "etcd://a:2379"),
            ("etcd://[::1]:1,[fd00::2]", "etcd://[::1]:1,[fd00::2]:2379"),
            ("etcd://a,,b//p", "etcd://a:2379,b:2379/p"),
        ];
        for (text, shown) in table {
            assert_eq!(StoreUrl::parse(text, 2379).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let table = [
            ("etcd://", "names no server"),
            ("etcd://a:0", "\"a:0\" is no HOST:PORT"),
            ("etcd://a:99999", "is no HOST:PORT"),
            ("etcd://::1:5", "is no HOST:PORT"),
            ("etcd://a:1/b c", "the prefix holds"),
            ("etcd://me:secret@a:1", "kv.passwordfile"),
        ];
        for (text, words) in table {
            let error = StoreUrl::parse(text, 1).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_survives_a_round_trip(text in "etcd://[a-z0-9:,/.\\[\\]-]{0,30}|\\PC{0,40}") {
            if let Ok(url) = StoreUrl::parse(&text, 7) {
                prop_assert_eq!(StoreUrl::parse(&url.to_string(), 7), Ok(url));
            }
        }
    }
}
