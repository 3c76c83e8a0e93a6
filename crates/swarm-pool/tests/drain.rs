//! Containers that leave engines that work: drains and rebalancing, over simulated engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use rig::{
    Events, LONG, Rig, act, config, create, direct, eventually, exchange, inspect, list, node_of,
    whole,
};
use serde_json::{Value, json};
use swarm_backend::{Nodes as _, Pools as _, Reply};
use swarm_kv::{KeyValue as _, Write};
use swarm_model::{EngineRef, Intent, Kept as _, Place};
use swarm_pool::Pool;
use swarm_testkit::fleet::Engine;
use tokio_util::sync::CancellationToken;

async fn node(rig: &Rig, name: &str) -> Value {
    let asked = exchange(Method::GET, ("/nodes/", ""), &[], &Value::Null);
    whole(rig.pool.inspect_node(name, asked).await).await.unwrap()
}

async fn set(rig: &Rig, name: &str, availability: &str) {
    eventually("its record is there", LONG, async || {
        node(rig, name).await["Version"]["Index"] != 0
    })
    .await;
    let version = node(rig, name).await["Version"]["Index"].to_string();
    let spec = json!({"Availability": availability});
    let asked = exchange(Method::POST, ("/nodes/", "/update"), &[("version", &version)], &spec);
    whole(rig.pool.update_node(name, asked).await).await.unwrap();
}

async fn run(rig: &Rig, name: &str, body: Value) {
    create(&rig.pool, name, body).await.unwrap();
    act(&rig.pool, name, "start", &Value::Null).await.unwrap();
}

fn engine<'r>(rig: &'r Rig, name: &str) -> &'r Arc<Engine> {
    rig.fleet.engines().iter().find(|engine| engine.name() == name).unwrap()
}

fn on(node: &str) -> Value {
    json!({"Env": [format!("constraint:node=={node}")]})
}

fn names_on(engine: &Engine) -> Vec<String> {
    let mut names: Vec<_> = engine
        .container_names()
        .iter()
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    names.sort();
    names
}

/// Waits until nothing that can move is left on a node; what was said of its draining.
async fn drained(rig: &Rig, name: &str) -> Value {
    let mut said = Value::Null;
    eventually(&format!("{name} is drained"), LONG, async || {
        said = node(rig, name).await["Swarm"]["Drain"].clone();
        said["ToMove"] == 0
    })
    .await;
    said
}

async fn rebalance(rig: &Rig, query: &[(&str, &str)]) -> rig::Answer<Vec<Value>> {
    let asked = exchange(Method::POST, ("/pool/rebalance", ""), query, &Value::Null);
    Ok(lines(rig.pool.rebalance(asked).await?).await)
}

async fn lines(reply: Reply) -> Vec<Value> {
    let bytes = reply.body.collect().await.unwrap().to_bytes();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Fails when two containers of one name ran at once, by the engines' own events.
fn never_two(events: &[Value]) {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut running: HashMap<String, String> = HashMap::new();
    // Each engine's stream is in order; which of two engines is heard first is chance.
    let mut events = events.to_vec();
    events.sort_by_key(|event| event["timeNano"].as_i64());
    for event in &events {
        let id = event["Actor"]["ID"].as_str().unwrap().to_owned();
        let name = event["Actor"]["Attributes"]["name"].as_str().unwrap_or_default().to_owned();
        match event["Action"].as_str().unwrap() {
            "start" => {
                names.insert(id.clone(), name.clone());
                if let Some(other) = running.insert(name.clone(), id.clone()) {
                    assert_eq!(other, id, "two of {name} run: {events:#?}");
                }
            }
            "rename" => {
                let old = names.insert(id.clone(), name.clone()).unwrap_or_default();
                if running.get(&old) == Some(&id) {
                    running.remove(&old);
                    let other = running.insert(name.clone(), id);
                    assert_eq!(other, None, "two of {name} run: {events:#?}");
                }
            }
            "die" => {
                let name = names.get(&id).cloned().unwrap_or(name);
                if running.get(&name) == Some(&id) {
                    running.remove(&name);
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_moves_what_can_move_and_never_runs_two_of_one_name() {
    let rig = Rig::of(3).await;
    let from = "engine-0000";
    let mut events = Events::open(&rig.pool, &[]).await;
    for other in ["engine-0001", "engine-0002"] {
        set(&rig, other, "pause").await;
    }
    let names: Vec<String> = (0..6).map(|number| format!("web-{number}")).collect();
    for name in &names {
        run(&rig, name, json!({"Labels": {"app": "web"}})).await;
    }
    create(&rig.pool, "idle", json!({})).await.unwrap();
    for other in ["engine-0001", "engine-0002"] {
        set(&rig, other, "active").await;
    }
    assert_eq!(engine(&rig, from).containers().0, 7);
    set(&rig, from, "drain").await;
    let said = drained(&rig, from).await;
    let left = names_on(engine(&rig, from));
    assert_eq!(
        (&said["Moved"], &said["Stays"]),
        (&json!(7), &json!([])),
        "{said}, and there are {left:?}"
    );
    assert_eq!(names_on(engine(&rig, from)), Vec::<String>::new());
    let message = node(&rig, from).await["Status"]["Message"].clone();
    assert_eq!(message, "drained: 7 moved");
    for name in &names {
        let found = inspect(&rig.pool, name).await.unwrap();
        assert_eq!(found["State"]["Running"], true, "{name}");
        assert_ne!(found["Node"]["Name"], from);
        assert_eq!(found["Config"]["Labels"]["app"], "web");
    }
    assert_eq!(inspect(&rig.pool, "idle").await.unwrap()["State"]["Running"], false);
    assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 7);
    let told = events.rest(Duration::from_secs(1)).await;
    never_two(&told);
    let moved: Vec<_> = told.iter().filter(|event| event["Action"] == "reschedule_moved").collect();
    assert_eq!(moved.len(), 7);
    let attributes = &moved[0]["Actor"]["Attributes"];
    assert_eq!(attributes["from"], from);
    assert!(attributes["reason"].as_str().unwrap().contains("being drained"), "{attributes}");
    // Start first: the new copy ran before the old one ended.
    let at = |action: &str, name: &str, node: bool| {
        told.iter().position(|event| {
            let attributes = &event["Actor"]["Attributes"];
            event["Action"] == action
                && attributes["name"] == name
                && (attributes["node.name"] == from) == node
        })
    };
    for name in &names {
        let started = at("start", &format!("{name}-next"), false).unwrap();
        assert!(started < at("die", name, true).unwrap(), "{name} was stopped first");
    }
    // What is wanted is kept: it goes on from there.
    let kept = rig.store.list("docker/swarm/intents").await.unwrap();
    for item in kept {
        let kept = Intent::parse(&item.value).unwrap();
        assert_eq!((kept.generation, kept.moves.len()), (1, 1), "{}", kept.name);
        assert_ne!(kept.place.engine().unwrap().name, from);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_move_stays_and_is_named_with_its_reason() {
    let rig = Rig::of(2).await;
    let from = "engine-0000";
    set(&rig, "engine-0001", "pause").await;
    run(&rig, "bound", json!({"HostConfig": {"Binds": ["/srv:/srv"]}})).await;
    run(&rig, "stored", json!({"HostConfig": {"Binds": ["data:/data"]}})).await;
    run(&rig, "pinned", on(from)).await;
    run(&rig, "left", json!({"Labels": {"com.docker.swarm.rebalance": "off"}})).await;
    run(&rig, "base", json!({})).await;
    run(&rig, "tied", json!({"HostConfig": {"NetworkMode": "container:base"}})).await;
    let body = json!({"Image": "busybox"});
    direct(engine(&rig, from), Method::POST, "/containers/create?name=beside", &body)
        .await
        .unwrap();
    run(&rig, "free", json!({})).await;
    eventually("all are seen", LONG, async || list(&rig.pool, &[("all", "1")]).await.len() == 8)
        .await;
    set(&rig, "engine-0001", "active").await;
    set(&rig, from, "drain").await;
    let said = drained(&rig, from).await;
    assert_eq!(node_of(&rig.pool, "free").await, "engine-0001");
    let reasons: HashMap<&str, &str> = said["Stays"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stay| (stay["Name"].as_str().unwrap(), stay["Reason"].as_str().unwrap()))
        .collect();
    let expected = [
        ("bound", "host path /srv"),
        ("stored", "volume data"),
        ("pinned", "a constraint names its engine"),
        ("left", "com.docker.swarm.rebalance is off"),
        ("base", "tied needs it"),
        ("tied", "it needs base"),
        ("beside", "beside the pool"),
    ];
    for (name, words) in expected {
        assert!(reasons.get(name).is_some_and(|reason| reason.contains(words)), "{reasons:?}");
    }
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    assert_eq!(engine(&rig, from).containers().0, 7);
    let message = node(&rig, from).await["Status"]["Message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("drained: 1 moved, 7 cannot move: "), "{message}");
    assert!(message.contains("stored: it has data there: volume data"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_has_room_all_stays_and_moves_when_there_is() {
    let rig = Rig::of(2).await;
    let (from, to) = ("engine-0000", "engine-0001");
    set(&rig, to, "pause").await;
    run(&rig, "web", json!({})).await;
    set(&rig, from, "drain").await;
    let said = drained(&rig, from).await;
    assert_eq!(said["Stays"][0]["Name"], "web", "{said}");
    assert_eq!(node_of(&rig.pool, "web").await, from);
    set(&rig, to, "active").await;
    eventually("it moved", LONG, async || node_of(&rig.pool, "web").await == to).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_a_crashed_move_left_goes_and_the_old_one_goes_on() {
    let rig = Rig::of(2).await;
    run(&rig, "web", json!({})).await;
    let from = node_of(&rig.pool, "web").await;
    let to = rig.fleet.engines().iter().find(|engine| engine.name() != from).unwrap();
    let kept = rig.store.list("docker/swarm/intents").await.unwrap();
    let intent = Intent::parse(&kept[0].value).unwrap();
    copy(to, &intent).await;
    eventually("the copy is gone", LONG, async || names_on(to).is_empty()).await;
    assert_eq!(inspect(&rig.pool, "web").await.unwrap()["State"]["Running"], true);
    assert_eq!(node_of(&rig.pool, "web").await, from);
}

/// What a move makes on the engine it goes to.
async fn copy(to: &Engine, intent: &Intent) -> String {
    let path = format!("/containers/create?name={}-next", intent.name);
    let generation = intent.generation.to_string();
    let body = json!({"Image": "busybox", "Labels": {
        "com.docker.swarm.id": intent.id, "com.docker.swarm.generation": generation}});
    let made = direct(to, Method::POST, &path, &body).await.unwrap();
    let id = made["Id"].as_str().unwrap().to_owned();
    let start = format!("/containers/{id}/start");
    direct(to, Method::POST, &start, &Value::Null).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_next_ends_a_move_that_was_written() {
    let rig = Rig::of(2).await;
    run(&rig, "web", json!({})).await;
    let from = node_of(&rig.pool, "web").await;
    let to = rig.fleet.engines().iter().find(|engine| engine.name() != from).unwrap();
    let mut kept = Vec::new();
    eventually("it is kept as running", LONG, async || {
        kept = rig.store.list("docker/swarm/intents").await.unwrap();
        let intent = kept.first().and_then(|item| Intent::parse(&item.value).ok());
        intent.is_some_and(|intent| {
            intent.desired == swarm_model::Desired::Running
                && matches!(intent.place, Place::At { .. })
        })
    })
    .await;
    let intent = Intent::parse(&kept[0].value).unwrap();
    // A store of its own: the first manager goes on with its own, and is not asked.
    let store = swarm_memory::Memory::new();
    let second = EngineRef { id: to.id().to_owned(), name: to.name().to_owned() };
    let (fleet, named) = rig.end();
    let first = fleet.engines().iter().find(|one| one.name() == from).unwrap();
    let to = fleet.engines().iter().find(|one| one.name() == second.name).unwrap();
    let id = copy(to, &intent).await;
    let moved = swarm_core::reschedule::transition::moved(&intent, &second, &id, "a test", 1);
    store.put(Write::new(kept[0].key.clone(), moved.to_json())).await.unwrap();
    let stop = CancellationToken::new();
    let kept = rig::kept_in(&store);
    let pool = Pool::start(config(), Arc::new(named), kept, stop.clone());
    let _stop = stop.drop_guard();
    eventually("the old copy is gone", LONG, async || names_on(first).is_empty()).await;
    eventually("the new one has its name", LONG, async || names_on(to) == ["web"]).await;
    eventually("it is found by it", LONG, async || {
        inspect(&pool, "web").await.is_ok_and(|found| {
            found["State"]["Running"] == true && found["Node"]["Name"] == second.name.as_str()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_that_is_stopped_ends_the_move_under_way() {
    let rig = Rig::of(2).await;
    set(&rig, "engine-0001", "pause").await;
    for number in 0..6 {
        let body = json!({"Env": ["reschedule:on-node-failure"]});
        run(&rig, &format!("web-{number}"), body).await;
    }
    set(&rig, "engine-0001", "active").await;
    let idle = rebalance(&rig, &[("stop", "1")]).await.unwrap();
    assert_eq!(idle, [json!({"Stopping": 0})]);
    // A move takes so long that it is under way still.
    engine(&rig, "engine-0001").delay(Duration::from_millis(200));
    let asked = exchange(Method::POST, ("/pool/rebalance", ""), &[("apply", "1")], &Value::Null);
    let under_way = rig.pool.rebalance(asked).await.unwrap();
    eventually("a move is under way", LONG, async || {
        engine(&rig, "engine-0001").containers().0 > 0
    })
    .await;
    let stopped = rebalance(&rig, &[("stop", "1")]).await.unwrap();
    assert_eq!(stopped, [json!({"Stopping": 1})]);
    let told = lines(under_way).await;
    assert_eq!(told[1]["MovedTo"], "engine-0001", "{told:?}");
    let sums = json!({"Moved": 1, "Failed": 0, "Error": "2 not begun: it was stopped"});
    assert_eq!(told[2..], [sums], "{told:?}");
    engine(&rig, "engine-0001").delay(Duration::ZERO);
    // The next one is another one.
    let next = rebalance(&rig, &[("apply", "1")]).await.unwrap();
    assert_eq!(next.last().unwrap(), &json!({"Moved": 2, "Failed": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_is_a_plan_until_it_is_applied() {
    let rig = Rig::of(2).await;
    set(&rig, "engine-0001", "pause").await;
    for number in 0..6 {
        let body = json!({"Env": ["reschedule:on-node-failure"]});
        run(&rig, &format!("web-{number}"), body).await;
    }
    run(&rig, "plain", json!({})).await;
    set(&rig, "engine-0001", "active").await;
    let plan = rebalance(&rig, &[]).await.unwrap();
    let [plan] = &plan[..] else { unreachable!("one object: {plan:?}") };
    let moves = plan["Moves"].as_array().unwrap();
    assert_eq!(moves.len(), 3, "{plan}");
    for one in moves {
        assert_eq!((&one["From"], &one["To"]), (&json!("engine-0000"), &json!("engine-0001")));
        assert_eq!(one["StartFirst"], true);
        assert!(one["Reason"].as_str().unwrap().contains("from engine-0000"), "{one}");
    }
    assert_eq!(engine(&rig, "engine-0001").containers().0, 0, "nothing was done");

    let told = rebalance(&rig, &[("apply", "1"), ("at_once", "2")]).await.unwrap();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told[1..4].iter().all(|line| line["MovedTo"] == "engine-0001"), "{told:?}");
    assert_eq!(told[4], json!({"Moved": 3, "Failed": 0}));
    eventually("the pool is even", LONG, async || {
        engine(&rig, "engine-0001").containers().0 == 3
            && engine(&rig, "engine-0000").containers().0 == 4
    })
    .await;
    assert_eq!(node_of(&rig.pool, "plain").await, "engine-0000", "its policy is off");
    for bad in [("limit", "0"), ("at_once", "17"), ("limit", "x")] {
        let refused = rebalance(&rig, &[bad]).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{bad:?}");
    }
    eventually("all is settled", LONG, async || {
        let plan = rebalance(&rig, &[]).await.unwrap();
        plan[0]["Moves"].as_array().unwrap().is_empty()
    })
    .await;
}
