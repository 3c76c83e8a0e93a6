//! Who answers for which host, as tables.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sight::Answers;

/// A container on one of two nodes that publishes port 80.
fn web(id: &str, node: &str, public: u16, labels: impl Into<Value>) -> Value {
    let labels: Value = labels.into();
    json!({
        "Id": id, "Names": [format!("/{node}/web{id}")], "State": "running", "Status": "Up",
        "Labels": labels,
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": public, "Type": "tcp"}],
        "NetworkSettings": {"Networks": {"net": {"IPAddress": format!("10.1.0.{id}")}}},
    })
}

fn host(name: &str) -> Value {
    json!({"com.docker.swarm.proxy.host": name})
}

fn pool(second: &str, containers: Value) -> Sight {
    let node = |name: &str, address: &str, state: &str| json!({"ID": name, "Description": {"Hostname": name}, "Status": {"State": state, "Addr": address}});
    let nodes = json!([node("a", "10.0.0.1:2375", "ready"), node("b", "10.0.0.2:2375", second)]);
    Sight::of(&Answers { nodes: Some(nodes), containers, ..Answers::default() })
}

/// `host/path: backends`, a line for each.
fn shown(sight: &Sight, settings: &Settings) -> Vec<String> {
    let (all, refused) = sites(sight, settings);
    let mut lines = Vec::new();
    for site in all {
        for location in site.locations {
            let backends: Vec<_> = location
                .backends
                .iter()
                .map(|b| format!("{}={}{}", b.name, b.endpoint, if b.backup { "?" } else { "" }))
                .collect();
            lines.push(
                format!("{}{} {}", site.host, location.path, backends.join(" ")).trim().to_owned(),
            );
        }
    }
    lines.extend(refused.into_iter().map(|(name, reason)| format!("{name}: {reason}")));
    lines
}

#[test]
fn containers_of_one_host_are_its_backends() {
    let sight = pool(
        "ready",
        json!([
            web("1", "a", 8001, host("shop.com,www.shop.com")),
            web("2", "b", 8001, host("shop.com")),
            web(
                "3",
                "b",
                8003,
                json!({"com.docker.swarm.proxy.host": "shop.com", "com.docker.swarm.proxy.path": "/api"})
            ),
            web("4", "a", 8004, host("*.shop.com")),
            web("5", "a", 8005, host("bad host")),
            web("6", "a", 8006, json!({})),
        ]),
    );
    let expected = [
        "shop.com/api web3-3=10.0.0.2:8003",
        "shop.com/ web1-1=10.0.0.1:8001 web2-2=10.0.0.2:8001",
        "www.shop.com/ web1-1=10.0.0.1:8001",
        "*.shop.com/ web4-4=10.0.0.1:8004",
        "a/web5: com.docker.swarm.proxy.host \"bad host\": no host name, such as shop.example.com or \
         *.example.com",
    ];
    assert_eq!(shown(&sight, &Settings::default()), expected);
    let internal = Settings { internal: true, network: Some("net".into()) };
    assert_eq!(shown(&sight, &internal)[1], "shop.com/ web1-1=10.1.0.1:80 web2-2=10.1.0.2:80");
}

#[test]
fn who_is_not_ready_is_left_out_and_the_host_stays() {
    let mut starting = web("1", "a", 8001, host("a.com"));
    starting["Status"] = json!("Up 1 second (health: starting)");
    let mut paused = web("2", "a", 8002, host("a.com"));
    paused["State"] = json!("paused");
    let mut portless = web("3", "a", 8003, host("b.com"));
    portless["Ports"] = json!([]);
    let mut exited = web("4", "a", 8004, host("c.com"));
    exited["State"] = json!("exited");
    let sight = pool("ready", json!([starting, paused, portless, exited]));
    assert_eq!(shown(&sight, &Settings::default()), ["a.com/", "a/web3: it publishes no port"]);
}

#[test]
fn a_node_out_of_sight_serves_as_the_last_resort() {
    let lost = |id: &str, public| {
        let mut one = web(id, "b", public, host("a.com"));
        one["Status"] = json!("Host Down");
        one
    };
    let both = pool("down", json!([web("1", "a", 8001, host("a.com")), lost("2", 8002)]));
    let settings = Settings::default();
    assert_eq!(shown(&both, &settings), ["a.com/ web1-1=10.0.0.1:8001 web2-2=10.0.0.2:8002?"]);
    let only = pool("down", json!([lost("2", 8002)]));
    assert_eq!(shown(&only, &settings), ["a.com/ web2-2=10.0.0.2:8002"]);
}

#[test]
fn one_of_several_ports_is_named_or_is_80() {
    let ports = |all: &[u16], more: Value| {
        let mut one = web("1", "a", 1, more);
        let all: Vec<_> = all
            .iter()
            .map(|p| json!({"PrivatePort": p, "PublicPort": p + 1000, "Type": "tcp"}))
            .collect();
        one["Ports"] = json!(all);
        shown(&pool("ready", json!([one])), &Settings::default()).join("")
    };
    assert_eq!(ports(&[3000], host("a.com")), "a.com/ web1-1=10.0.0.1:4000");
    assert_eq!(ports(&[80, 443], host("a.com")), "a.com/ web1-1=10.0.0.1:1080");
    assert!(ports(&[81, 443], host("a.com")).starts_with("a/web1: it has 2 ports;"));
    let named =
        |port| json!({"com.docker.swarm.proxy.host": "a.com", "com.docker.swarm.proxy.port": port});
    assert_eq!(ports(&[81, 443], named("443")), "a.com/ web1-1=10.0.0.1:1443");
    assert_eq!(ports(&[81], named("82")), "a/web1: its port 82 is not published");
}

#[test]
fn services_are_reached_by_the_mesh_their_nodes_or_their_tasks() {
    let sight = |mode: &str| {
        let port = json!([{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 30000, "PublishMode": mode}]);
        let task = |id: &str, state: &str, address: &str| {
            json!({
                "ID": id, "ServiceID": "s", "NodeID": "b", "DesiredState": "running",
                "Status": {"State": state, "PortStatus": {"Ports": if mode == "host" { port.clone() } else { json!([]) }}},
                "NetworksAttachments": [{"Network": {"Spec": {"Name": "net"}}, "Addresses": [address]}],
            })
        };
        let mut sight = pool("ready", json!([]));
        let rest = Sight::of(&Answers {
            nodes: Some(
                json!([{"ID": "b", "Description": {"Hostname": "b"}, "Status": {"State": "ready", "Addr": "10.0.0.2"}}]),
            ),
            services: Some(
                json!([{"ID": "s", "Spec": {"Name": "web", "Labels": host("a.com")}, "Endpoint": {"Ports": port}}]),
            ),
            tasks: Some(json!([
                task("t1", "running", "10.1.0.5/24"),
                task("t2", "starting", "10.1.0.6/24")
            ])),
            // A task's container says nothing beside its service.
            containers: json!([{"Id": "c", "State": "running", "Labels": {
                "com.docker.swarm.task.id": "t1", "com.docker.swarm.proxy.host": "b.com"}}]),
            ..Answers::default()
        });
        sight.services = rest.services;
        sight.tasks = rest.tasks;
        sight.containers = rest.containers;
        sight.has_services = true;
        sight
    };
    let published = Settings::default();
    assert_eq!(shown(&sight("ingress"), &published), ["a.com/ a=10.0.0.1:30000 b=10.0.0.2:30000"]);
    assert_eq!(shown(&sight("host"), &published), ["a.com/ web-t1=10.0.0.2:30000"]);
    let internal = Settings { internal: true, network: None };
    assert_eq!(shown(&sight("ingress"), &internal), ["a.com/ web-t1=10.1.0.5:80"]);
}

#[test]
fn names_are_unique_words() {
    let mut taken = BTreeSet::new();
    assert_eq!(unique(&mut taken, "a.com/x"), "a.com_x");
    assert_eq!(unique(&mut taken, "a.com_x"), "a.com_x-2");
    assert_eq!(unique(&mut taken, "*.a; }\n"), "_.a____");
}

proptest! {
    #[test]
    fn the_order_of_answers_does_not_matter(
        seed in proptest::collection::vec((0_usize..4, 1_u16..9, any::<bool>()), 0..8),
        turn in 0_usize..8,
    ) {
        let hosts = ["a.com", "b.com", "*.a.com", "a.com,b.com"];
        let mut all: Vec<Value> = seed.iter().enumerate().map(|(i, (name, public, second))| {
            web(&i.to_string(), if *second { "b" } else { "a" }, *public, host(hosts[*name]))
        }).collect();
        let one = sites(&pool("ready", json!(all)), &Settings::default());
        if !all.is_empty() {
            let middle = turn % all.len();
            all.rotate_left(middle);
        }
        let other = sites(&pool("ready", json!(all)), &Settings::default());
        prop_assert_eq!(&one.0, &other.0);
        for site in &one.0 {
            for location in &site.locations {
                let names: BTreeSet<_> = location.backends.iter().map(|b| &b.name).collect();
                prop_assert_eq!(names.len(), location.backends.len());
            }
        }
    }
}
