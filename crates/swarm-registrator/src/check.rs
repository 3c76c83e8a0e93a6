//! A service's health check in Consul, from `SERVICE_CHECK_*` (`consul/consul.go` of
//! gliderlabs/registrator; Consul's `PUT /v1/agent/service/register`).
//!
//! Commands (`CHECK_SCRIPT`, `CHECK_CMD`) are refused: Consul would run on its host what any
//! container asks for.

use std::collections::BTreeMap;

use swarm_consul::Check;

use crate::service::Service;

/// Between two looks where SERVICE_CHECK_INTERVAL is not said.
const INTERVAL: &str = "10s";

/// The check that a service asks for.
pub fn check(service: &Service) -> Result<Option<Check>, String> {
    let said = |key: &str| service.attributes.get(key).map(String::as_str);
    for key in ["check_script", "check_cmd"] {
        if said(key).is_some() {
            return Err(format!(
                "SERVICE_{} would run a command on Consul's host, and is refused; use \
                 SERVICE_CHECK_HTTP, HTTPS, TCP or TTL",
                key.to_ascii_uppercase()
            ));
        }
    }
    let host =
        if service.ip.contains(':') { format!("[{}]", service.ip) } else { service.ip.clone() };
    let at = format!("{host}:{}", service.port);
    let mut check = Check { id: format!("service:{}", service.id), ..Check::default() };
    if let Some((scheme, path)) = [("http", "check_http"), ("https", "check_https")]
        .into_iter()
        .find_map(|(s, key)| Some((s, said(key)?)))
    {
        if !path.starts_with('/') {
            return Err(format!(
                "SERVICE_CHECK_{} {path:?}: a path begins with /",
                scheme.to_ascii_uppercase()
            ));
        }
        check.http = Some(format!("{scheme}://{at}{path}"));
    } else if let Some(ttl) = said("check_ttl") {
        check.ttl = Some(span("TTL", ttl)?);
    } else if said("check_tcp").is_some() {
        check.tcp = Some(at);
    } else {
        return Ok(None);
    }
    if check.ttl.is_none() {
        check.interval = Some(span("INTERVAL", said("check_interval").unwrap_or(INTERVAL))?);
        check.timeout = said("check_timeout").map(|text| span("TIMEOUT", text)).transpose()?;
    }
    check.deregister_after =
        said("check_deregister_after").map(|text| span("DEREGISTER_AFTER", text)).transpose()?;
    check.status = match said("check_initial_status") {
        status @ (None | Some("passing" | "warning" | "critical")) => status.map(str::to_owned),
        Some(other) => {
            return Err(format!(
                "SERVICE_CHECK_INITIAL_STATUS {other:?}: expected passing, warning or critical"
            ));
        }
    };
    Ok(Some(check))
}

/// A duration as Consul reads it: numbers, each with its unit.
fn span(key: &str, text: &str) -> Result<String, String> {
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit =
            ["ns", "us", "ms", "s", "m", "h"].into_iter().find(|unit| after.starts_with(unit));
        match unit {
            Some(unit) if after.len() < rest.len() => rest = &after[unit.len()..],
            _ => break,
        }
        parts += 1;
    }
    if parts == 0 || !rest.is_empty() {
        return Err(format!("SERVICE_CHECK_{key} {text:?}: expected a duration such as 15s or 1m"));
    }
    Ok(text.to_owned())
}

/// What is said beside the check, within what Consul takes as a service's metadata: 64 keys of at
/// most 128 letters, digits, `-` and `_`, values of at most 512 bytes. Four keys are kept for marks.
pub fn meta(attributes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let fits = |key: &str, value: &str| {
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        plain && key.len() <= 128 && value.len() <= 512 && !key.starts_with("check_")
    };
    let fitting = attributes.iter().filter(|(key, value)| fits(key, value));
    fitting.take(60).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(said: &[(&str, &str)]) -> Result<Option<Check>, String> {
        check(&Service {
            id: "h:c:80".into(),
            name: "n".into(),
            ip: "10.0.0.1".into(),
            port: 8000,
            tags: Vec::new(),
            attributes: said.iter().map(|(k, v)| (format!("check_{k}"), (*v).to_owned())).collect(),
            container: "c".into(),
        })
    }

    #[test]
    fn the_table_of_checks() {
        assert_eq!(of(&[("interval", "5s")]).unwrap(), None);
        let http = of(&[
            ("http", "/health"),
            ("timeout", "1s"),
            ("initial_status", "passing"),
            ("deregister_after", "1m30s"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(http.http.as_deref(), Some("http://10.0.0.1:8000/health"));
        assert_eq!(http.interval.as_deref(), Some("10s"));
        assert_eq!(http.timeout.as_deref(), Some("1s"));
        assert_eq!(http.status.as_deref(), Some("passing"));
        assert_eq!(http.deregister_after.as_deref(), Some("1m30s"));
        let https = of(&[("https", "/"), ("interval", "15s")]).unwrap().unwrap();
        assert_eq!(
            (https.http.as_deref(), https.interval.as_deref()),
            (Some("https://10.0.0.1:8000/"), Some("15s"))
        );
        let tcp = of(&[("tcp", "true")]).unwrap().unwrap();
        assert_eq!(tcp.tcp.as_deref(), Some("10.0.0.1:8000"));
        let ttl = of(&[("ttl", "30s"), ("tcp", "true")]).unwrap().unwrap();
        assert_eq!((ttl.ttl.as_deref(), ttl.interval, ttl.tcp), (Some("30s"), None, None));
    }

    #[test]
    fn what_cannot_be_checked_is_said() {
        for (said, words) in [
            (
                &[("script", "rm -rf /")][..],
                "SERVICE_CHECK_SCRIPT would run a command on Consul's host",
            ),
            (&[("cmd", "x"), ("http", "/")], "SERVICE_CHECK_CMD would run"),
            (&[("http", "health")], "a path begins with /"),
            (&[("ttl", "30")], "SERVICE_CHECK_TTL \"30\": expected a duration"),
            (&[("tcp", "1"), ("interval", "soon")], "SERVICE_CHECK_INTERVAL \"soon\""),
            (&[("tcp", "1"), ("initial_status", "good")], "expected passing, warning or critical"),
        ] {
            let error = of(said).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn metadata_is_what_consul_takes() {
        let long = "x".repeat(513);
        let all = [("region", "eu"), ("check_http", "/"), ("a.b", "c"), ("long", &long)];
        let all = all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(meta(&all).into_keys().collect::<Vec<_>>(), ["region"]);
    }

    proptest! {
        #[test]
        fn any_words_are_read(key in "(http|ttl|interval|timeout|tcp)", value in "\\PC{0,10}") {
            let _ = of(&[(&key, &value), ("tcp", "1")]);
        }
    }
}
