//! How a machine is written: as for `ssh`, `[USER@]HOST` or `ssh://[USER@]HOST[:PORT]`. HOST may be a
//! name of the person's own `~/.ssh/config`.

use std::fmt;

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    written: String,
    destination: String,
    port: Option<u16>,
}

/// The text names no machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no machine: {problem}")]
pub struct BadTarget {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Target {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        let bad = |problem| BadTarget { text: text.to_owned(), problem };
        let (destination, port) = match text.split_once("://") {
            Some(("ssh", rest)) => {
                with_port(rest.strip_suffix('/').unwrap_or(rest)).map_err(bad)?
            }
            Some(_) => return Err(bad("write USER@HOST, or ssh://USER@HOST:PORT")),
            None => (text.to_owned(), None),
        };
        let host = destination.rsplit_once('@').map_or(destination.as_str(), |(_, host)| host);
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        // ssh would take these for options, or the other shell for more words.
        if destination.starts_with('-') || host.starts_with('-') {
            return Err(bad("it begins with a dash"));
        }
        let plain = |c: char| c.is_alphanumeric() || "-._:%@+\\".contains(c);
        if !destination.chars().all(plain) {
            return Err(bad("it has characters that no user and no host has"));
        }
        if text == destination && host.matches(':').count() == 1 {
            return Err(bad("a port is written as in ssh://USER@HOST:PORT"));
        }
        Ok(Self { written: text.to_owned(), destination, port })
    }

    /// For `ssh`: who and where.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// For `ssh -p`, where it was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host without its user.
    pub fn host(&self) -> &str {
        self.destination.rsplit_once('@').map_or(&self.destination, |(_, host)| host)
    }

    /// Whether a person who wrote `name` meant this machine: as a whole, or by its host alone.
    pub fn is(&self, name: &str) -> bool {
        self.written == name || self.destination == name || self.host() == name
    }
}

fn with_port(rest: &str) -> Result<(String, Option<u16>), &'static str> {
    let wrong = "the port must be a number from 1 to 65535";
    let number = |digits: &str| match digits.parse() {
        Ok(0) | Err(_) => Err(wrong),
        Ok(port) => Ok(port),
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (format!("{user}@"), place),
        None => (String::new(), rest),
    };
    if let Some(inner) = place.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or("the bracket [ is not closed")?;
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(number(digits)?),
            None if after.is_empty() => None,
            None => return Err("after ] there can only be a :PORT"),
        };
        return Ok((format!("{user}{host}"), port));
    }
    match place.split_once(':') {
        Some((host, digits)) => Ok((format!("{user}{host}"), Some(number(digits)?))),
        None => Ok((format!("{user}{place}"), None)),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_written_as_for_ssh() {
        for (text, destination, port) in [
            ("root@10.0.0.1", "root@10.0.0.1", None),
            ("web1", "web1", None),
            ("ssh://root@h1:2222", "root@h1", Some(2222)),
            ("ssh://h1/", "h1", None),
            ("ssh://ann@[fd00::1]:22", "ann@fd00::1", Some(22)),
            ("fd00::1", "fd00::1", None),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.destination(), target.port()), (destination, port), "{text}");
            assert_eq!(target.to_string(), text);
        }
        let target = Target::parse("ssh://ann@h1:22").unwrap();
        assert!(target.is("h1") && target.is("ann@h1") && target.is("ssh://ann@h1:22"));
        assert!(!target.is("h") && !target.is("ann"));
    }

    #[test]
    fn what_is_none_is_refused_in_words() {
        for (text, words) in [
            ("", "host is missing"),
            ("root@", "host is missing"),
            ("-oProxyCommand=x", "a dash"),
            ("root@-x", "a dash"),
            ("a b", "characters"),
            ("a;b", "characters"),
            ("h1:22", "ssh://USER@HOST:PORT"),
            ("tcp://h1:2375", "ssh://USER@HOST:PORT"),
            ("ssh://h1:0", "from 1 to 65535"),
            ("ssh://h1:x", "from 1 to 65535"),
            ("ssh://[fd00::1", "bracket"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
