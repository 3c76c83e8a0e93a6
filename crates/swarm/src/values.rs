//! Readers of flag values whose form classic Swarm took from Go: durations, booleans,
//! addresses to listen on. They are total: any text gives a value or the reason why not.

use std::path::PathBuf;
use std::time::Duration;

use crate::usage::UsageError;

/// What a duration looks like, for messages.
const DURATION_FORM: &str =
    "expected a duration such as 500ms, 30s, 1m30s or 2h (units: ns, us, ms, s, m, h)";

/// What an address to listen on looks like, for messages.
const LISTEN_FORM: &str = "expected tcp://HOST:PORT or unix:///PATH";

/// Reads a duration as Go's `time.ParseDuration` does, negative ones refused.
pub fn duration(flag: &str, text: &str) -> Result<Duration, UsageError> {
    let malformed = || UsageError::value(flag, text, DURATION_FORM);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(malformed()),
        };
        let number: f64 = number.parse().map_err(|_| malformed())?;
        let part = Duration::try_from_secs_f64(number * scale).map_err(|_| malformed())?;
        total = total.checked_add(part).ok_or_else(malformed)?;
        rest = after;
    }
    Ok(total)
}

/// Reads a boolean as Go's `strconv.ParseBool` does (`--tls=true`).
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// An address to serve the API on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `HOST:PORT`, ready to be bound; port 0 lets the system choose.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// Reads `tcp://HOST:PORT`, `HOST:PORT`, `:PORT` (all IPv4 addresses) or `unix:///PATH`.
pub fn listen(flag: &str, text: &str) -> Result<Listen, UsageError> {
    let wrong = |problem| UsageError::value(flag, text, problem);
    let address = match text.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') && path.len() > 1 => {
            return Ok(Listen::Unix(path.into()));
        }
        Some(("unix", _)) => return Err(wrong("expected an absolute path, as in unix:///PATH")),
        Some(("tcp", rest)) => rest.strip_suffix('/').unwrap_or(rest),
        Some(_) => return Err(wrong(LISTEN_FORM)),
        None => text,
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong(LISTEN_FORM))?;
    let port = Some(port)
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|port| port.parse::<u16>().ok())
        .ok_or_else(|| wrong("expected a port from 0 to 65535 after the last colon"))?;
    let host = match host {
        "" | "*" => "0.0.0.0",
        host => host,
    };
    // The name is only looked up when it is bound; its form is checked as any engine's is,
    // with a port that an engine may have.
    format!("{host}:1")
        .parse::<swarm_discovery::Entry>()
        .map_err(|_| wrong("expected a host name, an IPv4 address, or IPv6 in brackets"))?;
    Ok(Listen::Tcp(format!("{host}:{port}")))
}

/// Reads `HOST:PORT`, or `:PORT` for this machine alone.
pub fn local_listen(flag: &str, text: &str) -> Result<String, UsageError> {
    let wrong =
        || UsageError::value(flag, text, "expected HOST:PORT, or :PORT for this machine alone");
    if text.contains("://") {
        return Err(wrong());
    }
    let whole = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    match listen(flag, &whole) {
        Ok(Listen::Tcp(address)) => Ok(address),
        _ => Err(wrong()),
    }
}

/// Checks `--advertise`: where others reach us, `HOST:PORT`.
pub fn advertise(flag: &str, text: &str) -> Result<swarm_discovery::Entry, UsageError> {
    match text.parse() {
        Ok(entry @ swarm_discovery::Entry::Tcp { .. }) => Ok(entry),
        _ => Err(UsageError::value(
            flag,
            text,
            "--advertise should be of the form ip:port or hostname:port",
        )),
    }
}

/// Reads a whole number from `least` up.
pub fn count(flag: &str, text: &str, least: u32) -> Result<u32, UsageError> {
    text.parse().ok().filter(|number| *number >= least).ok_or_else(|| {
        UsageError::value(flag, text, format!("expected a whole number, {least} or more"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_gos() {
        let table = [
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            ("2h45m", 9_900_000),
            ("0", 0),
            ("+5s", 5_000),
            (".5s", 500),
        ];
        for (text, millis) in table {
            assert_eq!(duration("--x", text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        assert_eq!(duration("--x", "1us").unwrap(), Duration::from_micros(1));
        for text in ["", "30", "-10s", "s", "1x", "1.2.3s", "30 s", "9999999999999999999h", "+"] {
            let error = duration("--ttl", text).unwrap_err().to_string();
            let start = format!("--ttl {text:?}: expected a duration such as");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn an_address_without_a_host_is_this_machine_where_that_is_safer() {
        for (text, expected) in [
            (":9323", "127.0.0.1:9323"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:9323", "0.0.0.0:9323"),
            ("[::1]:9323", "[::1]:9323"),
        ] {
            assert_eq!(local_listen("--x", text).unwrap(), expected);
        }
        for text in ["", "9323", "tcp://h:1", "unix:///run/x", "h:x", ":70000", "a b:1"] {
            let error = local_listen("--metrics-addr", text).unwrap_err().to_string();
            let form = format!("--metrics-addr {text:?}: expected HOST:PORT, or :PORT");
            assert!(error.starts_with(&form), "{error}");
        }
    }

    #[test]
    fn addresses_to_listen_on() {
        let tcp = |text: &str| Listen::Tcp(text.to_owned());
        let table = [
            ("tcp://127.0.0.1:2375", tcp("127.0.0.1:2375")),
            ("0.0.0.0:0", tcp("0.0.0.0:0")),
            (":2375", tcp("0.0.0.0:2375")),
            ("tcp://[::]:2376/", tcp("[::]:2376")),
            ("unix:///run/s.sock", Listen::Unix("/run/s.sock".into())),
        ];
        for (text, expected) in table {
            assert_eq!(listen("-H", text).unwrap(), expected);
        }
        for text in ["", "host", "tcp://host", "fd://", "unix://x", "h:99999", "a b:1", "::1:5"] {
            let error = listen("-H", text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("-H {text:?}: expected")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.hmsunµ+-]{0,20}|\\PC{0,40}") {
            let _ = duration("--x", &text);
            let _ = listen("--x", &text);
            let _ = advertise("--x", &text);
            let _ = count("--x", &text, 1);
        }
    }
}
