//! The page's own API: a `swarm manage --ui` process over simulated engines.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

mod acting;
#[path = "../manage/daemon.rs"]
#[allow(dead_code)]
mod daemon;
mod rig;
mod secured;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Rig, Stream, get};

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_what_the_api_says() {
    let rig = Rig::of(3, 4).await;
    let state = rig.state(|state| state["containers"].as_array().unwrap().len() == 12).await;
    let list = rig.api("GET", "/containers/json?all=1", &Value::Null).await;
    let mut listed: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["Id"].clone(), one["Image"].clone(), one["State"].clone()))
        .map(|(id, image, state)| format!("{id} {image} {state}"))
        .collect();
    let mut shown: Vec<_> = state["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}", one["id"], one["image"], one["state"]))
        .collect();
    listed.sort();
    shown.sort();
    assert_eq!(shown, listed);
    let nodes = state["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["name"] == "engine-0000").unwrap();
    assert_eq!((&node["state"], &node["availability"]), (&json!("healthy"), &json!("active")));
    assert_eq!((&node["cpus"], &node["labels"]["rack"]), (&json!(16), &json!("r0")));
    assert_eq!(
        (&state["pool"]["strategy"], &state["pool"]["role"]),
        (&json!("spread"), &json!("primary"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_within_a_second_and_a_reconnect_loses_nothing() {
    let rig = Rig::of(2, 1).await;
    rig.state(|state| state["containers"].as_array().unwrap().len() == 2).await;
    let mut stream = Stream::open(&rig.page, "").await;
    let (id, whole) = stream.beginning().await;
    assert_eq!(whole.len(), 2);

    let labels = json!({"x": "<img src=x onerror=alert(1)>"});
    rig.run("web", json!({"Image": "busybox", "Labels": labels})).await;
    let begun = Instant::now();
    let named = |name: &'static str, state: &'static str| {
        move |event: &str, data: &Value| {
            let list = data["containers"].as_array().cloned().unwrap_or_default();
            let found = list.into_iter().find(|one| one["name"] == name && one["state"] == state);
            found.filter(|_| event == "change")
        }
    };
    // Its start is told as an event too, before its new state or after it.
    let (mut web, mut started) = (None, false);
    let web = stream
        .until(|event, data| {
            web = web.take().or_else(|| named("web", "running")(event, data));
            let mut happened = data["events"].as_array().into_iter().flatten();
            started |= event == "events"
                && happened.any(|one| one["action"] == "start" && one["name"] == "web");
            web.clone().filter(|_| started)
        })
        .await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(web["labels"]["x"], labels["x"], "text, as it is");
    assert!(web["placed"].as_str().is_some_and(|reason| !reason.is_empty()), "{web}");
    assert_eq!(web["policy"], "off");
    let last = stream.last.clone();
    assert_ne!(last, id);
    drop(stream);

    // What happened meanwhile comes, and nothing else.
    rig.api("POST", "/containers/web/kill", &Value::Null).await;
    rig.state(|state| {
        let list = state["containers"].as_array().unwrap();
        list.iter().any(|one| one["name"] == "web" && one["state"] == "exited")
    })
    .await;
    let mut stream = Stream::open(&rig.page, &last).await;
    let mut seen = Vec::new();
    stream
        .until(|event, data| {
            seen.push(event.to_owned());
            named("web", "exited")(event, data)
        })
        .await;
    assert!(!seen.contains(&"begin".to_owned()), "{seen:?}");

    // A place that is not known gets everything.
    for unknown in ["1-5", "nonsense", &last.replace('-', "-9999")] {
        let mut stream = Stream::open(&rig.page, unknown).await;
        assert_eq!(stream.beginning().await.1.len(), 3, "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_and_a_return_are_told_with_their_reason() {
    let rig = Rig::of(2, 1).await;
    rig.state(|state| state["containers"].as_array().unwrap().len() == 2).await;
    let mut stream = Stream::open(&rig.page, "").await;
    stream.beginning().await;
    rig.fleet.engine(1).silence();
    let state_of = |name: &'static str, state: &'static str| {
        move |_: &str, data: &Value| {
            let list = data["nodes"].as_array().cloned().unwrap_or_default();
            list.into_iter().find(|one| one["name"] == name && one["state"] == state)
        }
    };
    let dead = stream.until(state_of("engine-0001", "unhealthy")).await;
    assert!(!dead["message"].as_str().unwrap().is_empty(), "{dead}");
    let told = stream
        .until(|_, data| {
            let list = data["events"].as_array().cloned().unwrap_or_default();
            list.into_iter().find(|one| one["type"] == "node" && one["action"] == "unhealthy")
        })
        .await;
    assert_eq!(told["reason"], dead["message"]);
    rig.fleet.engine(1).restore();
    stream.until(state_of("engine-0001", "healthy")).await;
    rig.api("POST", &rig.update("engine-0001").await, &json!({"Availability": "pause"})).await;
    stream
        .until(|_, data| {
            let list = data["nodes"].as_array().cloned().unwrap_or_default();
            list.into_iter().find(|one| one["availability"] == "pause")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_anybody_looked_is_told() {
    let rig = Rig::of(2, 0).await;
    rig.run("web", json!({"Image": "busybox"})).await;
    let found = rig.api("GET", "/containers/web/json", &Value::Null).await;
    let mut stream = Stream::open(&rig.page, "").await;
    let started = stream
        .until(|_, data| {
            let list = data["events"].as_array().cloned().unwrap_or_default();
            list.into_iter().find(|one| one["action"] == "start")
        })
        .await;
    assert_eq!((&started["id"], &started["name"]), (&found["Id"], &json!("web")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_container_is_shown_with_its_output() {
    let rig = Rig::of(1, 0).await;
    rig.run("web", json!({"Image": "busybox"})).await;
    let (status, body) = get(&rig.page, "/api/containers/web", &[]).await;
    let container: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &container["Name"]), (200, &json!("/web")));
    let (status, body) = get(&rig.page, "/api/containers/no%2Fsuch?x", &[]).await;
    assert_eq!(status, 404, "{body}");
    let mut logs = Stream::of(&rig.page, "/api/containers/web/logs?tail=10", "").await;
    let first = logs.until(|event, data| (event == "lines").then(|| data.clone())).await;
    assert!(first[0][1].as_str().is_some_and(|line| !line.is_empty()), "{first}");
    rig.api("POST", "/containers/web/kill", &Value::Null).await;
    logs.until(|event, data| (event == "end").then(|| data.clone())).await;
    let (status, body) = get(&rig.page, "/api/containers/gone/logs", &[]).await;
    assert!(status == 404 && body.contains("No such container"), "{body}");
    let (status, body) = get(&rig.page, "/api/containers/web/logs?tail=0", &[]).await;
    assert!(status == 400 && body.contains("tail must be"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_shown_and_nothing_is_moved() {
    let rig = Rig::of(2, 0).await;
    for name in ["one", "two", "three"] {
        rig.run(name, json!({"Image": "busybox"})).await;
    }
    let bound = json!({"Image": "busybox", "HostConfig": {"Binds": ["/srv:/srv"]},
                       "Env": ["constraint:node==engine-0000"]});
    rig.run("db", bound).await;
    let before = rig.api("GET", "/containers/json?all=1", &Value::Null).await;
    let (status, body) = get(&rig.page, "/api/plan?drain=engine-0000", &[]).await;
    let plan: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200, "{body}");
    let kept = plan["Kept"].as_array().unwrap();
    let db = kept.iter().find(|one| one["Container"] == "db").unwrap();
    assert_eq!(
        (&db["Node"], &db["Reason"]),
        (&json!("engine-0000"), &json!("it has data there: host path /srv"))
    );
    assert!(
        plan["Moves"].as_array().unwrap().iter().all(|one| one["To"] == "engine-0001"),
        "{plan}"
    );
    let (status, body) = get(&rig.page, "/api/plan?rebalance=1", &[]).await;
    assert!(status == 200 && body.contains("\"Note\""), "{body}");
    for (query, words) in [
        ("", "say what to plan"),
        ("?drain=none", "not found"),
        ("?rebalance=1&limit=0", "limit must be"),
    ] {
        let (status, body) = get(&rig.page, &format!("/api/plan{query}"), &[]).await;
        assert!((400..500).contains(&status) && body.contains(words), "{query}: {body}");
    }
    let after = rig.api("GET", "/containers/json?all=1", &Value::Null).await;
    let ids = |list: &Value| {
        list.as_array().unwrap().iter().map(|one| one["Id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&after), ids(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_says_why_and_where_to_as_it_was() {
    let rig = Rig::of(3, 0).await;
    for number in 0..6 {
        rig.run(&format!("web-{number}"), json!({"Image": "busybox"})).await;
    }
    rig.api("POST", &rig.update("engine-0000").await, &json!({"Availability": "drain"})).await;
    let moved = |state: &Value| {
        let list = state["containers"].as_array().cloned().unwrap_or_default();
        list.into_iter().filter(|one| one["moved"].is_object()).collect::<Vec<_>>()
    };
    let state = rig
        .state(|state| {
            let moved = moved(state);
            moved.len() == 2 && moved.iter().all(|one| one["state"] == "running")
        })
        .await;
    for one in moved(&state) {
        let node =
            state["nodes"].as_array().unwrap().iter().find(|node| node["key"] == one["node"]);
        assert_eq!(one["moved"]["from"], "engine-0000");
        assert_eq!(one["moved"]["to"], node.unwrap()["name"]);
        assert_eq!(one["moved"]["reason"], "engine-0000 is being drained");
    }
}
