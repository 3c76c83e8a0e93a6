//! What is read of a container, from `GET /containers/{id}/json` (API v1.24 and up).
//!
//! Reading is lenient: what is missing, `null` or of another form counts as not there; only a document
//! without an id and a name is none of a container.

use std::collections::BTreeMap;

use serde_json::Value;

/// A container as far as services depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The full id.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    /// The image as it was named at creation.
    pub image: String,
    /// `SERVICE_*` of labels and environment, the environment's before the labels'. Nothing else of
    /// either is kept.
    pub variables: BTreeMap<String, String>,
    /// It runs, paused or not, and does not wait for its restart.
    pub running: bool,
    /// How it ended, while it does not run.
    pub exit_code: i64,
    /// It has its host's network.
    pub on_host: bool,
    /// Its own address in the first of its networks that gives it one.
    pub address: Option<String>,
    /// Its ports, by number and protocol (`80/tcp`).
    pub ports: BTreeMap<(u16, String), Option<Binding>>,
}

/// Where a port is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The host's address; `None` for all of them.
    pub ip: Option<String>,
    /// The host's port.
    pub port: u16,
}

impl Facts {
    /// Reads an inspect document.
    pub fn read(json: &Value) -> Result<Self, String> {
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
        let id = text("/Id").filter(|id| !id.is_empty()).ok_or("it has no Id")?;
        let name = text("/Name").map(|name| name.trim_start_matches('/'));
        let name = name.filter(|name| !name.is_empty()).ok_or("it has no Name")?;
        let flag = |pointer: &str| json.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
        let on_host = text("/HostConfig/NetworkMode") == Some("host");
        Ok(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            image: text("/Config/Image").unwrap_or_default().to_owned(),
            variables: variables(json),
            running: flag("/State/Running") && !flag("/State/Restarting"),
            exit_code: json.pointer("/State/ExitCode").and_then(Value::as_i64).unwrap_or(0),
            on_host,
            address: address(json),
            ports: ports(json, on_host),
        })
    }
}

fn variables(json: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let labels = json.pointer("/Config/Labels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        if let (true, Some(value)) = (key.starts_with("SERVICE_"), value.as_str()) {
            found.insert(key.clone(), value.to_owned());
        }
    }
    let env = json.pointer("/Config/Env").and_then(Value::as_array);
    for pair in env.into_iter().flatten().filter_map(Value::as_str) {
        if let (true, Some((key, value))) = (pair.starts_with("SERVICE_"), pair.split_once('=')) {
            found.insert(key.to_owned(), value.to_owned());
        }
    }
    found
}

fn address(json: &Value) -> Option<String> {
    let filled = |value: &Value| value.as_str().filter(|ip| !ip.is_empty()).map(str::to_owned);
    // Engine 29 has none here any more.
    if let Some(ip) = json.pointer("/NetworkSettings/IPAddress").and_then(filled) {
        return Some(ip);
    }
    let networks = json.pointer("/NetworkSettings/Networks")?.as_object()?;
    networks.values().filter_map(|network| network.get("IPAddress")).find_map(filled)
}

/// Exposed ports, and where those are published that are. On the host's network a port that is
/// exposed is open on the host as it is.
fn ports(json: &Value, on_host: bool) -> BTreeMap<(u16, String), Option<Binding>> {
    let mut found = BTreeMap::new();
    let exposed = json.pointer("/Config/ExposedPorts").and_then(Value::as_object);
    for key in exposed.into_iter().flat_map(|exposed| exposed.keys()) {
        if let Some((port, protocol)) = port_key(key) {
            let binding = on_host.then_some(Binding { ip: None, port });
            found.insert((port, protocol), binding);
        }
    }
    let given = json.pointer("/NetworkSettings/Ports").and_then(Value::as_object);
    for (key, bindings) in given.into_iter().flatten() {
        if let Some(port) = port_key(key) {
            let bindings = bindings.as_array().map_or(&[][..], Vec::as_slice);
            found.insert(port, bindings.iter().find_map(binding));
        }
    }
    found
}

fn port_key(key: &str) -> Option<(u16, String)> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    Some((port.parse().ok().filter(|port| *port != 0)?, protocol.to_owned()))
}

fn binding(json: &Value) -> Option<Binding> {
    let port = json.get("HostPort")?.as_str()?.parse().ok().filter(|port| *port != 0)?;
    let ip = json.get("HostIp").and_then(Value::as_str);
    let ip = ip.filter(|ip| !matches!(*ip, "" | "0.0.0.0" | "::")).map(str::to_owned);
    Some(Binding { ip, port })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inspect_document_is_read() {
        let json = json!({
            "Id": "abc", "Name": "/web",
            "State": {"Running": true, "ExitCode": 0},
            "HostConfig": {"NetworkMode": "default"},
            "Config": {
                "Image": "nginx:1", "ExposedPorts": {"80/tcp": {}, "9000": {}},
                "Env": ["PATH=/bin", "SERVICE_NAME=a=b", "SERVICE_BROKEN"],
                "Labels": {"SERVICE_NAME": "label", "SERVICE_TAGS": "x", "other": "y"},
            },
            "NetworkSettings": {
                "Ports": {
                    "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"},
                               {"HostIp": "::", "HostPort": "8081"}],
                    "53/udp": [{"HostIp": "10.0.0.1", "HostPort": "53"}],
                    "443/tcp": null, "x/tcp": null,
                },
                "Networks": {"a": {"IPAddress": ""}, "b": {"IPAddress": "172.18.0.2"}},
            },
        });
        let facts = Facts::read(&json).unwrap();
        assert_eq!((facts.name.as_str(), facts.image.as_str()), ("web", "nginx:1"));
        assert!(facts.running && !facts.on_host);
        assert_eq!(facts.address.as_deref(), Some("172.18.0.2"));
        let expected = [("SERVICE_NAME", "a=b"), ("SERVICE_TAGS", "x")];
        assert!(facts.variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
        let ports: Vec<_> = facts
            .ports
            .iter()
            .map(|((port, p), b)| {
                let binding = b.as_ref().map(|b| (b.ip.as_deref(), b.port));
                (*port, p.as_str(), binding)
            })
            .collect();
        let expected = vec![
            (53, "udp", Some((Some("10.0.0.1"), 53))),
            (80, "tcp", Some((None, 8080))),
            (443, "tcp", None),
            (9000, "tcp", None),
        ];
        assert_eq!(ports, expected);
    }

    #[test]
    fn on_the_hosts_network_exposed_ports_are_open() {
        let json = json!({"Id": "a", "Name": "/b", "HostConfig": {"NetworkMode": "host"},
            "Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": {"Ports": {}}});
        let facts = Facts::read(&json).unwrap();
        assert_eq!(facts.ports[&(80, "tcp".into())], Some(Binding { ip: None, port: 80 }));
    }

    #[test]
    fn what_is_no_container_is_refused() {
        for json in [json!({}), json!([]), json!({"Id": "a"}), json!({"Id": 1, "Name": "/b"})] {
            assert!(Facts::read(&json).is_err(), "{json}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z0-9/=]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[0-9/a-z]{0,6}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reading_is_total(config in any_json(), network in any_json(), state in any_json()) {
            let json = json!({"Id": "a", "Name": "/b", "Config": config, "State": state,
                "NetworkSettings": network});
            prop_assert!(Facts::read(&json).is_ok());
        }
    }
}
