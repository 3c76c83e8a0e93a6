//! The body of a create: what is read, what is refused, what survives a change.

// A test's own set-up fails the test by failing.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use swarm_docker::container::create::{CreateBody, MountSpec};

fn parse(body: &Value) -> CreateBody {
    CreateBody::parse(body.to_string().as_bytes()).unwrap()
}

fn value(body: &CreateBody) -> Value {
    serde_json::from_slice(&body.to_json()).unwrap()
}

#[test]
fn a_body_that_is_only_read_goes_on_unchanged() {
    let body = json!({
        "Image": "busybox", "Env": ["A=b", "constraint:node==n1"], "Labels": {"a": "1"},
        "Future": {"x": [1, null]}, "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {
            "NetworkMode": "container:web", "Links": ["db:db"], "VolumesFrom": ["data:ro"],
            "IpcMode": "container:a", "PidMode": "container:b", "CpuShares": 2, "NanoCpus": 5,
            "Memory": 64, "PublishAllPorts": true,
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": null},
            "Binds": ["/a:/b", "vol:/c:ro"],
            "Mounts": [{"Type": "volume", "Source": "vol", "Target": "/d"}],
        },
        "NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["w"]}}},
    });
    let read = parse(&body);
    assert_eq!(value(&read), body);
    assert_eq!((read.image(), read.env()), ("busybox", vec!["A=b", "constraint:node==n1"]));
    assert_eq!((read.label("a"), read.label("A")), (Some("1"), None));
    assert_eq!((read.network_mode(), read.ipc_mode()), ("container:web", "container:a"));
    assert_eq!((read.pid_mode(), read.links()), ("container:b", vec!["db:db"]));
    assert_eq!((read.volumes_from(), read.binds()), (vec!["data:ro"], vec!["/a:/b", "vol:/c:ro"]));
    assert_eq!((read.cpu_shares(), read.nano_cpus(), read.memory()), (2, 5, 64));
    let ports = read.port_bindings();
    assert_eq!((ports.len(), ports[0].container_port, ports[0].fixed_port()), (1, 80, Some(8080)));
    assert_eq!(read.mounts(), [MountSpec { kind: "volume", source: "vol", target: "/d" }]);
    assert_eq!(read.exposed_ports().collect::<Vec<_>>(), ["80/tcp"]);
    assert_eq!(read.endpoints().map(|(name, _)| name).collect::<Vec<_>>(), ["net"]);
    assert!(read.publish_all());
}

#[test]
fn keys_are_read_in_any_case_and_known_ones_get_their_spelling() {
    let mut body =
        parse(&json!({"image": "a", "hostconfig": {"memory": 7, "X": 1}, "labels": null}));
    assert_eq!((body.image(), body.memory()), ("a", 7));
    body.set_image("b");
    body.set_memory(8);
    body.set_label("k", "v");
    body.set_network_mode("host");
    body.set_env(vec!["A=b".into()]);
    let wanted = json!({
        "Image": "b", "HostConfig": {"Memory": 8, "X": 1, "NetworkMode": "host"},
        "Labels": {"k": "v"}, "Env": ["A=b"],
    });
    assert_eq!(value(&body), wanted);
    body.remove_label("k");
    body.remove_label("none");
    assert_eq!(body.labels().count(), 0);
    let mut empty = parse(&json!({}));
    empty.remove_label("none");
    assert_eq!(value(&empty), json!({}));
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let refused = |body: &str| {
        let error = CreateBody::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.status(), 400, "{body}");
        error.message
    };
    for (body, words) in [
        ("", "config cannot be empty in order to create a container"),
        ("null", "config cannot be empty in order to create a container"),
        ("[]", "invalid JSON: the body must be an object"),
        (r#"{"Image":5}"#, "invalid Image: must be a string"),
        (r#"{"env":["a",1]}"#, "invalid Env: must be a list of strings"),
        (r#"{"Labels":{"a":1}}"#, "invalid Labels: the value of \"a\" must be a string"),
        (r#"{"HostConfig":[]}"#, "invalid HostConfig: must be an object"),
        (r#"{"HostConfig":{"Memory":"1g"}}"#, "invalid HostConfig.Memory: must be a whole number"),
        (r#"{"HostConfig":{"Memory":1.5}}"#, "invalid HostConfig.Memory: must be a whole number"),
        (
            r#"{"HostConfig":{"PortBindings":{"x":[]}}}"#,
            "invalid HostConfig.PortBindings: \"x\" is not a port such as 80/tcp",
        ),
        (
            r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}"#,
            "invalid HostConfig.PortBindings: \"80/tcp\" must be a list of HostIp and HostPort",
        ),
        (
            r#"{"ExposedPorts":{"99999/tcp":{}}}"#,
            "invalid ExposedPorts: \"99999/tcp\" is not a port such as 80/tcp",
        ),
    ] {
        assert_eq!(refused(body), words, "{body}");
    }
    assert!(refused("{\"Image\":").starts_with("invalid JSON: "));
}

#[test]
fn networks_and_volumes_lose_their_node_prefix() {
    let mut body = parse(&json!({
        "HostConfig": {
            "NetworkMode": "n1/net", "Binds": ["n1/vol:/a", "/host:/b", "other:/c"],
            "Mounts": [{"Type": "volume", "Source": "n1/vol"}, {"Type": "bind", "Source": "n1/vol"}],
        },
        "NetworkingConfig": {"EndpointsConfig": {"n1/net": {"Aliases": ["x"]}, "b": null}},
    }));
    let strip = |name: &str| name.strip_prefix("n1/").map(str::to_owned);
    body.rename_networks(strip);
    body.rename_volumes(strip);
    let wanted = json!({
        "HostConfig": {
            "NetworkMode": "net", "Binds": ["vol:/a", "/host:/b", "other:/c"],
            "Mounts": [{"Type": "volume", "Source": "vol"}, {"Type": "bind", "Source": "n1/vol"}],
        },
        "NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["x"]}, "b": null}},
    });
    assert_eq!(value(&body), wanted);
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = CreateBody::parse(&body);
    }
}
