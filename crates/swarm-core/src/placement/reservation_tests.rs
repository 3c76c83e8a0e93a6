//! Reservations over their whole life.

use super::super::containers::NoContainers;
use super::super::ports::PortWish;
use super::*;

fn board(count: usize) -> Board {
    let mut board = Board::default();
    for i in 1..=count {
        let mut node = NodeSummary::new(&format!("id-{i}"), &format!("node-{i}"));
        node.total = Resources::new(4, 1 << 30);
        board.publish(Arc::new(node));
    }
    board
}

fn request(name: &str) -> Request {
    Request {
        name: name.to_owned(),
        resources: Resources::new(1, 100),
        ports: vec![PortWish::from_binding("80/tcp", "", "8000-8001").unwrap()],
        labels: vec![("tier".to_owned(), "web".to_owned())],
        ..Request::default()
    }
}

#[test]
fn a_claim_counts_until_the_engine_shows_the_container() {
    let mut board = board(2);
    let id = NodeId::new("id-1");
    let claim = board.hold(&id, &request("a")).unwrap();
    let view = board.node(&id).unwrap().clone();
    assert_eq!((view.containers, view.reserved), (1, Resources::new(1, 100)));
    let mut real = NodeSummary::clone(&board.published[0]);
    real.containers = 1;
    real.reserved = Resources::new(1, 100);
    let real = Arc::new(real);
    board.publish(real.clone());
    assert_eq!(board.node(&id).unwrap().containers, 2, "counted twice rather than not at all");
    board.settle(claim, real.clone());
    assert_eq!(board.node(&id).unwrap(), &real);
    assert_eq!(board.held(), 0);
    board.release(claim);
    assert_eq!(board.node(&id).unwrap(), &real);
}

#[test]
fn a_range_of_ports_holds_one_after_the_other() {
    let mut board = board(1);
    let id = NodeId::new("id-1");
    for name in ["a", "b", "c"] {
        board.hold(&id, &request(name)).unwrap();
    }
    let ports: Vec<_> = board.nodes()[0].ports.as_slice().iter().map(|used| used.port).collect();
    assert_eq!(ports, [8000, 8001]);
}

#[test]
fn names_are_held_once() {
    let mut board = board(2);
    let claim = board.hold(&NodeId::new("id-1"), &request("a")).unwrap();
    let error = board.hold(&NodeId::new("id-2"), &request("a")).unwrap_err();
    assert_eq!(error.to_string(), "the name \"a\" is already reserved by another create");
    assert!(board.holds_name("a"));
    board.release(claim);
    board.hold(&NodeId::new("id-2"), &request("a")).unwrap();
    // Unnamed ones never collide.
    board.hold(&NodeId::new("id-1"), &request("")).unwrap();
    board.hold(&NodeId::new("id-1"), &request("")).unwrap();
    assert!(!board.holds_name(""));
}

#[test]
fn containers_under_way_are_seen_by_affinities() {
    let mut board = board(2);
    let id = NodeId::new("id-2");
    board.hold(&id, &request("a")).unwrap();
    let lookup = board.lookup(&NoContainers);
    let expected = HashSet::from([id]);
    assert_eq!(lookup.nodes_with("a"), expected);
    assert_eq!(lookup.nodes_matching(&|c| c.labels.label("tier") == Some("web")), expected);
    assert!(lookup.nodes_with("b").is_empty());
    assert!(lookup.nodes_resolving("a").is_empty());
}

#[test]
fn an_engine_that_leaves_and_returns_keeps_its_claims() {
    let mut board = board(3);
    let first = NodeId::new("id-1");
    let claim = board.hold(&first, &request("a")).unwrap();
    let base = board.published[0].clone();
    board.remove(&first);
    assert!(board.node(&first).is_none());
    assert_eq!(board.node(&NodeId::new("id-3")).unwrap().id.as_str(), "id-3");
    assert_eq!(board.hold(&first, &request("b")).unwrap_err(), HoldError::NodeGone(first.clone()));
    board.publish(base);
    assert_eq!(board.node(&first).unwrap().containers, 1);
    board.remove(&first);
    board.release(claim);
    assert!(!board.holds_name("a"));
    assert_eq!(board.nodes().len(), 2);
}
