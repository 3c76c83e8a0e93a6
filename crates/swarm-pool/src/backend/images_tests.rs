//! Tests of what several engines' answers become.

use super::*;
use serde_json::json;
use swarm_engine::{ClientOptions, EngineAddress, EngineClient};

use crate::engine::EngineKey;

fn engine(number: u32) -> Arc<Engine> {
    let address = EngineAddress::Tcp { host: format!("n{number}"), port: 1 };
    Arc::new(Engine::new(EngineKey(number), EngineClient::new(address, ClientOptions::default())))
}

fn answer(number: u32, result: Result<Value>) -> Answer<Value> {
    Answer { engine: engine(number), result }
}

fn holder(number: u32, name: &str) -> Holder {
    Holder { engine: engine(number), name: name.to_owned(), image: None }
}

#[test]
fn removals_are_united_and_refusals_told() {
    let list = || json!([{"Untagged": "a:1"}, {"Deleted": "sha256:x"}]);
    let both = removed(vec![answer(1, Ok(list())), answer(2, Ok(list()))]).unwrap();
    assert_eq!(json!(both), list());
    let missing = || Err(ApiError::engine(404, "No such image: a:1"));
    assert!(removed(vec![answer(1, missing()), answer(2, Ok(list()))]).is_ok());
    assert_eq!(
        removed(vec![answer(1, missing())]).unwrap_err(),
        ApiError::engine(404, "No such image: a:1")
    );
    let used = Err(ApiError::engine(409, "conflict: in use"));
    let error = removed(vec![answer(1, Ok(list())), answer(2, used)]).unwrap_err();
    assert_eq!(error.status(), 409);
    assert_eq!(error.message, "n2:1: conflict: in use (removed on n1:1)");
}

#[test]
fn what_is_saved_comes_from_one_engine() {
    let (a, b) = (vec![holder(1, "a"), holder(2, "a")], vec![holder(2, "b"), holder(3, "b")]);
    let (engine, names) = holder_of_all(&[("a", a.clone()), ("n2:1/b", b.clone())]).unwrap();
    assert_eq!((engine.key(), names), (EngineKey(2), vec!["a".to_owned(), "b".to_owned()]));
    let error = holder_of_all(&[("a", a), ("b", b[1..].to_vec())]).unwrap_err();
    assert_eq!(error.status(), 404);
    assert!(error.message.contains("n1:1 lacks b; n2:1 lacks b; n3:1 lacks a"), "{error}");
}
