//! How looks differ, and that differences add up.

use std::cell::RefCell;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn node(key: &str, revision: u64) -> NodeSight {
    let text = |part: &str| format!("{part}-{key}");
    NodeSight {
        key: key.to_owned(),
        revision,
        name: text("name"),
        state: "healthy".to_owned(),
        ..NodeSight::default()
    }
}

fn container(node: &str, id: &str, state: &str) -> ContainerSight {
    ContainerSight {
        id: id.to_owned(),
        name: format!("name-{id}"),
        node: node.to_owned(),
        state: state.to_owned(),
        ..ContainerSight::default()
    }
}

fn look(nodes: Vec<NodeSight>) -> Look {
    Look { nodes, ..Look::default() }
}

fn said(delta: &Delta) -> Value {
    let mut value = serde_json::to_value(delta).unwrap();
    let ids = |value: &Value, key: &str| {
        let list = value.as_array().into_iter().flatten();
        list.map(|one| one[key].clone()).collect::<Vec<_>>()
    };
    for (field, key) in [("nodes", "key"), ("containers", "id")] {
        if let Some(list) = value.get(field) {
            value[field] = ids(list, key).into();
        }
    }
    value.as_object_mut().unwrap().remove("pool");
    value
}

#[test]
fn only_what_changed_is_told_and_only_what_may_have_changed_is_read() {
    let mut picture = Picture::default();
    let asked = RefCell::new(Vec::new());
    let mut take = |nodes, containers: &[ContainerSight]| {
        asked.borrow_mut().clear();
        picture.take(look(nodes), |key| {
            asked.borrow_mut().push(key.to_owned());
            containers.iter().filter(|one| one.node == key).cloned().collect()
        })
    };
    let first = [container("a", "1", "running"), container("b", "2", "running")];
    let delta = take(vec![node("a", 1), node("b", 1)], &first);
    assert_eq!(said(&delta), json!({"nodes": ["a", "b"], "containers": ["1", "2"]}));
    assert_eq!(delta.turns.len(), 2);
    let delta = take(vec![node("a", 1), node("b", 1)], &[]);
    assert!(delta.is_empty() && asked.borrow().is_empty(), "the revisions are the same");
    let ended = [container("a", "1", "exited"), container("b", "2", "running")];
    let delta = take(vec![node("a", 2), node("b", 1)], &ended);
    assert_eq!((said(&delta), asked.borrow().len()), (json!({"containers": ["1"]}), 1));
    let mut down = node("b", 1);
    down.state = "unhealthy".to_owned();
    let delta = take(vec![node("a", 2), down.clone()], &ended);
    assert_eq!(said(&delta), json!({"nodes": ["b"]}));
    assert_eq!((delta.turns[0].name.as_str(), &*delta.turns[0].state), ("name-b", "unhealthy"));
    let moved = [container("a", "1", "exited"), container("a", "2", "running")];
    let delta = take(vec![node("a", 3), down], &moved);
    assert_eq!(said(&delta), json!({"containers": ["2"]}), "it is on two for a moment");
    let delta = take(vec![node("a", 3)], &moved);
    assert_eq!(said(&delta), json!({"goneNodes": ["b"]}), "what another node has is not gone");
    let delta = take(vec![], &[]);
    assert_eq!(delta.gone.len(), 2);
}

#[test]
fn a_node_without_revisions_is_read_at_every_look() {
    let mut picture = Picture::default();
    let delta = picture.take(look(vec![node("~", ALWAYS)]), |_| vec![]);
    assert!(delta.containers.is_empty());
    let one = || vec![container("~", "1", "created")];
    assert_eq!(picture.take(look(vec![node("~", ALWAYS)]), |_| one()).containers.len(), 1);
    assert!(picture.take(look(vec![node("~", ALWAYS)]), |_| one()).is_empty());
}

#[test]
fn services_are_told_when_they_differ_and_when_they_are_gone() {
    let mut picture = Picture::default();
    let mut take = |services: &[(&str, u64)]| {
        let service = |(id, running): &(&str, u64)| ServiceSight {
            id: (*id).to_owned(),
            running: *running,
            ..ServiceSight::default()
        };
        let services = services.iter().map(service).collect();
        let delta = picture.take(Look { services, ..Look::default() }, |_| vec![]);
        let told: Vec<Value> =
            delta.services.iter().map(|one| serde_json::from_str(one.get()).unwrap()).collect();
        let told: Vec<_> = told.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        (told, delta.gone_services)
    };
    let none = Vec::<String>::new;
    assert_eq!(take(&[("a", 1), ("b", 1)]), (vec!["a".to_owned(), "b".to_owned()], none()));
    assert_eq!(take(&[("a", 1), ("b", 1)]), (none(), none()));
    assert_eq!(take(&[("a", 2), ("b", 1)]), (vec!["a".to_owned()], none()));
    assert_eq!(take(&[("b", 1)]), (none(), vec!["a".to_owned()]));
    assert_eq!(picture.services().len(), 1);
}

/// What a client makes of deltas.
#[derive(Debug, Default, PartialEq)]
struct Client {
    nodes: BTreeMap<String, Value>,
    containers: BTreeMap<String, Value>,
}

impl Client {
    fn take(&mut self, delta: &Delta) {
        let delta = serde_json::to_value(delta).unwrap();
        let list = |key: &str| delta[key].as_array().cloned().unwrap_or_default();
        for gone in list("gone") {
            self.containers.remove(gone.as_str().unwrap());
        }
        for gone in list("goneNodes") {
            self.nodes.remove(gone.as_str().unwrap());
        }
        for node in list("nodes") {
            self.nodes.insert(node["key"].as_str().unwrap().to_owned(), node);
        }
        for one in list("containers") {
            self.containers.insert(one["id"].as_str().unwrap().to_owned(), one);
        }
    }
}

type Pool = BTreeMap<u8, (u8, Vec<(u8, u8)>)>;

fn pools() -> impl Strategy<Value = Vec<Pool>> {
    let containers = prop::collection::vec((0u8..12, 0u8..2), 0..6);
    let pool = prop::collection::btree_map(0u8..4, (0u8..2, containers), 0..4);
    prop::collection::vec(pool, 1..8)
}

proptest! {
    #[test]
    fn differences_add_up_to_what_is_there(pools in pools()) {
        let mut picture = Picture::default();
        let mut client = Client::default();
        for (step, pool) in pools.into_iter().enumerate() {
            // A container is on one node at a time.
            let mut taken = HashSet::new();
            let mut there: BTreeMap<String, Vec<ContainerSight>> = BTreeMap::new();
            let mut nodes = Vec::new();
            for (key, (state, containers)) in pool {
                let key = key.to_string();
                let mut sight = node(&key, step as u64);
                sight.state = ["healthy", "unhealthy"][usize::from(state)].to_owned();
                nodes.push(sight);
                let list = there.entry(key.clone()).or_default();
                for (id, state) in containers {
                    if taken.insert(id) {
                        let state = ["running", "exited"][usize::from(state)];
                        list.push(container(&key, &id.to_string(), state));
                    }
                }
            }
            let delta = picture.take(look(nodes), |key| there[key].clone());
            client.take(&delta);
            let value = |json: Vec<Json>, key: &str| -> BTreeMap<String, Value> {
                json.iter()
                    .map(|one| serde_json::from_str::<Value>(one.get()).unwrap())
                    .map(|one| (one[key].as_str().unwrap().to_owned(), one))
                    .collect()
            };
            let whole = Client {
                nodes: value(picture.nodes(), "key"),
                containers: value(picture.containers(), "id"),
            };
            prop_assert_eq!(&client, &whole);
            prop_assert_eq!(client.containers.len(), taken.len());
        }
    }
}
