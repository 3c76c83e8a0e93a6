//! What a real engine (20.10) answers, read and passed on by this crate.
//!
//! `tests/golden` holds its answers as they came; `now.txt` is its clock just before the list was
//! asked for, so the engine's own `Status` is what our wording must say at that moment.

// A test's own set-up fails the test by failing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use swarm_docker::container::{Health, InspectFacts, ListEntry, Protocol, State, inspect};
use swarm_docker::event::{Event, EventNode};
use swarm_docker::image::{ImageEntry, united};
use swarm_docker::info::InfoFacts;
use swarm_docker::json::elements;
use swarm_docker::network::NetworkEntry;
use swarm_docker::node::NodeJson;
use swarm_docker::volume::VolumeEntry;

const NAMES: [&str; 7] = ["web", "dozer", "failed", "fresh", "iced", "loop", "sick"];

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn now() -> Timestamp {
    String::from_utf8(golden("now.txt")).unwrap().trim().parse().unwrap()
}

fn node() -> NodeJson {
    NodeJson {
        id: "ENGINE".into(),
        ip: "10.88.0.11".into(),
        addr: "10.88.0.11:2375".into(),
        name: "host-1".into(),
        cpus: 2,
        memory: 4 << 30,
        labels: [("storagedriver".to_owned(), "overlay2".to_owned())].into(),
    }
}

fn facts(name: &str) -> InspectFacts {
    InspectFacts::parse(&golden(&format!("inspect-{name}.json"))).unwrap()
}

/// Every container of the list as the engine wrote it and as we keep it.
fn entries(with_facts: bool) -> Vec<(Value, ListEntry)> {
    let body = golden("containers.json");
    let raw = elements("a list", &body).unwrap();
    raw.into_iter()
        .map(|raw| {
            let engine = value(raw.get().as_bytes());
            let name = engine["Names"][0].as_str().unwrap().trim_start_matches('/').to_owned();
            let facts = with_facts.then(|| facts(&name));
            let bytes = raw.get().as_bytes();
            let entry = ListEntry::parse(bytes, "host-1", "10.88.0.11", facts.as_ref()).unwrap();
            (engine, entry)
        })
        .collect()
}

fn written(entry: &ListEntry, host_down: bool) -> Value {
    let mut out = Vec::new();
    entry.write_json(&mut out, now(), host_down);
    value(&out)
}

#[test]
fn our_wording_is_the_engines() {
    for (engine, entry) in entries(true) {
        assert_eq!(written(&entry, false)["Status"], engine["Status"], "{}", entry.name());
        assert_eq!(entry.state().words(now()), engine["Status"], "{}", entry.name());
        assert_eq!(entry.state().state.as_str(), engine["State"]);
    }
}

#[test]
fn a_list_differs_from_the_engines_in_names_and_ports_only() {
    for with_facts in [false, true] {
        let all = entries(with_facts);
        assert_eq!(all.len(), NAMES.len());
        for (mut engine, entry) in all {
            let name = engine["Names"][0].as_str().unwrap().to_owned();
            engine["Names"] = json!([format!("/host-1{name}")]);
            if name == "/web" {
                engine["Ports"] = json!([
                    {"IP": "10.88.0.11", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                    {"IP": "127.0.0.1", "PrivatePort": 90, "PublicPort": 9090, "Type": "udp"},
                ]);
            }
            assert_eq!(written(&entry, false), engine);
            let down = written(&entry, true);
            assert_eq!((&down["Status"], &down["State"]), (&json!("Host Down"), &engine["State"]));
        }
    }
}

#[test]
fn an_entry_stays_small_and_knows_what_filters_ask() {
    let all = entries(true);
    let (_, web) = all.iter().find(|(_, entry)| entry.name() == "web").unwrap();
    assert!(web.size() < 2048, "{} bytes", web.size());
    assert_eq!(web.labels().iter().collect::<Vec<_>>(), [("com.example.tier", "front")]);
    assert_eq!(web.networks().iter().map(|(name, _)| name).collect::<Vec<_>>(), ["gold-net"]);
    assert_eq!(web.mounts().iter().collect::<Vec<_>>(), [("gold-data", "/data")]);
    assert_eq!(web.state().health, Health::Healthy);
    let (_, failed) = all.iter().find(|(_, entry)| entry.name() == "failed").unwrap();
    assert_eq!((failed.state().state, failed.state().exit_code), (State::Exited, 3));
    let by_words = entries(false);
    for ((_, exact), (_, words)) in all.iter().zip(&by_words) {
        assert_eq!(exact.state().health, words.state().health, "{}", exact.name());
        let shows_code = matches!(exact.state().state, State::Exited | State::Restarting);
        assert!(!shows_code || exact.state().exit_code == words.state().exit_code);
    }
}

#[test]
fn facts_of_an_inspect_answer_are_read() {
    let web = facts("web");
    assert_eq!((&*web.name, &*web.image), ("web", "busybox"));
    assert_eq!((web.cpu_shares, web.memory), (2, 64 << 20));
    assert_eq!(web.swarm_env.iter().collect::<Vec<_>>(), ["constraint:node==host-1"]);
    assert_eq!((&*web.network_mode, &*web.restart_policy), ("gold-net", "no"));
    let ports: BTreeSet<_> = web
        .port_bindings
        .iter()
        .map(|port| (port.container_port, port.protocol, &*port.host_ip, port.fixed_port()))
        .collect();
    let wanted =
        [(80, Protocol::Tcp, "", Some(8080)), (90, Protocol::Udp, "127.0.0.1", Some(9090))];
    assert_eq!(ports, wanted.into());
    assert_eq!(web.bound_ports.len(), 3);
    assert_eq!(web.exposed_ports.iter().collect::<Vec<_>>(), ["80/tcp", "90/udp"]);
    let fresh = facts("fresh");
    assert_eq!((fresh.state.started, fresh.state.finished), (None, None));
    assert_eq!(fresh.exposed_ports.iter().collect::<Vec<_>>(), ["81/tcp"]);
    assert_eq!(&*facts("dozer").restart_policy, "unless-stopped");
}

#[test]
fn an_inspect_answer_gets_its_node_and_nothing_else() {
    for name in NAMES {
        let body = golden(&format!("inspect-{name}.json"));
        let out = inspect::with_node(&body, &node()).unwrap();
        let (mut shown, mut engine) = (value(&out), value(&body));
        let given = shown.as_object_mut().unwrap().shift_remove("Node").unwrap();
        assert_eq!(given, value(&node().to_json()));
        assert_eq!(given["Labels"]["storagedriver"], "overlay2");
        if name == "web" {
            let tcp = &shown["NetworkSettings"]["Ports"]["80/tcp"];
            assert_eq!(*tcp, json!([{"HostIp": "10.88.0.11", "HostPort": "8080"}]));
            engine["NetworkSettings"]["Ports"]["80/tcp"] = tcp.clone();
        }
        assert_eq!(shown, engine, "{name}");
        // Passing it through a second manager replaces the node instead of adding one.
        let again = inspect::with_node(&out, &node()).unwrap();
        assert_eq!(again, out);
    }
}

#[test]
fn events_keep_all_they_hold_and_name_their_node() {
    let lines = String::from_utf8(golden("events.jsonl")).unwrap();
    let splice = EventNode::new(&node());
    let mut seen = BTreeSet::new();
    for line in lines.lines() {
        let event = Event::parse(Bytes::copy_from_slice(line.as_bytes())).unwrap();
        let mut engine = value(line.as_bytes());
        assert_eq!(event.kind(), engine["Type"]);
        assert_eq!(event.action(), engine["Action"]);
        assert_eq!(event.actor_id(), engine["Actor"]["ID"]);
        assert_eq!(event.time_nanos(), engine["timeNano"]);
        assert_eq!(event.scope(), engine["scope"]);
        seen.insert(format!("{} {}", event.kind(), event.verb()));
        for (key, of) in [
            ("name", "host-1"),
            ("id", "ENGINE"),
            ("ip", "10.88.0.11"),
            ("addr", "10.88.0.11:2375"),
        ] {
            engine["Actor"]["Attributes"][format!("node.{key}")] = of.into();
        }
        let from = engine["from"].as_str().unwrap_or_default().to_owned();
        engine["from"] = format!("{from} node:host-1").into();
        assert_eq!(value(&event.with_node(&splice)), engine);
    }
    for wanted in ["container start", "container exec_create", "network connect", "image tag"] {
        assert!(seen.contains(wanted), "{seen:?}");
    }
}

#[test]
fn the_engine_and_its_other_objects_are_read() {
    let info = InfoFacts::parse(&golden("info.json")).unwrap();
    assert_eq!((info.name.as_str(), info.os_type.as_str()), ("host-1", "linux"));
    assert_eq!((info.driver.as_str(), info.containers), ("overlay2", 7));
    assert_eq!(info.swarm.local_node_state, "inactive");
    assert!(info.server_version.starts_with("20.10") && info.cpus > 0 && info.mem_total > 0);
    assert!(info.clock().is_some());

    let body = golden("images.json");
    let raw = elements("images", &body).unwrap();
    let images: Vec<ImageEntry> =
        raw.iter().map(|raw| ImageEntry::parse(raw.get().as_bytes()).unwrap()).collect();
    assert!(images[0].tags.contains("busybox:latest"));
    assert_eq!(value(&united(&images)), value(&body));
    assert_eq!(value(&united(images.iter().chain(&images))), value(&body));

    let body = golden("networks.json");
    let raw = elements("networks", &body).unwrap();
    let networks: Vec<NetworkEntry> =
        raw.iter().map(|raw| NetworkEntry::parse(raw.get().as_bytes()).unwrap()).collect();
    let custom: Vec<_> = networks.iter().filter(|network| !network.is_builtin()).collect();
    assert_eq!((custom.len(), &*custom[0].name), (1, "gold-net"));
    assert_eq!(custom[0].labels.get("tier"), Some("front"));
    assert_eq!(value(&custom[0].renamed("host-1/gold-net"))["Name"], "host-1/gold-net");

    let (volumes, warnings) = VolumeEntry::parse_list(&golden("volumes.json")).unwrap();
    assert_eq!((volumes.len(), &*volumes[0].name, warnings.len()), (1, "gold-data", 0));
    assert_eq!(volumes[0].labels.get("keep"), Some("yes"));
}
