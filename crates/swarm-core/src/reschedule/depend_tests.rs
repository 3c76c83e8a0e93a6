//! Names of all kinds find the intent, and the order holds for chains and circles.

use serde_json::json;
use swarm_model::Intent;

use super::super::fixture::{at, intent, with};
use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn every_way_to_name_a_container_finds_it() {
    let mut db = intent("swarm-id", 1, at("n1", ID));
    db.name = "db".to_owned();
    let intents = [&db];
    let names = Names::new(&intents);
    for reference in ["db", "n1/db", "swarm-id", ID, &ID[..12], &ID[..20]] {
        assert_eq!(names.find(reference), Some(0), "{reference}");
    }
    for reference in ["", "web", "d", &ID[..8], "0123456789ab-"] {
        let expected = reference.starts_with("0123456789ab").then_some(0);
        assert_eq!(names.find(reference), expected, "{reference}");
    }
}

#[test]
fn what_is_needed_comes_first() {
    let needs = |id: &str, host: serde_json::Value| with(intent(id, 1, at("n1", id)), &host);
    let intents = [
        needs("a", json!({"NetworkMode": "container:b"})),
        needs("b", json!({"VolumesFrom": ["c:ro"]})),
        needs("c", json!({"IpcMode": "host"})),
        needs("d", json!({"Links": ["/e:x"]})),
        needs("e", json!({"Links": ["/d:x", "/a:y"]})),
    ];
    let intents: Vec<&Intent> = intents.iter().collect();
    let names = Names::new(&intents);
    assert_eq!(order(&intents, &names, &[0, 1, 2]), [2, 1, 0]);
    assert_eq!(order(&intents, &names, &[0]), [0]);
    assert_eq!(order(&intents, &names, &[3, 4]), [4, 3]);
}
