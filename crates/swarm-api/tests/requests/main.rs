//! What a client sees of one request: routes, versions, headers, errors; and those that mean ill ([`hostile`]).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fake/mod.rs"]
mod fake;
mod hostile;

use std::sync::Arc;

use fake::{Fake, parse, request, run, run_with};
use http::{HeaderValue, StatusCode};
use swarm_api::{Disposition, ServerOptions, routes};
use swarm_backend::{ApiError, Reply, empty, full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn every_route_reaches_its_port_with_and_without_a_version() {
    let server = run(Fake::describing()).await;
    for route in routes().filter(|route| route.method != "HEAD" && !route.pattern.ends_with("ping"))
    {
        let path = route.pattern.replace("{name}", "n/a-me").replace("{checkpoint}", "c1");
        for prefix in ["", "/v1.24", "/v1.41"] {
            let line = format!("{} {prefix}{path}?x=1", route.method);
            let answer = server.ask(&line, &[], b"").await;
            if let Disposition::Refused(status, words) = route.disposition {
                assert_eq!((answer.status, answer.message().as_str()), (status, words), "{line}");
                continue;
            }
            assert_eq!(answer.status, 200, "{line}: {answer:?}");
            let seen = answer.json();
            let named = route.pattern.contains("{name}");
            assert_eq!(seen["name"], if named { "n/a-me" } else { "" }, "{line}");
            assert_eq!(seen["path"], path.replace("n/a-me", "OBJECT"), "{line}");
            assert_eq!(seen["query"], "x=1", "{line}");
            let version = prefix.strip_prefix("/v");
            assert_eq!(seen["version"].as_str(), version, "{line}");
        }
    }
}

#[tokio::test]
async fn with_a_swarm_behind_it_nothing_of_swarm_mode_is_refused() {
    let server = run(Fake::describing().in_swarm()).await;
    let json = ["content-type: application/json"];
    let refused = |route: &&swarm_api::Route| matches!(route.disposition, Disposition::Refused(..));
    let mut served = 0;
    for route in routes().filter(refused).filter(|route| route.pattern.starts_with("/s")) {
        let path = route.pattern.replace("{name}", "web");
        let answer = server.ask(&format!("{} {path}?x=1", route.method), &json, b"{}").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let seen = answer.json();
        assert_eq!(seen["name"], if route.pattern.contains("{name}") { "web" } else { "" });
        served += 1;
    }
    assert!(served > 15, "{served}");
    for (line, call) in [
        ("POST /swarm/init", "init_swarm"),
        ("DELETE /services/web", "remove_service"),
        ("GET /tasks/t/logs", "task_logs"),
        ("POST /configs/c/update", "update_config"),
    ] {
        assert_eq!(server.ask(line, &json, b"{}").await.json()["call"], call, "{line}");
    }
    let refused = server.ask("POST /services/create", &["content-type: text/plain"], b"x").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(server.get("/_ping").await.header("swarm"), "active/manager");
}

/// Answers for the leader what this manager would answer itself.
#[derive(Debug)]
struct Everything;

#[async_trait::async_trait]
impl swarm_backend::Forward for Everything {
    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn forward(
        &self,
        request: swarm_backend::Onward,
    ) -> swarm_backend::Result<swarm_backend::Forwarded> {
        Ok(swarm_backend::Forwarded::Answered(Reply::ok(&request.target)?))
    }
}

#[tokio::test]
async fn connections_that_others_took_in_are_served_and_own_routes_can_be_sent_on() {
    let (hand, arriving) = tokio::sync::mpsc::channel(1);
    let forward = Some(Arc::new(Everything) as _);
    let options = ServerOptions { forward, ..ServerOptions::default() };
    let listener = swarm_api::Listener::handed(arriving);
    let server = fake::run_on(listener, Fake::describing().in_swarm(), options);
    for (path, answered) in
        [("/info", "\"/info\""), ("/_ping", "\"/_ping\""), ("/tasks", "list_tasks")]
    {
        let (mut client, other) = tokio::io::duplex(4 << 10);
        hand.send(other).await.unwrap();
        client.write_all(&request(&format!("GET {path}"), &[], b"")).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = parse(&answer);
        assert!(answer.body.contains(answered), "{path}: {answer:?}");
    }
    drop(hand);
    server.stop.cancel();
    server.served.await.unwrap();
}

#[tokio::test]
async fn calls_go_to_the_port_of_their_kind() {
    let server = run(Fake::describing()).await;
    for (line, call) in [
        ("GET /containers/json", "list_containers"),
        ("GET /containers/n/c/json", "inspect_container"),
        ("POST /containers/c/exec", "create_exec"),
        ("POST /containers/c/rename", "rename_container"),
        ("DELETE /containers/n/c", "forward_container"),
        ("POST /exec/e/start", "forward_exec"),
        ("DELETE /images/a/b:c", "remove_image"),
        ("GET /images/a/b:c/history", "forward_image"),
        ("GET /distribution/reg:5000/a/json", "distribution"),
        ("POST /build", "build"),
        ("POST /build/cancel", "cancel_build"),
        ("POST /networks/n/net/disconnect", "disconnect_network"),
        ("GET /networks/", "list_networks"),
        ("DELETE /volumes/n/v", "remove_volume"),
        ("GET /events", "events"),
        ("POST /plugins/pull", "install_plugin"),
        ("POST /plugins/a/b:c/enable", "forward_plugin"),
    ] {
        assert_eq!(server.ask(line, &[], b"").await.json()["call"], call, "{line}");
    }
}

#[tokio::test]
async fn every_answer_carries_what_docker_clients_read() {
    let server = run(Fake::describing()).await;
    for (path, status) in [("/info", 200), ("/nope", 404), ("/v1.99/info", 400), ("/services", 503)]
    {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("api-version"), "1.41");
        assert_eq!(answer.header("server"), "Swarm/9.9.9 (linux)");
        assert_eq!(answer.header("ostype"), "linux");
        assert_eq!(answer.header("docker-experimental"), "false");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn ping_answers_by_get_and_head() {
    let server = run(Fake::describing()).await;
    for (method, body) in [("GET", "OK"), ("HEAD", "")] {
        let answer = server.ask(&format!("{method} /_ping"), &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, body));
        assert_eq!(answer.header("api-version"), "1.41");
        assert_eq!(answer.header("builder-version"), "1");
        assert_eq!(answer.header("swarm"), "inactive");
        assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate");
        assert_eq!(answer.header("pragma"), "no-cache");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn head_answers_keep_the_engines_headers_and_have_no_body() {
    let server = run(Fake::acting(|_, name, _| async move {
        assert_eq!(name, "node-1/web");
        let mut reply = Reply::no_content();
        reply.status = StatusCode::OK;
        let stat = HeaderValue::from_static("eyJuYW1lIjoiZXRjIn0=");
        reply.headers.insert("x-docker-container-path-stat", stat);
        Ok(reply)
    }))
    .await;
    let answer = server.ask("HEAD /v1.41/containers/node-1/web/archive?path=/etc", &[], b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(answer.header("x-docker-container-path-stat"), "eyJuYW1lIjoiZXRjIn0=");
    assert_eq!(answer.header("transfer-encoding"), "");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_in_dockers_words() {
    let server = run(Fake::describing()).await;
    for line in [
        "GET /",
        "GET /nope",
        "GET /v1.41/nope",
        "GET /v1.99/nope",
        "GET /vx.y/info",
        "GET /v1.41x/info",
        "POST /info",
        "HEAD /info",
        "PATCH /containers/json",
        "GET /containers//json",
        "DELETE /containers/",
    ] {
        let answer = server.ask(line, &[], b"").await;
        assert_eq!(answer.status, 404, "{line}");
        if !line.starts_with("HEAD") {
            assert_eq!(answer.message(), "page not found", "{line}");
        }
    }
}

#[tokio::test]
async fn versions_out_of_range_are_refused() {
    let server = run(Fake::describing()).await;
    let old = server.get("/v1.10/info").await;
    assert_eq!(old.status, 400);
    assert_eq!(
        old.message(),
        "client version 1.10 is too old. Minimum supported API version is 1.24, \
         please upgrade your client to a newer version"
    );
    let new = server.get("/v1.99/_ping").await;
    assert_eq!(new.status, 400);
    assert_eq!(
        new.message(),
        "client version 1.99 is too new. Maximum supported API version is 1.41"
    );
}

#[tokio::test]
async fn errors_and_panics_are_messages_and_the_server_goes_on() {
    let server = run(Fake::acting(|call, _, _| async move {
        match call {
            "info" => panic!("a bug"),
            "version" => Err(ApiError::unavailable("no \"healthy\" engine")),
            _ => Err(ApiError::engine(418, "short and stout")),
        }
    }))
    .await;
    let answer = server.get("/info").await;
    assert_eq!(answer.status, 500);
    assert!(answer.message().starts_with("internal error"), "{answer:?}");
    let answer = server.get("/version").await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (503.try_into().unwrap(), "no \"healthy\" engine")
    );
    assert_eq!(server.get("/images/json").await.status, 418);
}

#[tokio::test]
async fn cors_is_classics_and_only_where_asked_for() {
    let options = ServerOptions { cors: true, ..ServerOptions::default() };
    let open = run_with(Fake::describing(), options).await;
    let closed = run(Fake::describing()).await;
    for line in ["OPTIONS /containers/json", "GET /info", "GET /nope", "OPTIONS /v1.41/any/thing"] {
        let answer = open.ask(line, &["Origin: http://a.example"], b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{line}");
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "Origin, X-Requested-With, Content-Type, Accept"
        );
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "GET, POST, DELETE, PUT, OPTIONS"
        );
        let answer = closed.ask(line, &[], b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{line}");
    }
    assert_eq!(open.ask("OPTIONS /info", &[], b"").await.status, 200);
    assert_eq!(closed.ask("OPTIONS /info", &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = run(Fake::acting(|call, _, _| async move {
        let mut reply = Reply::json(StatusCode::OK, call);
        if call == "version" {
            reply.body = full("v");
        }
        if call == "auth" {
            reply.body = empty();
        }
        Ok(reply)
    }))
    .await;
    let mut stream = server.connect().await;
    for (path, body) in [("/info", "info"), ("/version", "v"), ("/events", "events")] {
        let alive = ["Connection: keep-alive"];
        stream.write_all(&request(&format!("GET {path}"), &alive, b"")).await.unwrap();
        let head = fake::read_head(&mut stream).await;
        let mut got = vec![0; head.header("content-length").parse().unwrap()];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(got, body.as_bytes());
    }
}
