//! Who may depend on whom: the crates' layers, read from `cargo metadata`.
//!
//! The table is the house's (ARCHITECTURE.md). Tests may use the test crates; beyond that a
//! crate's tests obey its own layer. A crate that is in no layer is a breach by itself.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Vocabulary,
    Port,
    Decision,
    Adapter,
    Runtime,
    Surface,
    Binary,
    Development,
}

use Layer::{Adapter, Binary, Decision, Development, Port, Runtime, Surface, Vocabulary};

const CRATES: &[(Layer, &[&str])] = &[
    (Vocabulary, &["swarm-model", "swarm-docker"]),
    (Port, &["swarm-backend", "swarm-kv", "swarm-trace"]),
    (Decision, &["swarm-core", "swarm-store", "swarm-doctor"]),
    (
        Adapter,
        &[
            "swarm-engine",
            "swarm-discovery",
            "swarm-consul",
            "swarm-etcd",
            "swarm-zookeeper",
            "swarm-memory",
            "swarm-rpc",
            "swarm-raft",
            "swarm-ca",
            "swarm-gossip",
            "swarm-network",
            "swarm-tls",
            "swarm-splice",
            "swarm-backoff",
            "swarm-otlp",
            "swarm-dns",
        ],
    ),
    (
        Runtime,
        &[
            "swarm-pool",
            "swarm-registrator",
            "swarm-proxy",
            "swarm-install",
            "swarm-manager",
            "swarm-agent",
            "swarm-node",
        ],
    ),
    (
        Surface,
        &[
            "swarm-api",
            "swarm-listen",
            "swarm-token",
            "swarm-metrics",
            "swarm-top",
            "swarm-visualizer",
        ],
    ),
    (Binary, &["swarm"]),
    (Development, &["swarm-testkit", "swarm-sim", "swarm-e2e", "swarm-bench", "xtask"]),
];

/// Uses that the layers would not allow, each with its reason: the replicated state machine speaks
/// the store port's words, the two stores of our own are nothing but that machine, kept, a
/// failed TLS handshake is told in the same words by all who meet one, pauses after failures grow in one way,
/// all services shake hands and those beside the
/// Docker API listen in one way, two raw connections are joined in one way, and a node is its agent and, when promoted, its manager, which shows
/// all nodes as a pool.
const BESIDES: &[(&str, &str)] = &[
    ("swarm-store", "swarm-kv"),
    ("swarm-memory", "swarm-store"),
    ("swarm-raft", "swarm-store"),
    ("swarm-engine", "swarm-tls"),
    ("swarm-consul", "swarm-tls"),
    ("swarm-etcd", "swarm-tls"),
    ("swarm-api", "swarm-splice"),
    ("swarm-consul", "swarm-backoff"),
    ("swarm-discovery", "swarm-backoff"),
    ("swarm-etcd", "swarm-backoff"),
    ("swarm-otlp", "swarm-backoff"),
    ("swarm-zookeeper", "swarm-backoff"),
    ("swarm-api", "swarm-listen"),
    ("swarm-token", "swarm-listen"),
    ("swarm-metrics", "swarm-listen"),
    ("swarm-visualizer", "swarm-listen"),
    ("swarm-node", "swarm-agent"),
    ("swarm-node", "swarm-manager"),
    ("swarm-node", "swarm-pool"),
];

/// The layers whose crates a crate of this layer may use.
fn may_use(layer: Layer) -> &'static [Layer] {
    match layer {
        Vocabulary | Decision => &[Vocabulary],
        Port | Adapter | Surface => &[Vocabulary, Port],
        Runtime => &[Vocabulary, Port, Decision, Adapter],
        Binary => &[Vocabulary, Port, Decision, Adapter, Runtime, Surface],
        Development => {
            &[Vocabulary, Port, Decision, Adapter, Runtime, Surface, Binary, Development]
        }
    }
}

/// Crates from outside that a layer must do without: no I/O in vocabulary, no clock, no log and no
/// metrics in decisions, no HTTP requests and no kernel messages in runtimes.
fn forbidden(layer: Layer) -> &'static [&'static str] {
    match layer {
        Vocabulary | Port => &[
            "tokio",
            "tokio-util",
            "tokio-stream",
            "hyper",
            "hyper-util",
            "reqwest",
            "socket2",
            "nix",
            "libc",
            "rand",
            "rustls",
            "tokio-rustls",
            "tracing",
            "prometheus-client",
        ],
        Decision => &[
            "tokio",
            "tokio-util",
            "tokio-stream",
            "hyper",
            "hyper-util",
            "reqwest",
            "socket2",
            "nix",
            "libc",
            "rustls",
            "tokio-rustls",
            "tracing",
            "prometheus-client",
            "async-trait",
            "futures-util",
            "futures-io",
            "jiff",
            "anyhow",
        ],
        Adapter => &["anyhow"],
        Runtime => &["hyper", "hyper-util", "reqwest", "rtnetlink", "anyhow"],
        Surface => &["anyhow", "reqwest"],
        Binary | Development => &[],
    }
}

fn layer_of(name: &str) -> Option<Layer> {
    CRATES.iter().find(|(_, names)| names.contains(&name)).map(|(layer, _)| *layer)
}

/// All breaches in the workspace that this metadata describes.
pub fn check(metadata: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut breaches = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(layer) = layer_of(name) else {
            breaches.push(format!("{name}: in no layer; put it into xtask/src/tidy/layers.rs"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let other = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"] == "dev";
            if other == name && in_tests {
                continue; // Itself, with a feature that only its tests turn on.
            }
            breaches.extend(breach(name, layer, other, in_tests));
        }
    }
    breaches
}

fn breach(name: &str, layer: Layer, other: &str, in_tests: bool) -> Option<String> {
    if let Some(below) = layer_of(other) {
        let allowed = may_use(layer).contains(&below)
            || BESIDES.contains(&(name, other))
            || (in_tests && below == Development);
        return (!allowed)
            .then(|| format!("{name} ({layer:?}) may not depend on {other} ({below:?})"));
    }
    (!in_tests && forbidden(layer).contains(&other))
        .then(|| format!("{name} ({layer:?}) may not depend on {other}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
        json!({"packages": [{"name": name, "dependencies": dependencies}]})
    }

    #[test]
    fn the_house_as_it_should_be_passes() {
        let binary = [("swarm-pool", None), ("swarm-api", None), ("tokio", None)];
        for (name, dependencies) in [
            ("swarm-core", &[("swarm-docker", None), ("rand", None)][..]),
            ("swarm-pool", &[("swarm-engine", None), ("swarm-testkit", Some("dev"))]),
            ("swarm", &binary),
            ("swarm-memory", &[("swarm-kv", None), ("swarm-store", None)]),
            ("xtask", &[("swarm-api", None)]),
        ] {
            assert_eq!(check(&package(name, dependencies)), [""; 0], "{name}");
        }
    }

    #[test]
    fn each_breach_is_told() {
        for (name, other, kind) in [
            ("swarm-docker", "tokio", None),
            ("swarm-core", "tracing", None),
            ("swarm-core", "prometheus-client", None),
            ("swarm-core", "swarm-engine", None),
            ("swarm-engine", "swarm-discovery", None),
            ("swarm-engine", "swarm-core", None),
            ("swarm-api", "swarm-engine", None),
            ("swarm-api", "swarm-engine", Some("dev")),
            ("swarm-pool", "hyper", None),
            ("swarm-pool", "swarm-testkit", None),
            ("swarm-docker", "swarm-backend", Some("build")),
            ("swarm", "xtask", None),
        ] {
            let breaches = check(&package(name, &[(other, kind)]));
            assert_eq!(breaches.len(), 1, "{name} -> {other}");
            assert!(breaches[0].contains(name) && breaches[0].contains(other));
        }
        assert_eq!(check(&package("swarm-new", &[])).len(), 1);
    }
}
