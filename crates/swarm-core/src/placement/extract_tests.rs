//! What is read from create bodies and build inputs, and what is written back.

use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::super::ports::Protocol;
use super::*;

fn texts(exprs: &[Expr]) -> Vec<String> {
    exprs.iter().map(ToString::to_string).collect()
}

#[test]
fn expressions_move_from_env_to_labels() {
    let mut body = json!({
        "Image": "redis:7",
        "Env": ["A=b", "constraint:storage==ssd", "affinity:container!=~db*", "constraint", "C:d=e",
                "whitelist:node==n1|n2", "reschedule:on-node-failure"],
        "Labels": {"app": "x", "com.docker.swarm.constraints": "[\"region==eu\"]",
                   "com.docker.swarm.id": "abc"},
    });
    let request = Request::from_create_body("/web", &mut body).unwrap();
    assert_eq!(request.name, "web");
    assert_eq!(request.image, "redis:7");
    assert_eq!(texts(&request.constraints), ["region==eu", "storage==ssd"]);
    assert_eq!(texts(&request.affinities), ["container!=~db*"]);
    assert_eq!(texts(&request.whitelists), ["node==n1|n2"]);
    assert_eq!(request.reschedule, Some(swarm_model::Policy::OnNodeFailure));
    assert_eq!(request.swarm_id.as_deref(), Some("abc"));
    assert!(request.labels.contains(&("app".to_owned(), "x".to_owned())));
    assert_eq!(
        body,
        json!({
            "Image": "redis:7",
            "Env": ["A=b", "constraint", "C:d=e"],
            "Labels": {
                "app": "x",
                "com.docker.swarm.constraints": r#"["region==eu","storage==ssd"]"#,
                "com.docker.swarm.id": "abc",
                "com.docker.swarm.affinities": r#"["container!=~db*"]"#,
                "com.docker.swarm.whitelists": r#"["node==n1|n2"]"#,
                "com.docker.swarm.reschedule-policies": r#"["on-node-failure"]"#,
            },
        })
    );
    let before = body.clone();
    let again = Request::from_create_body("web", &mut body).unwrap();
    assert_eq!(texts(&again.constraints), texts(&request.constraints));
    assert_eq!(body, before);
}

#[test]
fn resources_ports_and_dependencies_are_read() {
    let mut body = json!({
        "Image": "app",
        "HostConfig": {
            "Memory": 1_073_741_824, "CpuShares": 2, "NanoCpus": 500_000_000,
            "Links": ["/db:database", "cache"], "VolumesFrom": ["data:ro"],
            "NetworkMode": "container:net0", "IpcMode": "container:ipc0", "PidMode": "host",
            "PortBindings": {
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostPort": ""}],
                "53/udp": [{"HostIp": "10.0.0.1", "HostPort": "53"}],
                "90/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9000-9010"}],
                "91/tcp": null,
            },
        },
    });
    let before = body.clone();
    let request = Request::from_create_body("", &mut body).unwrap();
    assert_eq!(body, before, "nothing to consolidate, nothing changed");
    assert_eq!(request.subject(), "app");
    assert_eq!(request.resources, Resources { nano_cpus: 2 * NANO, memory: 1 << 30 });
    let dependencies: Vec<_> = request.dependencies.iter().map(ToString::to_string).collect();
    assert_eq!(
        dependencies,
        [
            "--link=/db:database",
            "--link=cache",
            "--volumes-from=data:ro",
            "--net=container:net0",
            "--ipc=container:ipc0"
        ]
    );
    let names: Vec<_> = request.dependencies.iter().map(|d| d.container.as_str()).collect();
    assert_eq!(names, ["db", "cache", "data", "net0", "ipc0"]);
    let wish = |protocol, ip: Option<&str>, first, last| PortWish {
        protocol,
        ip: ip.map(|ip| ip.parse::<IpAddr>().unwrap()),
        first,
        last,
    };
    assert_eq!(
        request.ports,
        [
            wish(Protocol::Tcp, None, 8080, 8080),
            wish(Protocol::Udp, Some("10.0.0.1"), 53, 53),
            wish(Protocol::Tcp, None, 9000, 9010),
        ]
    );
}

#[test]
fn in_the_hosts_network_exposed_ports_count() {
    let mut body = json!({
        "ExposedPorts": {"80/tcp": {}, "x/tcp": {}},
        "HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostPort": "80"}]}},
    });
    let request = Request::from_create_body("a", &mut body).unwrap();
    assert!(request.ports.is_empty());
    assert_eq!(request.host_ports, [PortUse::from_exposed("80/tcp").unwrap()]);
}

#[test]
fn what_cannot_be_understood_is_named_and_changes_nothing() {
    for (body, message) in [
        (
            json!({"Env": ["A=b", "constraint:storage=ssd"]}),
            r#"invalid constraint "storage=ssd": one of the operators == and != is expected (at offset 11)"#,
        ),
        (
            json!({"Env": ["affinity:image==/(/"]}),
            r#"invalid affinity "image==/(/": the regular expression is invalid: unclosed group (at offset 7)"#,
        ),
        (
            json!({"Labels": {"com.docker.swarm.affinities": "container==db"}}),
            r#"label com.docker.swarm.affinities: "container==db" is not a JSON array of strings: expected value at line 1 column 1"#,
        ),
        (
            json!({"Env": ["reschedule:always"]}),
            r#"invalid reschedule policy: "always" (expected off, on-node-failure or on-node-failure-with-volumes)"#,
        ),
        (
            json!({"Env": ["reschedule:off", "reschedule:on-node-failure"]}),
            "too many reschedule policies: 2 given, at most 1 allowed",
        ),
        (json!([1]), "the body is not a JSON object"),
    ] {
        let mut given = body.clone();
        let error = Request::from_create_body("x", &mut given).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(given, body);
    }
}

#[test]
fn odd_types_are_left_to_the_engine() {
    for body in [
        json!({"Env": "A=b", "Labels": [], "HostConfig": []}),
        json!({"Env": [1, null], "Labels": {"a": 1}, "HostConfig": {"Memory": "1g", "Links": "a",
               "CpuShares": -1, "PortBindings": {"80": [1, {"HostPort": 80}, {"HostPort": "99999"}]}}}),
        json!({"Env": null, "Labels": null, "HostConfig": null}),
    ] {
        let mut given = body.clone();
        let request = Request::from_create_body("x", &mut given).unwrap();
        assert_eq!(given, body);
        assert_eq!(request.resources, Resources::default());
    }
}

#[test]
fn builds_are_placed_by_arguments_and_labels() {
    let object = |value: Value| value.as_object().cloned().unwrap();
    let mut inputs = BuildInputs {
        build_args: object(
            json!({"V": "1", "constraint:node": "=n1", "constraint:gpu!": "old", "N": null}),
        ),
        labels: object(json!({"com.docker.swarm.affinities": "[\"image==base\"]"})),
        memory: 64,
        cpu_shares: 1,
    };
    let request = Request::from_build(&mut inputs).unwrap();
    assert_eq!(texts(&request.constraints), ["node==n1", "gpu!=old"]);
    assert_eq!(texts(&request.affinities), ["image==base"]);
    assert!(request.is_pinned());
    assert_eq!(request.resources, Resources { nano_cpus: NANO, memory: 64 });
    assert_eq!(Value::from(inputs.build_args), json!({"V": "1", "N": null}));
    assert_eq!(inputs.labels["com.docker.swarm.constraints"], r#"["node==n1","gpu!=old"]"#);
}

#[test]
fn the_swarm_id_is_set_in_any_body() {
    for mut body in
        [json!({}), json!({"Labels": null}), json!({"Labels": {"com.docker.swarm.id": "x"}})]
    {
        set_swarm_id(&mut body, "abc");
        assert_eq!(body, json!({"Labels": {"com.docker.swarm.id": "abc"}}));
    }
}

proptest! {
    #[test]
    fn any_env_is_taken_or_refused_without_a_change(
        env in prop::collection::vec("(constraint:|affinity:|whitelist:|reschedule:|)\\PC{0,12}", 0..5),
        label in "\\PC{0,20}",
    ) {
        let body = json!({"Env": env, "Labels": {LABEL_CONSTRAINTS: label}});
        let mut given = body.clone();
        match Request::from_create_body("x", &mut given) {
            Err(_) => prop_assert_eq!(given, body),
            Ok(first) => {
                let once = given.clone();
                let second = Request::from_create_body("x", &mut given).unwrap();
                prop_assert_eq!(first.constraints, second.constraints);
                prop_assert_eq!(first.affinities, second.affinities);
                prop_assert_eq!(once, given);
            }
        }
    }
}
