//! What labels and variables say of the hosts that something answers for. Three ways, the first that is
//! used counts: our own labels, nginx-proxy's variables, interlock's labels.
//!
//! Invariant: hosts and paths that come out of here are plain words, which every proxy takes as they are;
//! whatever is not is refused with its reason, and so is a word that would change what is served.

use std::collections::BTreeMap;

/// Our own labels.
const OWN: &str = "com.docker.swarm.proxy.";
/// Interlock's labels.
const INTERLOCK: &str = "interlock.";

/// What something answers for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Host names, lower case; perhaps with `*.` before them.
    pub hosts: Vec<String>,
    /// The port inside.
    pub port: Option<u16>,
    /// What a request's path begins with.
    pub path: String,
}

type Words = BTreeMap<String, String>;

/// `None`: it asks for nothing.
pub fn wish(labels: &Words, env: &Words) -> Result<Option<Wish>, String> {
    let filled = |words: &Words, key: &str| {
        words.get(key).map(|word| word.trim().to_owned()).filter(|word| !word.is_empty())
    };
    let own = |key: &str| filled(labels, &format!("{OWN}{key}"));
    let variable = |key: &str| filled(env, key);
    let interlock = |key: &str| filled(labels, &format!("{INTERLOCK}{key}"));
    if let Some(hosts) = own("host") {
        known(labels, OWN, &["host", "port", "path"])?;
        let name = |key: &str| format!("{OWN}{key}");
        return made(&hosts, &name("host"), own("port"), &name("port"), own("path"), &name("path"));
    }
    if labels.keys().any(|key| key.starts_with(OWN)) {
        return Err(format!("it has labels {OWN}*, and none of them is {OWN}host"));
    }
    if let Some(hosts) = variable("VIRTUAL_HOST") {
        if let Some(protocol) = variable("VIRTUAL_PROTO").filter(|word| word != "http") {
            return Err(format!("VIRTUAL_PROTO {protocol:?}: only http is spoken to containers"));
        }
        let destination = variable("VIRTUAL_DEST");
        if destination.is_some() {
            return Err("VIRTUAL_DEST is not known: paths are passed on as they are".to_owned());
        }
        let (port, path) = (variable("VIRTUAL_PORT"), variable("VIRTUAL_PATH"));
        return made(&hosts, "VIRTUAL_HOST", port, "VIRTUAL_PORT", path, "VIRTUAL_PATH");
    }
    let host = match (interlock("hostname"), interlock("domain")) {
        (Some(name), Some(domain)) => format!("{name}.{domain}"),
        (None, Some(domain)) => domain,
        (Some(_), None) => {
            return Err("interlock.hostname without interlock.domain".to_owned());
        }
        (None, None) => return Ok(None),
    };
    let served = ["hostname", "domain", "port", "context_root", "alias_domain"];
    known(labels, INTERLOCK, &served)?;
    let aliases = labels.iter().filter(|(key, _)| key.starts_with("interlock.alias_domain"));
    let all = aliases.fold(host, |all, (_, alias)| format!("{all},{alias}"));
    let (port, path) = (interlock("port"), interlock("context_root"));
    made(&all, "interlock.domain", port, "interlock.port", path, "interlock.context_root")
}

/// A label of the namespace that nobody here acts on would be taken for one that works.
fn known(labels: &Words, prefix: &str, served: &[&str]) -> Result<(), String> {
    let mut own = labels.keys().filter_map(|key| key.strip_prefix(prefix));
    let is_known =
        |key: &str| served.iter().any(|word| key == *word || key.starts_with(&format!("{word}.")));
    match own.find(|key| !is_known(key)) {
        Some(key) => Err(format!("{prefix}{key} is not known here")),
        None => Ok(()),
    }
}

fn made(
    hosts: &str,
    hosts_name: &str,
    port: Option<String>,
    port_name: &str,
    path: Option<String>,
    path_name: &str,
) -> Result<Option<Wish>, String> {
    let mut wish = Wish { path: path.unwrap_or_else(|| "/".to_owned()), ..Wish::default() };
    for host in hosts.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        let host = host.to_ascii_lowercase();
        if !is_host(&host) {
            let problem = "no host name, such as shop.example.com or *.example.com";
            return Err(format!("{hosts_name} {host:?}: {problem}"));
        }
        if !wish.hosts.contains(&host) {
            wish.hosts.push(host);
        }
    }
    if wish.hosts.is_empty() {
        return Err(format!("{hosts_name} names no host"));
    }
    if let Some(port) = port {
        match port.parse::<u16>() {
            Ok(number) if number != 0 => wish.port = Some(number),
            _ => return Err(format!("{port_name} {port:?}: no port")),
        }
    }
    if !is_path(&wish.path) {
        let path = &wish.path;
        let form = "expected / and letters, digits, '/', '.', '-' and '_'";
        return Err(format!("{path_name} {path:?}: {form}"));
    }
    Ok(Some(wish))
}

fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label = |part: &str| {
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        !part.is_empty() && part.len() <= 63 && part.bytes().all(plain) && !part.starts_with('-')
    };
    text.len() <= 253 && name.split('.').all(label)
}

fn is_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    text.starts_with('/') && text.len() <= 1024 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Words {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn said(labels: &[(&str, &str)], env: &[(&str, &str)]) -> String {
        match wish(&words(labels), &words(env)) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(wish)) => {
                let port = wish.port.map_or_else(String::new, |port| format!(":{port}"));
                format!("{}{port} {}", wish.hosts.join(","), wish.path)
            }
            Err(reason) => reason,
        }
    }

    #[test]
    fn three_ways_to_name_a_host() {
        const HOST: &str = "com.docker.swarm.proxy.host";
        const PORT: &str = "com.docker.swarm.proxy.port";
        const PATH: &str = "com.docker.swarm.proxy.path";
        for (labels, env, expected) in [
            (&[][..], &[][..], "nothing"),
            (&[(HOST, "A.com, b.com,a.com"), (PORT, "81"), (PATH, "/x")], &[], "a.com,b.com:81 /x"),
            (&[(HOST, "own")], &[("VIRTUAL_HOST", "other")], "own /"),
            (&[], &[("VIRTUAL_HOST", "*.a.com"), ("VIRTUAL_PORT", "1")], "*.a.com:1 /"),
            (&[], &[("VIRTUAL_HOST", "")], "nothing"),
            (&[("interlock.hostname", "w"), ("interlock.domain", "a.com")], &[], "w.a.com /"),
            (
                &[("interlock.domain", "a.com"), ("interlock.alias_domain.0", "b.com")],
                &[],
                "a.com,b.com /",
            ),
            (
                &[
                    ("interlock.domain", "a.com"),
                    ("interlock.context_root", "/app"),
                    ("interlock.port", "8"),
                ],
                &[],
                "a.com:8 /app",
            ),
        ] {
            assert_eq!(said(labels, env), expected, "{labels:?} {env:?}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        for (labels, env, expected) in [
            (&[("com.docker.swarm.proxy.port", "1")][..], &[][..], "none of them is"),
            (
                &[("com.docker.swarm.proxy.host", "a"), ("com.docker.swarm.proxy.hots", "b")],
                &[],
                "com.docker.swarm.proxy.hots is not known here",
            ),
            (&[], &[("VIRTUAL_HOST", "a; } server {")], "no host name"),
            (&[], &[("VIRTUAL_HOST", "~^www")], "no host name"),
            (&[], &[("VIRTUAL_HOST", ",")], "names no host"),
            (&[], &[("VIRTUAL_HOST", "a"), ("VIRTUAL_PORT", "0")], "VIRTUAL_PORT \"0\": no port"),
            (&[], &[("VIRTUAL_HOST", "a"), ("VIRTUAL_PATH", "/a b")], "VIRTUAL_PATH \"/a b\""),
            (&[], &[("VIRTUAL_HOST", "a"), ("VIRTUAL_PROTO", "https")], "only http"),
            (&[("interlock.hostname", "a")], &[], "without interlock.domain"),
            (
                &[("interlock.domain", "a"), ("interlock.ssl_only", "true")],
                &[],
                "interlock.ssl_only is not known here",
            ),
        ] {
            let found = said(labels, env);
            assert!(found.contains(expected), "{labels:?} {env:?}: {found}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_becomes_plain_words(host in "\\PC{0,20}", path in "\\PC{0,20}") {
            let labels = words(&[("com.docker.swarm.proxy.host", &host), ("com.docker.swarm.proxy.path", &path)]);
            if let Ok(Some(wish)) = wish(&labels, &Words::new()) {
                let plain = |c: char| c.is_ascii_alphanumeric() || "*./-_".contains(c);
                prop_assert!(wish.path.chars().all(plain));
                prop_assert!(wish.hosts.iter().all(|host| host.chars().all(plain)));
            }
        }
    }
}
