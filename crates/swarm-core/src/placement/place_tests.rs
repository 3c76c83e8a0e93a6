//! What classic Swarm documents about filters and strategies, as tables; and the words of refusals.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use super::super::containers::{ContainerList, ListedContainer, NoContainers};
use super::super::images::ImageIndex;
use super::super::node::{Health, NodeId, Resources};
use super::super::ports::PortUse;
use super::super::request::ImageAffinity;
use super::*;

const GIB: i64 = 1 << 30;

/// `node-1` … of 4 CPUs and 4 GiB each; the storage labels are ssd, disk, ssd, disk, none, ….
fn pool(count: usize) -> Vec<NodeSummary> {
    let node = |i: usize| {
        let mut node = NodeSummary::new(&format!("id-{i}"), &format!("node-{i}"));
        node.total = Resources::new(4, 4 * GIB);
        let storage = ["ssd", "disk", "ssd", "disk"].get(i - 1);
        let labels = storage.map(|storage| ("storage".to_owned(), (*storage).to_owned()));
        let standard = [("ostype", "linux"), ("operatingsystem", "Debian GNU/Linux 12")];
        let standard = standard.map(|(k, v)| (k.to_owned(), v.to_owned()));
        node.labels = Arc::new(labels.into_iter().chain(standard).collect());
        node
    };
    (1..=count).map(node).collect()
}

fn request(env: &[&str]) -> Request {
    let mut body = json!({"Image": "app:1", "Env": env});
    Request::from_create_body("web", &mut body).unwrap()
}

fn decide_with(
    nodes: &[NodeSummary],
    request: &Request,
    strategy: Strategy,
    lookup: &dyn ContainerLookup,
) -> Result<Decision, Refusal> {
    let nodes: Vec<_> = nodes.iter().cloned().map(Arc::new).collect();
    let mut rng = StdRng::seed_from_u64(1);
    place(&nodes, request, &FilterSet::default(), strategy, lookup, &mut rng)
}

/// Every node that may be chosen, found by drawing often.
fn suitable(nodes: &[NodeSummary], request: &Request, lookup: &dyn ContainerLookup) -> String {
    let nodes: Vec<_> = nodes.iter().cloned().map(Arc::new).collect();
    let mut rng = StdRng::seed_from_u64(7);
    let mut names: Vec<String> = (0..200)
        .filter_map(|_| {
            let filters = FilterSet::default();
            place(&nodes, request, &filters, Strategy::Random, lookup, &mut rng).ok()
        })
        .map(|decision| decision.name.trim_start_matches("node-").to_owned())
        .collect();
    names.sort();
    names.dedup();
    names.join("")
}

fn containers() -> ContainerList {
    let container = |node: usize, name: &str, labels: &[(&str, &str)]| ListedContainer {
        node: NodeId::new(format!("id-{node}")),
        id: format!("{name:0>64}").replace(|c: char| !c.is_ascii_hexdigit(), "e"),
        name: name.to_owned(),
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    ContainerList(vec![
        container(1, "front-a", &[("tier", "front")]),
        container(2, "front-b", &[("tier", "front")]),
        container(2, "db", &[("tier", "back")]),
    ])
}

#[test]
fn constraints_choose_nodes_by_name_id_and_label() {
    for (env, expected) in [
        (vec!["constraint:node==node-2"], "2"),
        (vec!["constraint:node==id-2"], "2"),
        (vec!["constraint:node!=node-2"], "1345"),
        (vec!["constraint:node==node-*"], "12345"),
        (vec!["constraint:node==/node-[135]/"], "135"),
        (vec!["constraint:node!=/node-[135]/"], "24"),
        (vec!["constraint:name==node-3"], "3"),
        (vec!["constraint:storage==ssd"], "13"),
        (vec!["constraint:storage!=ssd"], "245"),
        (vec!["constraint:storage==s*"], "13"),
        (vec!["constraint:storage==ssd", "constraint:node!=node-1"], "3"),
        (vec!["constraint:ostype==linux"], "12345"),
        (vec!["constraint:operatingsystem==Debian*"], "12345"),
        (vec!["constraint:storage==tape"], ""),
        (vec!["constraint:storage==~tape"], "12345"),
        (vec!["constraint:storage==~ssd"], "13"),
        (vec!["constraint:storage!=~ssd"], "245"),
        // All soft ones are dropped together.
        (vec!["constraint:storage==~ssd", "constraint:node==~nowhere"], "12345"),
        (vec!["constraint:storage==ssd", "constraint:node==~nowhere"], "13"),
        (vec!["whitelist:node==node-1|node-4"], "14"),
        (vec!["whitelist:any==node-1|node-4", "constraint:storage==ssd"], "1"),
        (vec!["whitelist:node!=node-1|node-4"], "235"),
        (vec!["whitelist:node==node-*"], "12345"),
    ] {
        assert_eq!(suitable(&pool(5), &request(&env), &NoContainers), expected, "{env:?}");
    }
}

#[test]
fn affinities_choose_nodes_by_containers_images_and_labels() {
    let mut nodes = pool(3);
    for i in [0, 2] {
        let mut images = ImageIndex::default();
        images.insert("sha256:00112233445566778899", ["redis:7", "app:1"]);
        nodes[i].images = Arc::new(images);
    }
    let id = containers().0[2].id.clone();
    let by_id = format!("affinity:container=={id}");
    let by_short_id = format!("affinity:container!={}", &id[..60]);
    for (env, expected) in [
        (vec!["affinity:container==db"], "2"),
        (vec![by_id.as_str()], "2"),
        (vec![by_short_id.as_str()], "13"),
        (vec!["affinity:container!=db"], "13"),
        (vec!["affinity:container==front-*"], "12"),
        (vec!["affinity:container!=/^front/"], "3"),
        (vec!["affinity:container==nobody"], ""),
        (vec!["affinity:container==~nobody"], "123"),
        (vec!["affinity:container!=~/./"], "3"),
        (vec!["affinity:tier==front"], "12"),
        (vec!["affinity:tier!=back"], "13"),
        (vec!["affinity:tier==front", "affinity:tier!=back"], "1"),
        (vec!["affinity:image==redis"], "13"),
        (vec!["affinity:image==redis:7"], "13"),
        (vec!["affinity:image==redis:8"], ""),
        (vec!["affinity:image!=redis"], "2"),
        (vec!["affinity:image==sha256:001122334455"], "13"),
        (vec!["affinity:image==~/^red/"], "13"),
    ] {
        assert_eq!(suitable(&nodes, &request(&env), &containers()), expected, "{env:?}");
    }
}

#[test]
fn the_wish_for_the_image_is_dropped_before_the_users_own() {
    let mut nodes = pool(4);
    let mut images = ImageIndex::default();
    images.insert("sha256:00", ["app:1"]);
    nodes[0].images = Arc::new(images);
    let mut request = request(&["constraint:storage==~disk"]);
    for (affinity, expected) in
        [(ImageAffinity::None, "24"), (ImageAffinity::Soft, "24"), (ImageAffinity::Hard, "1")]
    {
        request.image_affinity = affinity;
        assert_eq!(suitable(&nodes, &request, &NoContainers), expected, "{affinity:?}");
    }
    request.constraints.clear();
    request.image_affinity = ImageAffinity::Soft;
    assert_eq!(suitable(&nodes, &request, &NoContainers), "1");
}

#[test]
fn dependencies_decide_the_node() {
    for (host, expected) in [
        (json!({"Links": ["db:database"]}), "2"),
        (json!({"Links": ["front-a:x", "db:y"]}), ""),
        (json!({"VolumesFrom": ["front-a:ro"]}), "1"),
        (json!({"NetworkMode": "container:db"}), "2"),
        (json!({"IpcMode": "container:db"}), "2"),
        (json!({"PidMode": "container:db"}), "2"),
        (json!({"PidMode": "host", "NetworkMode": "bridge"}), "123"),
        (json!({"Links": ["nobody"]}), ""),
    ] {
        let mut body = json!({"Image": "app", "HostConfig": host});
        let request = Request::from_create_body("web", &mut body).unwrap();
        assert_eq!(suitable(&pool(3), &request, &containers()), expected, "{host}");
    }
}

#[test]
fn ports_are_given_once_per_address() {
    let mut nodes = pool(3);
    let used = |key, ip, port| PortUse::from_binding(key, ip, port).unwrap();
    nodes[0].ports = [used("80/tcp", "", "80")].into_iter().collect();
    nodes[1].ports =
        [used("80/tcp", "10.0.0.2", "80"), used("53/udp", "", "53")].into_iter().collect();
    nodes[2].host_ports = PortUse::from_exposed("80/tcp").into_iter().collect();
    let ask = |bindings: serde_json::Value| {
        let mut body = json!({"HostConfig": {"PortBindings": bindings}});
        let request = Request::from_create_body("web", &mut body).unwrap();
        suitable(&nodes, &request, &NoContainers)
    };
    for (bindings, expected) in [
        (json!({"80/tcp": [{"HostPort": "80"}]}), "3"),
        (json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}), "3"),
        (json!({"80/tcp": [{"HostIp": "::", "HostPort": "80"}]}), "3"),
        (json!({"80/tcp": [{"HostIp": "10.0.0.2", "HostPort": "80"}]}), "3"),
        (json!({"80/tcp": [{"HostIp": "10.0.0.3", "HostPort": "80"}]}), "23"),
        (json!({"80/udp": [{"HostPort": "80"}]}), "123"),
        (json!({"53/tcp": [{"HostPort": "53"}]}), "123"),
        (json!({"53/udp": [{"HostPort": "53"}]}), "13"),
        (json!({"80/tcp": [{"HostPort": "80-81"}]}), "123"),
        (json!({"80/tcp": [{"HostPort": ""}]}), "123"),
    ] {
        assert_eq!(ask(bindings.clone()), expected, "{bindings}");
    }
    let mut body = json!({"ExposedPorts": {"80/tcp": {}}, "HostConfig": {"NetworkMode": "host"}});
    let request = Request::from_create_body("web", &mut body).unwrap();
    assert_eq!(suitable(&nodes, &request, &NoContainers), "12");
}

#[test]
fn slots_limit_containers_and_odd_labels_do_not() {
    let mut nodes = pool(3);
    for (node, slots) in nodes.iter_mut().zip(["2", "3", "many"]) {
        node.labels = Arc::new(BTreeMap::from([("containerslots".to_owned(), slots.to_owned())]));
        node.containers = 2;
    }
    assert_eq!(suitable(&nodes, &request(&[]), &NoContainers), "23");
}

#[test]
fn filters_that_are_not_chosen_do_not_count() {
    let mut nodes = pool(2);
    nodes[0].health = Health::Unhealthy { state: "unhealthy", error: "timeout".into() };
    let request = request(&["constraint:node==node-1"]);
    assert_eq!(suitable(&nodes, &request, &NoContainers), "");
    let filters = FilterSet::parse(["constraint"]).unwrap();
    let nodes: Vec<_> = nodes.into_iter().map(Arc::new).collect();
    let mut rng = StdRng::seed_from_u64(1);
    let decision = place(&nodes, &request, &filters, Strategy::Spread, &NoContainers, &mut rng);
    assert_eq!(&*decision.unwrap().name, "node-1");
}

/// Reserved GiB and containers of each node, the wanted GiB, and who is chosen.
#[test]
fn strategies_weigh_reservations_then_containers() {
    for (strategy, loads, wanted, expected) in [
        (Strategy::Spread, [(0, 3), (0, 1), (0, 2)], 0, "node-2"),
        (Strategy::Spread, [(2, 0), (1, 9), (3, 0)], 1, "node-2"),
        (Strategy::Spread, [(2, 0), (1, 9), (3, 0)], 0, "node-1"),
        (Strategy::Binpack, [(0, 3), (0, 1), (0, 2)], 0, "node-1"),
        (Strategy::Binpack, [(2, 0), (1, 9), (3, 0)], 1, "node-3"),
        (Strategy::Binpack, [(2, 0), (1, 9), (3, 0)], 2, "node-1"),
        (Strategy::Binpack, [(2, 1), (2, 2), (0, 9)], 1, "node-2"),
    ] {
        let mut nodes = pool(3);
        // Without this, spread would still choose between node-1 and node-3 in the third row.
        for (node, (gib, containers)) in nodes.iter_mut().zip(loads) {
            node.reserved = Resources::new(0, gib * GIB);
            node.containers = containers;
        }
        nodes[2].containers += u32::from(loads[2].1 == loads[0].1);
        let mut request = request(&[]);
        request.resources = Resources::new(0, wanted * GIB);
        let decision = decide_with(&nodes, &request, strategy, &NoContainers).unwrap();
        assert_eq!(&*decision.name, expected, "{strategy} {loads:?} {wanted}");
    }
}

#[test]
fn an_engine_with_failures_comes_last_whatever_its_load() {
    for strategy in [Strategy::Spread, Strategy::Binpack] {
        let mut nodes = pool(2);
        nodes[0].health = Health::after_failures(1, 3);
        let (light, heavy) = (Resources::new(0, 0), Resources::new(0, 3 * GIB));
        (nodes[0].reserved, nodes[1].reserved) =
            if strategy == Strategy::Spread { (light, heavy) } else { (heavy, light) };
        let mut request = request(&[]);
        request.resources = Resources::new(0, GIB);
        let decision = decide_with(&nodes, &request, strategy, &NoContainers).unwrap();
        assert_eq!(&*decision.name, "node-2", "{strategy}");
    }
    assert_eq!(Health::after_failures(0, 3), Health::GOOD);
    assert_eq!(Health::after_failures(3, 3).indicator(), 1);
    assert_eq!(Health::after_failures(9, 0).indicator(), 1);
}

#[test]
fn every_strategy_stops_where_an_engine_is_full() {
    for strategy in [Strategy::Spread, Strategy::Binpack, Strategy::Random] {
        let mut nodes = pool(1);
        nodes[0].reserved = Resources { nano_cpus: 0, memory: 4 * GIB - 10 };
        let mut request = request(&[]);
        request.resources.memory = 10;
        decide_with(&nodes, &request, strategy, &NoContainers).unwrap();
        request.resources.memory = 11;
        let refusal = decide_with(&nodes, &request, strategy, &NoContainers).unwrap_err();
        assert!(refusal.lacks_resources());
        nodes[0].total = Resources::new(4, 4 * GIB).with_overcommit(0.05);
        decide_with(&nodes, &request, strategy, &NoContainers).unwrap();
        // What reserves nothing goes to a full engine, too.
        request.resources = Resources::default();
        nodes[0].reserved = Resources::new(9, 9 * GIB);
        decide_with(&nodes, &request, strategy, &NoContainers).unwrap();
    }
}

#[test]
fn soft_expressions_yield_to_resources() {
    let mut nodes = pool(2);
    nodes[0].reserved = Resources::new(4, 0);
    let mut request = request(&["constraint:storage==~ssd"]);
    request.resources = Resources::new(1, 0);
    let decision = decide_with(&nodes, &request, Strategy::Spread, &NoContainers).unwrap();
    assert_eq!(
        decision.reason,
        "spread chose node-2 (least loaded, 0 containers) of 1 suitable of 2 nodes; no node meets \
         all that is preferred, so not counted: constraint storage==~ssd"
    );
}

#[test]
fn equals_are_drawn_evenly() {
    let nodes: Vec<_> = pool(4).into_iter().map(Arc::new).collect();
    let mut rng = StdRng::seed_from_u64(3);
    let mut drawn = [0; 4];
    for _ in 0..4000 {
        let filters = FilterSet::default();
        let (request, spread) = (request(&[]), Strategy::Spread);
        let decision = place(&nodes, &request, &filters, spread, &NoContainers, &mut rng).unwrap();
        drawn[decision.index] += 1;
    }
    assert!(drawn.iter().all(|count| (900..1100).contains(count)), "{drawn:?}");
}

#[test]
fn refusals_say_what_removed_every_node() {
    let mut nodes = pool(5);
    nodes[2].health = Health::Unhealthy { state: "unhealthy", error: "connection refused".into() };
    nodes[3].health = Health::Unhealthy { state: "pending", error: "".into() };
    nodes[0].ports = PortUse::from_binding("80/tcp", "", "8080").into_iter().collect();
    let refuse = |nodes: &[NodeSummary], request: &Request| {
        decide_with(nodes, request, Strategy::Spread, &containers()).unwrap_err().to_string()
    };

    insta::assert_snapshot!("constraint", refuse(&nodes, &request(&["constraint:storage==tape"])));
    insta::assert_snapshot!("empty_pool", refuse(&[], &request(&[])));
    insta::assert_snapshot!("affinity", refuse(&nodes, &request(&["affinity:container==nobody"])));

    let mut asked = request(&["constraint:node!=node-5"]);
    asked.ports =
        super::super::ports::PortWish::from_binding("80/tcp", "", "8080").into_iter().collect();
    asked.resources = Resources { nano_cpus: 5_500_000_000, memory: 6 * GIB };
    insta::assert_snapshot!("resources", refuse(&nodes, &asked));

    let mut asked = request(&[]);
    asked.tried = vec![NodeId::new("id-1"), NodeId::new("id-2"), NodeId::new("id-5")];
    insta::assert_snapshot!("retry", refuse(&nodes, &asked));

    let mut large = pool(40);
    for node in &mut large {
        node.health = Health::Unhealthy { state: "disconnected", error: "timed out".into() };
    }
    insta::assert_snapshot!("all_unhealthy", refuse(&large, &request(&[])));
}

#[test]
fn cordoned_and_draining_engines_get_nothing_new() {
    let mut nodes = pool(3);
    nodes[0].availability = swarm_model::Availability::Pause;
    nodes[1].availability = swarm_model::Availability::Drain;
    assert_eq!(suitable(&nodes, &request(&[]), &NoContainers), "3");
    nodes[2].availability = swarm_model::Availability::Pause;
    let refusal = decide_with(&nodes, &request(&[]), Strategy::Spread, &NoContainers).unwrap_err();
    let text = refusal.to_string();
    assert!(
        text.contains("availability removed 3 (node-1 is cordoned, node-2 is being drained"),
        "{text}"
    );
}
