//! Plans for small pools in their own words, and what holds for every pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::{Just, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use serde_json::{Value, json};
use swarm_model::{Availability, EngineRef, Intent};

use super::*;
use crate::placement::filter::FilterSet;
use crate::placement::node::{Health, NodeId, NodeSummary, Resources};
use crate::placement::ports::PortUse;
use crate::placement::strategy::Strategy;
use crate::reschedule::depend;

fn intent(name: &str, config: &Value) -> Intent {
    let engine = EngineRef { id: "e".to_owned(), name: "e".to_owned() };
    let json = json!({
        "format": 1, "id": format!("i-{name}"), "name": name, "config": config, "generation": 1,
        "policy": "on-node-failure", "desired": "running",
        "place": {"state": "at", "engine": engine, "container": format!("c-{name}")},
    });
    serde_json::from_value(json).unwrap()
}

fn resident(name: &str, node: usize, config: &Value) -> Resident {
    let intent = intent(name, config);
    let movable = movable(Some(&intent), Cause::Balance, |volume| volume == "nfs");
    let request = movable.as_ref().map(|one| one.request.clone()).unwrap_or_default();
    let port = |wish: &crate::placement::ports::PortWish| PortUse {
        port: wish.first,
        protocol: wish.protocol,
        ip: wish.ip,
    };
    Resident {
        id: format!("c-{name}"),
        name: name.to_owned(),
        node: NodeId::new(format!("id-{node}")),
        labels: request.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
        ports: request.ports.iter().map(port).collect(),
        host_ports: request.host_ports.clone(),
        needs: depend::dependencies(&intent).into_iter().map(|need| need.container).collect(),
        movable,
    }
}

/// Nodes of four CPUs and 4096 bytes that count these residents.
fn nodes(count: usize, residents: &[Resident]) -> Vec<Arc<NodeSummary>> {
    let node = |index: usize| {
        let mut node = NodeSummary::new(&format!("id-{index}"), &format!("n{index}"));
        node.total = Resources::new(4, 4096);
        for one in residents.iter().filter(|one| one.node.as_str() == format!("id-{index}")) {
            node.containers += 1;
            if let Ok(movable) = &one.movable {
                node.reserved = node.reserved.plus(movable.request.resources);
            }
            node.ports = node.ports.with(&one.ports);
            node.host_ports = node.host_ports.with(&one.host_ports);
        }
        Arc::new(node)
    };
    (0..count).map(node).collect()
}

fn says(plan: &Plan) -> String {
    let moves = plan.moves.iter().map(ToString::to_string);
    let stays = plan.stays.iter().map(|stay| format!("{} stays: {}", stay.name, stay.reason));
    moves.chain(stays).chain([plan.note.clone()]).collect::<Vec<_>>().join("\n")
}

fn ask(strategy: Strategy, count: usize, residents: &[Resident]) -> Plan {
    let nodes = nodes(count, residents);
    let filters = FilterSet::default();
    let pool = Pool { nodes: &nodes, residents, filters: &filters, strategy };
    plan(&pool, &Settings::default())
}

#[test]
fn spread_evens_out_shares_then_numbers() {
    let half = json!({"HostConfig": {"Memory": 2048}});
    let shares = [resident("a", 0, &half), resident("b", 0, &half)];
    assert_eq!(
        says(&ask(Strategy::Spread, 2, &shares)),
        "a: from n0 (50 % reserved, 2 containers) to n1 (0 % reserved, 0 containers); then they \
         have 25 % reserved, 1 container and 25 % reserved, 1 container\n1 move"
    );
    let none = json!({});
    let numbers: Vec<_> = ["a", "b", "c"].iter().map(|name| resident(name, 0, &none)).collect();
    let plan = ask(Strategy::Spread, 2, &numbers);
    assert_eq!((plan.moves.len(), plan.moves[0].start_first), (1, true));
    assert_eq!(
        says(&ask(Strategy::Spread, 2, &numbers[..1])),
        "nothing to move: no move would serve spread noticeably"
    );
    let random = ask(Strategy::Random, 2, &numbers);
    assert!(random.moves.is_empty() && random.note.contains("prefers no engine"));
}

#[test]
fn binpack_empties_the_least_used_engine_or_leaves_it_alone() {
    let quarter = json!({"HostConfig": {"Memory": 1024}});
    let packed: Vec<_> = [("a", 0), ("b", 0), ("c", 1)]
        .iter()
        .map(|(name, n)| resident(name, *n, &quarter))
        .collect();
    assert_eq!(
        says(&ask(Strategy::Binpack, 3, &packed)),
        "c: from n1 (12 % reserved, 1 container), which gets empty, to n0 (25 % reserved, 2 \
         containers)\n1 move"
    );
    let most = json!({"HostConfig": {"Memory": 3072}});
    let full = [resident("a", 0, &most), resident("b", 1, &most)];
    let plan = ask(Strategy::Binpack, 2, &full);
    assert!(plan.moves.is_empty() && plan.stays.len() == 2, "{}", says(&plan));
}

#[test]
fn what_cannot_move_says_why() {
    let config = |value: Value| {
        movable(Some(&intent("x", &value)), Cause::Balance, |volume| volume == "nfs")
    };
    let label = |value: &str| json!({"Labels": {LABEL_REBALANCE: value}});
    for (value, expected) in [
        (label("off"), "its label com.docker.swarm.rebalance is off"),
        (json!({"HostConfig": {"Binds": ["d:/d"]}}), "it has data there: volume d"),
        (json!({"Env": ["constraint:node==n1"]}), "a constraint names its engine"),
        (
            json!({"HostConfig": {"NetworkMode": "container:db"}}),
            "it needs db (--net=container:db)",
        ),
        (json!({"Env": ["constraint:"]}), "its configuration cannot be read"),
    ] {
        let error = config(value.clone()).unwrap_err();
        assert!(error.starts_with(expected), "{value}: {error}");
    }
    assert_eq!(
        movable(None, Cause::Balance, |_| false).unwrap_err(),
        "it was made beside the pool"
    );
    let mut off = intent("x", &json!({}));
    off.policy = swarm_model::Policy::Off;
    assert!(movable(Some(&off), Cause::Balance, |_| false).unwrap_err().contains("policy is off"));
    assert!(movable(Some(&off), Cause::Drain, |_| false).is_ok(), "a person asked");
    off.config = serde_json::from_value(label("on")).unwrap();
    assert!(movable(Some(&off), Cause::Balance, |_| false).is_ok());
    off.place = swarm_model::Place::Nowhere { reason: String::new() };
    assert_eq!(
        movable(Some(&off), Cause::Balance, |_| false).unwrap_err(),
        "it is being moved already"
    );

    let address = json!({"EndpointsConfig": {"lan": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}}});
    for (value, first) in [
        (json!({}), true),
        (json!({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}), true),
        (json!({"HostConfig": {"Binds": ["nfs:/d"]}}), false),
        (json!({"NetworkingConfig": address}), false),
        (json!({"MacAddress": "02:42:ac:11:00:02"}), false),
    ] {
        assert_eq!(config(value.clone()).unwrap().start_first, first, "{value}");
    }
}

#[test]
fn a_drain_moves_what_can_and_names_the_rest() {
    let residents = [
        resident("db", 0, &json!({"HostConfig": {"Binds": ["d:/d"]}})),
        resident("base", 0, &json!({})),
        resident("user", 0, &json!({"HostConfig": {"Links": ["base:b"]}})),
        resident(
            "web",
            0,
            &json!({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}),
        ),
        resident(
            "other",
            1,
            &json!({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}),
        ),
        resident("big", 0, &json!({"HostConfig": {"Memory": 4096}})),
    ];
    let nodes = nodes(3, &residents);
    let filters = FilterSet::default();
    let strategy = Strategy::Spread;
    let pool = Pool { nodes: &nodes, residents: &residents, filters: &filters, strategy };
    assert_eq!(
        says(&drain(&pool, &NodeId::new("id-0"))),
        "big: n0 is being drained; n2 takes it\nweb: n0 is being drained; n2 takes it\n\
         base stays: user needs it\ndb stays: it has data there: volume d\n\
         user stays: it needs base (--link=base:b)\n2 to move; 3 cannot, and stay on n0"
    );
    assert!(drain(&pool, &NodeId::new("id-9")).note.contains("no engine id-9"));
    let tied = super::drain(&Pool { nodes: &nodes[..2], ..pool }, &NodeId::new("id-0"));
    assert!(says(&tied).contains("web stays: no suitable node for web"), "{}", says(&tied));
}

fn config() -> impl Generate<Value = Value> {
    let env = prop::option::of("(constraint:l0==~?[ab]|affinity:container!=~?r[0-9])");
    (0i64..5, prop::option::of(80u16..82), env, 0u8..8).prop_map(|(memory, port, env, kind)| {
        let binds = if kind == 0 { vec!["d:/d"] } else { vec![] };
        let port = port.map(|port| json!({"80/tcp": [{"HostPort": port.to_string()}]}));
        json!({
            "HostConfig": {"Memory": memory * 400, "Binds": binds, "PortBindings": port},
            "Env": env.into_iter().collect::<Vec<_>>(),
        })
    })
}

/// Residents that fit where they are, and nodes of different sizes and states.
fn pools() -> impl Generate<Value = (Vec<Arc<NodeSummary>>, Vec<Resident>, Strategy)> {
    let residents = prop::collection::vec((config(), 0usize..4), 0..14);
    let sizes = prop::collection::vec((1i64..4, "[ab]", 0u8..12), 4);
    let strategy = prop_oneof![Just(Strategy::Spread), Just(Strategy::Binpack)];
    (residents, sizes, strategy).prop_map(|(residents, sizes, strategy)| {
        let residents: Vec<_> = residents
            .iter()
            .enumerate()
            .map(|(index, (config, node))| resident(&format!("r{index}"), *node, config))
            .collect();
        let mut nodes = nodes(4, &residents);
        for (node, (size, label, state)) in nodes.iter_mut().zip(sizes) {
            let mut changed = NodeSummary::clone(node);
            changed.total = Resources::new(4, 4096 * size);
            changed.labels = Arc::new([("l0".to_owned(), label)].into_iter().collect());
            match state {
                0 => changed.availability = Availability::Pause,
                1 => changed.health = Health::Unhealthy { state: "unhealthy", error: "".into() },
                _ => {}
            }
            *node = Arc::new(changed);
        }
        (nodes, residents, strategy)
    })
}

/// Carries moves out, looking at each with a filter's eyes.
fn carry_out(
    nodes: &[Arc<NodeSummary>],
    residents: &[Resident],
    moves: &[Move],
) -> (Vec<Arc<NodeSummary>>, Vec<Resident>) {
    let mut nodes = nodes.to_vec();
    let mut residents = residents.to_vec();
    let filters = FilterSet::default();
    for step in moves {
        let before = residents.clone();
        let pool = Pool {
            nodes: &nodes,
            residents: &before,
            filters: &filters,
            strategy: Strategy::Spread,
        };
        let mut board = board::Board::new(&pool);
        let index = residents.iter().position(|one| one.id == step.container).unwrap();
        assert_eq!(residents[index].node, step.from);
        let to = nodes.iter().position(|node| node.id == step.to).unwrap();
        let moving = board.movable(index).unwrap();
        let only = board.choose(index, moving, Strategy::Spread, |node, _| node == to);
        assert_eq!(only, Ok(to), "{step} is not valid");
        board.apply(index, moving, to);
        nodes = board.nodes;
        residents[index].node = step.to.clone();
        let wishes = &residents[index].movable.as_ref().unwrap().request.ports;
        let ports =
            wishes.iter().map(|w| PortUse { port: w.first, protocol: w.protocol, ip: w.ip });
        residents[index].ports = ports.collect();
    }
    (nodes, residents)
}

fn squares(nodes: &[Arc<NodeSummary>]) -> (i128, i64) {
    let loads = nodes.iter().map(|node| load::Load::of(node));
    loads.fold((0, 0), |(shares, numbers), load| {
        (shares + i128::from(load.share).pow(2), numbers + load.containers.pow(2))
    })
}

fn in_use(nodes: &[Arc<NodeSummary>]) -> usize {
    nodes.iter().filter(|node| node.containers > 0).count()
}

proptest! {
    #[test]
    fn plans_are_valid_better_and_made_once((nodes, residents, strategy) in pools(), limit in 1usize..40) {
        let filters = FilterSet::default();
        let pool = Pool { nodes: &nodes, residents: &residents, filters: &filters, strategy };
        let settings = Settings { limit, ..Settings::default() };
        let first = plan(&pool, &settings);
        prop_assert!(first.moves.len() <= limit);
        let (after, moved) = carry_out(&nodes, &residents, &first.moves);
        if !first.moves.is_empty() && strategy == Strategy::Spread {
            prop_assert!(squares(&after) < squares(&nodes));
        }
        if first.moves.len() < limit {
            if strategy == Strategy::Binpack && !first.moves.is_empty() {
                prop_assert!(in_use(&after) < in_use(&nodes));
            }
            let pool = Pool { nodes: &after, residents: &moved, filters: &filters, strategy };
            prop_assert_eq!(&plan(&pool, &settings).moves, &vec![]);
        }
    }

    #[test]
    fn repeated_small_plans_come_to_an_end((nodes, residents, strategy) in pools()) {
        let filters = FilterSet::default();
        let settings = Settings { limit: 2, ..Settings::default() };
        let (mut nodes, mut residents) = (nodes, residents);
        for _ in 0..40 {
            let pool = Pool { nodes: &nodes, residents: &residents, filters: &filters, strategy };
            let next = plan(&pool, &settings);
            if next.moves.is_empty() {
                return Ok(());
            }
            (nodes, residents) = carry_out(&nodes, &residents, &next.moves);
        }
        prop_assert!(false, "still moving");
    }

    #[test]
    fn a_drain_tells_of_every_container((nodes, residents, strategy) in pools()) {
        let filters = FilterSet::default();
        let pool = Pool { nodes: &nodes, residents: &residents, filters: &filters, strategy };
        let plan = drain(&pool, &nodes[0].id);
        carry_out(&nodes, &residents, &plan.moves);
        let there = residents.iter().filter(|one| one.node == nodes[0].id).count();
        prop_assert_eq!(plan.moves.len() + plan.stays.len(), there);
    }
}
