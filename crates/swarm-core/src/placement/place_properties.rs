//! What holds for every pool and every request, checked against a slow and obvious reading of the
//! rules.

use proptest::prelude::{Just, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::containers::NoContainers;
use super::super::expr::Expr;
use super::super::node::{Health, Resources};
use super::super::ports::{PortSet, PortUse, PortWish, Protocol};
use super::super::reservation::Board;
use super::*;

fn port() -> impl Generate<Value = PortUse> {
    (1u16..6, prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)], prop::option::of(0u8..2))
        .prop_map(|(port, protocol, ip)| PortUse {
            port,
            protocol,
            ip: ip.map(|ip| [10, 0, 0, ip].into()),
        })
}

fn node(index: usize) -> impl Generate<Value = NodeSummary> {
    let ports = prop::collection::vec(port(), 0..4);
    let sizes = (0i64..5, 0i64..5, 0i64..5, 0i64..5);
    (sizes, 0u32..4, ports, prop::option::of("[ab]"), 0u8..4).prop_map(
        move |((cpus, memory, used_cpus, used_memory), containers, ports, label, health)| {
            let mut node = NodeSummary::new(&format!("id-{index}"), &format!("n{index}"));
            node.total = Resources::new(cpus, memory);
            node.reserved = Resources::new(used_cpus, used_memory);
            node.containers = containers;
            node.ports = ports.into_iter().collect();
            let label = label.map(|label| ("l0".to_owned(), label));
            let slots =
                (containers % 2 == 1).then(|| ("containerslots".to_owned(), "3".to_owned()));
            node.labels = Arc::new(label.into_iter().chain(slots).collect());
            if health == 0 {
                node.health = Health::Unhealthy { state: "unhealthy", error: "".into() };
            }
            node
        },
    )
}

fn pool() -> impl Generate<Value = Vec<NodeSummary>> {
    (0usize..6).prop_flat_map(|count| (0..count).map(node).collect::<Vec<_>>())
}

fn request() -> impl Generate<Value = Request> {
    let exprs = prop::collection::vec("(l0|node)(==|!=)~?([ab]|n[0-5]|\\*)", 0..3);
    let wish = (port(), 0u16..3).prop_map(|(port, more)| PortWish {
        protocol: port.protocol,
        ip: port.ip,
        first: port.port,
        last: port.port + more,
    });
    (exprs, 0i64..4, 0i64..4, prop::collection::vec(wish, 0..2)).prop_map(
        |(exprs, cpus, memory, ports)| Request {
            name: "x".to_owned(),
            constraints: exprs.iter().map(|text| Expr::parse(text).unwrap()).collect(),
            resources: Resources::new(cpus, memory),
            ports,
            ..Request::default()
        },
    )
}

fn strategy() -> impl Generate<Value = Strategy> {
    prop_oneof![Just(Strategy::Spread), Just(Strategy::Binpack), Just(Strategy::Random)]
}

fn fits(node: &NodeSummary, request: &Request, soft: bool) -> bool {
    let (want, total, used) = (request.resources, node.total, node.reserved);
    let slots = node.label("containerslots").parse::<u32>().unwrap_or(u32::MAX);
    node.health.is_healthy()
        && node.containers < slots
        && (want.nano_cpus == 0 || used.nano_cpus + want.nano_cpus <= total.nano_cpus)
        && (want.memory == 0 || used.memory + want.memory <= total.memory)
        && request.ports.iter().all(|wish| {
            (wish.first..=wish.last).any(|port| {
                let wanted = PortUse { port, protocol: wish.protocol, ip: wish.ip };
                !node.ports.as_slice().iter().any(|used| used.conflicts(&wanted))
            })
        })
        && request.constraints.iter().filter(|expr| soft || !expr.is_soft()).all(|expr| {
            let whats = match expr.key() {
                "node" => vec![node.id.as_str(), &*node.name],
                key => vec![node.label(key)],
            };
            expr.matches(whats)
        })
}

fn run(
    nodes: &[NodeSummary],
    request: &Request,
    by: Strategy,
    seed: u64,
) -> Result<Decision, Refusal> {
    let nodes: Vec<_> = nodes.iter().cloned().map(Arc::new).collect();
    let mut rng = StdRng::seed_from_u64(seed);
    place(&nodes, request, &FilterSet::default(), by, &NoContainers, &mut rng)
}

proptest! {
    #[test]
    fn a_decision_satisfies_everything_and_a_refusal_is_due(
        nodes in pool(), request in request(), by in strategy(), seed: u64,
    ) {
        let soft_possible = nodes.iter().any(|node| fits(node, &request, true));
        match run(&nodes, &request, by, seed) {
            Ok(decision) => {
                let node = &nodes[decision.index];
                prop_assert_eq!(&node.id, &decision.node);
                prop_assert!(fits(node, &request, soft_possible), "{} {:?}", decision.reason, node);
            }
            Err(refusal) => {
                prop_assert!(!nodes.iter().any(|node| fits(node, &request, false)), "{}", refusal);
                let removed: usize = refusal.removals.iter().map(|removal| removal.count).sum();
                prop_assert_eq!(removed, nodes.len());
            }
        }
    }

    #[test]
    fn fewer_nodes_never_help(nodes in pool(), request in request(), by in strategy(), at in 0usize..6) {
        if at < nodes.len() && run(&nodes, &request, by, 0).is_err() {
            let mut fewer = nodes.clone();
            fewer.remove(at);
            prop_assert!(run(&fewer, &request, by, 0).is_err());
        }
    }

    #[test]
    fn the_chosen_node_is_never_worse_than_another(nodes in pool(), request in request(), by in strategy()) {
        if let Ok(decision) = run(&nodes, &request, by, 0) {
            let soft = fits(&nodes[decision.index], &request, true);
            let rank = by.rank(&nodes[decision.index], request.resources).unwrap();
            for node in nodes.iter().filter(|node| fits(node, &request, soft)) {
                prop_assert!(rank <= by.rank(node, request.resources).unwrap());
            }
        }
    }

    /// Creates that all decide before any engine answers, in any order of answers.
    #[test]
    fn held_reservations_never_overbook(
        nodes in pool(), requests in prop::collection::vec(request(), 0..12), by in strategy(),
        releases: u16,
    ) {
        let mut board = Board::default();
        for node in &nodes {
            board.publish(Arc::new(node.clone()));
        }
        let mut rng = StdRng::seed_from_u64(0);
        let filters = FilterSet::default();
        let mut held = Vec::new();
        for (i, mut request) in requests.into_iter().enumerate() {
            request.name = format!("c{i}");
            let lookup = board.lookup(&NoContainers);
            if let Ok(decision) = place(board.nodes(), &request, &filters, by, &lookup, &mut rng) {
                let before = board.node(&decision.node).unwrap().clone();
                held.push((board.hold(&decision.node, &request).unwrap(), decision.node.clone()));
                let view = board.node(&decision.node).unwrap();
                prop_assert_eq!(view.containers, before.containers + 1);
                prop_assert_eq!(view.reserved, before.reserved.plus(request.resources));
                let want = request.resources;
                prop_assert!(want.memory == 0 || view.reserved.memory <= view.total.memory);
                prop_assert!(want.nano_cpus == 0 || view.reserved.nano_cpus <= view.total.nano_cpus);
                let ports = |set: &PortSet| set.as_slice().len();
                prop_assert!(request.ports.len() > 1 || ports(&view.ports) == ports(&before.ports) + request.ports.len());
            }
            if releases >> i & 1 == 1 && !held.is_empty() {
                board.release(held.remove(0).0);
            }
        }
        for (claim, _) in held {
            board.release(claim);
        }
        prop_assert_eq!(board.held(), 0);
        for (view, node) in board.nodes().iter().zip(&nodes) {
            prop_assert_eq!(&**view, node);
        }
    }
}
