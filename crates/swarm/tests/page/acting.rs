//! A page that was given leave to act: what it does, for whom, and what it leaves in the log.

use serde_json::{Value, json};

use crate::rig::{Rig, get, send};

/// The page's key, as it reads it itself.
async fn key(rig: &Rig) -> String {
    let state = rig.state(|_| true).await;
    state["key"].as_str().unwrap().to_owned()
}

async fn act(rig: &Rig, path: &str, key: &str, body: &str) -> (u16, Value) {
    let (status, body) = send(&rig.page, path, &[("X-Swarm-Page", key)], body).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn container(rig: &Rig, name: &str, state: &str) {
    rig.state(|seen| {
        let list = seen["containers"].as_array().unwrap();
        list.iter().any(|one| one["name"] == name && one["state"] == state)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_done_and_told_of() {
    let rig = Rig::acting(2).await;
    rig.run("web", json!({"Image": "busybox"})).await;
    let key = key(&rig).await;
    assert_eq!(key.len(), 64);
    for (path, body, said, state) in [
        ("/api/containers/web/stop", "{}", "it was stopped", "exited"),
        ("/api/containers/web/start", "", "it was started", "running"),
        ("/api/containers/web/restart", "{}", "it was restarted", "running"),
        ("/api/containers/web/kill", "{}", "it was killed", "exited"),
    ] {
        let (status, answer) = act(&rig, path, &key, body).await;
        assert_eq!((status, &answer["message"]), (200, &json!(said)), "{path}: {answer}");
        container(&rig, "web", state).await;
    }
    let (status, answer) = act(&rig, "/api/containers/web/remove", &key, "{}").await;
    assert_eq!((status, &answer["message"]), (200, &json!("it was removed")), "{answer}");
    rig.state(|seen| seen["containers"].as_array().unwrap().is_empty()).await;

    let node = rig.api("GET", "/nodes/engine-0000", &Value::Null).await;
    let id = node["ID"].as_str().unwrap();
    for availability in ["pause", "drain", "active"] {
        let path = format!("/api/nodes/{id}/{availability}");
        let (status, answer) = act(&rig, &path, &key, "{}").await;
        assert_eq!(status, 200, "{answer}");
        rig.state(|seen| {
            let nodes = seen["nodes"].as_array().unwrap();
            nodes.iter().any(|node| node["availability"] == availability && node["id"] == id)
        })
        .await;
    }
    let (status, body) =
        send(&rig.page, "/api/rebalance", &[("X-Swarm-Page", &key)], r#"{"limit": 3}"#).await;
    assert!(status == 200 && body.contains("\"Moves\"") && body.contains("\"Moved\":0"), "{body}");

    // An error is the API's own, and in the log as well; each action left its line, with whoever asked.
    let (status, answer) = act(&rig, "/api/containers/gone/stop", &key, "{}").await;
    assert!(status == 404 && answer.to_string().contains("No such container"), "{answer}");
    let log = rig.log();
    for line in ["stop container web", "kill container web", "set node", "rebalance with at most 3"]
    {
        let told =
            log.lines().find(|one| one.contains(line)).unwrap_or_else(|| panic!("{line}: {log}"));
        assert!(told.contains("127.0.0.1"), "{told}");
    }
    assert!(log.contains("asked for on the page, and failed"), "{log}");
    assert!(!log.contains(&key), "the key is nobody's to read");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_have_anything_done() {
    let rig = Rig::acting(1).await;
    rig.run("web", json!({"Image": "busybox"})).await;
    let key = key(&rig).await;
    let stop = "/api/containers/web/stop";
    let page = rig.page.clone();
    let own = format!("http://{page}");
    for (headers, words) in [
        (&[][..], "X-Swarm-Page"),
        (&[("X-Swarm-Page", "0123456789")], "X-Swarm-Page"),
        (&[("X-Swarm-Page", key.as_str()), ("Origin", "http://evil.example")], "another web page"),
        (&[("X-Swarm-Page", &key), ("Sec-Fetch-Site", "cross-site")], "another web page"),
        (&[("Origin", own.as_str())], "X-Swarm-Page"),
        (&[("X-Swarm-Page", &key), ("Host", "evil.example")], "--ui-token-file"),
    ] {
        let (status, body) = send(&page, stop, headers, "{}").await;
        assert!(status == 403 && body.contains(words), "{headers:?}: {status} {body}");
    }
    for (path, status) in [
        ("/api/containers/web/exec", 404),
        ("/api/state", 404),
        ("/", 404),
        ("/api/services/web/scale", 400),
        ("/api/rebalance", 400),
    ] {
        let body = if path.ends_with("rebalance") { r#"{"limit": 0}"# } else { "{}" };
        let (found, body) = send(&page, path, &[("X-Swarm-Page", &key)], body).await;
        assert_eq!(found, status, "{path}: {body}");
    }
    let (status, body) = send(&page, stop, &[("X-Swarm-Page", &key)], &"x".repeat(20_000)).await;
    assert_eq!(status, 400, "{body}");
    // Reading an action's path does nothing.
    let (status, _) = get(&page, stop, &[("X-Swarm-Page", &key)]).await;
    assert_eq!(status, 404);
    container(&rig, "web", "running").await;
    // The page itself, as a browser sends it.
    let both = [("X-Swarm-Page", key.as_str()), ("Origin", own.as_str())];
    let (status, body) = send(&page, stop, &both, "{}").await;
    assert_eq!(status, 200, "{body}");
    container(&rig, "web", "exited").await;
}
