//! The fleet against a plain hyper client: the words, the streams and the faults.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(5);
const MUTE: Duration = Duration::from_millis(150);

struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(engine: &Engine) -> Self {
        let stream = TcpStream::connect(engine.address()).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self(sender)
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> hyper::Result<http::Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "engine")
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        self.0.ready().await?;
        self.0.send_request(request).await
    }

    async fn json(&mut self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let reply = self.send(method, path, body).await.unwrap();
        let status = reply.status();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let value =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        (status, value)
    }
}

async fn fleet(engines: usize, containers_per_engine: usize) -> Fleet {
    Fleet::start(FleetConfig { engines, containers_per_engine, ..FleetConfig::default() })
        .await
        .unwrap()
}

/// Reads an event stream line by line: chunks may arrive joined or split.
struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    async fn open(engine: &Engine) -> Self {
        let reply = Client::connect(engine).await.send("GET", "/events", "").await.unwrap();
        Self { body: reply.into_body(), buffer: Vec::new() }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let frame = timeout(SOON, self.body.frame()).await.unwrap().unwrap().unwrap();
            self.buffer.extend_from_slice(frame.data_ref().unwrap());
        }
    }
}

#[tokio::test]
async fn addresses_fill_each_block_with_250() {
    let base = "127.1.0.1".parse().unwrap();
    let at = |index| FleetConfig::address_of(base, index).to_string();
    assert_eq!(at(0), "127.1.0.1");
    assert_eq!(at(249), "127.1.0.250");
    assert_eq!(at(250), "127.1.1.1");
    assert_eq!(at(250 * 256), "127.2.0.1");
}

#[tokio::test]
async fn seeded_containers_are_listed_and_sized_like_dockerd() {
    let config = FleetConfig {
        engines: 4,
        containers_per_engine: 10,
        running: 38,
        manager_labels: true,
        ..FleetConfig::default()
    };
    let fleet = Fleet::start(config).await.unwrap();
    assert_eq!(fleet.containers(), (40, 38));
    let mut client = Client::connect(fleet.engine(3)).await;
    let (_, running) = client.json("GET", "/v1.41/containers/json", "").await;
    assert_eq!(running.as_array().unwrap().len(), 9);
    let (_, all) = client.json("GET", "/containers/json?all=1", "").await;
    assert_eq!(all.as_array().unwrap().len(), 10);
    let entry = &all[5];
    let size = entry.to_string().len();
    assert!((700..1300).contains(&size), "list entry of {size} bytes");
    assert_eq!(entry["Labels"]["com.docker.swarm.id"].as_str().unwrap().len(), 64);
    let path = format!("/containers/{}/json", entry["Id"].as_str().unwrap());
    let (status, inspect) = client.json("GET", &path, "").await;
    assert_eq!(status, StatusCode::OK);
    let size = inspect.to_string().len();
    assert!((3500..6000).contains(&size), "inspect of {size} bytes");
    assert_eq!(inspect["Id"], entry["Id"]);
    assert_eq!(inspect["Config"]["Labels"], entry["Labels"]);
    assert_eq!(inspect["HostConfig"]["Memory"], 134_217_728);
    assert_eq!(fleet.engine(3).requests()["GET /containers/json"], 2);
    assert_eq!(fleet.engine(3).request_count(), 3);
}

#[tokio::test]
async fn life_of_a_container_is_told_by_events() {
    let fleet = fleet(1, 0).await;
    let mut events = Events::open(fleet.engine(0)).await;
    let mut client = Client::connect(fleet.engine(0)).await;
    let body = json!({
        "Image": "nginx:1.25", "Labels": {"a": "b"}, "Cmd": ["run", "it"],
        "HostConfig": {"Memory": 1024, "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    })
    .to_string();
    let (status, made) = client.json("POST", "/containers/create?name=web", &body).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, clash) = client.json("POST", "/containers/create?name=web", &body).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let words = clash["message"].as_str().unwrap();
    assert!(
        words
            .starts_with("Conflict. The container name \"/web\" is already in use by container \"")
    );
    let (status, missing) =
        client.json("POST", "/containers/create?name=x1", r#"{"Image":"nope"}"#).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(missing["message"], "No such image: nope:latest");

    assert_eq!(client.json("POST", "/containers/web/start", "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.json("POST", "/containers/web/start", "").await.0, StatusCode::NOT_MODIFIED);
    let (_, list) =
        client.json("GET", "/containers/json?filters={%22name%22:[%22web%22]}", "").await;
    assert_eq!(list[0]["Ports"][0]["PublicPort"], 8080);
    assert_eq!(list[0]["Labels"], json!({"a": "b"}));
    let (_, made2) = client.json("POST", "/containers/create?name=web2", &body).await;
    let (status, refused) = client.json("POST", "/containers/web2/start", "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .ends_with("0.0.0.0:8080 failed: port is already allocated")
    );
    assert_eq!(
        client.json("POST", "/containers/web/rename?name=www", "").await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(client.json("DELETE", "/containers/www", "").await.0, StatusCode::CONFLICT);
    assert_eq!(client.json("POST", "/containers/www/stop", "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.json("DELETE", "/containers/www", "").await.0, StatusCode::NO_CONTENT);

    let mut newest = 0;
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("container destroy web") {
        let event = events.next().await;
        let nanos = event["timeNano"].as_i64().unwrap();
        assert!(nanos > newest, "timeNano must increase");
        newest = nanos;
        let name = if event["Actor"]["ID"] == made["Id"] {
            assert_eq!(event["Actor"]["Attributes"]["a"], "b");
            assert_eq!(event["from"], "nginx:1.25");
            "web"
        } else if event["Actor"]["ID"] == made2["Id"] {
            "web2"
        } else {
            "bridge"
        };
        seen.push(format!(
            "{} {} {name}",
            event["Type"].as_str().unwrap(),
            event["Action"].as_str().unwrap()
        ));
    }
    assert_eq!(
        seen,
        [
            "container create web",
            "network connect bridge",
            "container start web",
            "container create web2",
            "container rename web",
            "container kill web",
            "container die web",
            "network disconnect bridge",
            "container stop web",
            "container destroy web",
        ]
    );
    // The same from the ring, filtered, and ended by `until`.
    let until = newest / 1_000_000_000 + 1;
    let path = format!("/events?since=1&until={until}&filters={{%22event%22:[%22die%22]}}");
    let reply = client.send("GET", &path, "").await.unwrap();
    let text = timeout(SOON, reply.into_body().collect()).await.unwrap().unwrap().to_bytes();
    assert_eq!(String::from_utf8_lossy(&text).lines().count(), 1);
}

#[tokio::test]
async fn silence_keeps_everything_open_and_answers_on_return() {
    let fleet = fleet(1, 1).await;
    let engine = fleet.engine(0);
    let mut events = Events::open(fleet.engine(0)).await;
    let mut client = Client::connect(engine).await;
    engine.silence();
    let mut newcomer = Client::connect(engine).await;
    let mut asked = Box::pin(client.send("GET", "/_ping", ""));
    assert!(timeout(MUTE, &mut asked).await.is_err());
    assert!(timeout(MUTE, newcomer.send("GET", "/_ping", "")).await.is_err());
    engine.emit_synthetic(0);
    assert!(timeout(MUTE, events.body.frame()).await.is_err());
    assert_eq!(engine.requests()["GET /_ping"], 2);
    engine.restore();
    assert_eq!(timeout(SOON, asked).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(events.next().await["Action"], "exec_create: /bin/sh -c check");
}

#[tokio::test]
async fn stop_refuses_and_resume_comes_back_with_its_books() {
    let fleet = fleet(1, 3).await;
    let engine = fleet.engine(0);
    let mut client = Client::connect(engine).await;
    client.json("GET", "/containers/json", "").await;
    engine.stop();
    assert!(client.send("GET", "/_ping", "").await.is_err());
    // The listener closes in its own task, a moment later.
    let refused = async {
        while TcpStream::connect(engine.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, refused).await.unwrap();
    engine.resume().unwrap();
    let (_, list) = Client::connect(engine).await.json("GET", "/containers/json", "").await;
    assert_eq!(list.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn faults_answer_wrongly_and_cut_streams() {
    let fleet = fleet(1, 1).await;
    let engine = fleet.engine(0);
    let mut events = Events::open(fleet.engine(0)).await;
    let mut client = Client::connect(engine).await;
    engine.fault(Fault::Error);
    assert_eq!(client.json("GET", "/info", "").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    engine.fault(Fault::Garbage);
    let reply = client.send("GET", "/info", "").await.unwrap();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    assert!(serde_json::from_slice::<Value>(&body).is_err());
    engine.fault(Fault::NotHttp);
    assert!(Client::connect(engine).await.send("GET", "/info", "").await.is_err());
    engine.restore();
    assert_eq!(engine.event_streams(), 1);
    engine.cut_events();
    assert!(timeout(SOON, events.body.frame()).await.unwrap().unwrap().is_err());
    assert_eq!(client.json("GET", "/info", "").await.0, StatusCode::OK);
    engine.delay(Duration::from_millis(120));
    let start = tokio::time::Instant::now();
    client.send("GET", "/_ping", "").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn events_at_a_rate_all_arrive() {
    let fleet = fleet(3, 2).await;
    let mut bodies = Vec::new();
    for engine in fleet.engines() {
        bodies.push(Events::open(engine).await);
    }
    fleet.emit_events(0..3000, 30_000).await;
    for body in &mut bodies {
        for _ in 0..1000 {
            body.next().await;
        }
    }
}

#[tokio::test]
async fn versions_are_refused_in_dockerds_words() {
    let fleet = fleet(1, 0).await;
    let mut client = Client::connect(fleet.engine(0)).await;
    let (status, new) = client.json("GET", "/v1.99/info", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        new["message"],
        "client version 1.99 is too new. Maximum supported API version is 1.41"
    );
    assert_eq!(client.json("GET", "/v1.2/info", "").await.0, StatusCode::BAD_REQUEST);
    let (status, info) = client.json("GET", "/v1.24/info", "").await;
    assert_eq!((status, info["NCPU"].as_u64()), (StatusCode::OK, Some(16)));
    let (_, version) = client.json("GET", "/version", "").await;
    assert_eq!(version["ApiVersion"], "1.41");
    assert_eq!(client.json("GET", "/nonsense", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn wait_answers_when_it_ends_and_rm_removes() {
    let fleet = fleet(1, 0).await;
    let mut client = Client::connect(fleet.engine(0)).await;
    let body = r#"{"Image":"redis:7","HostConfig":{"AutoRemove":true}}"#;
    client.json("POST", "/containers/create?name=job", body).await;
    client.json("POST", "/containers/job/start", "").await;
    let reply = client.send("POST", "/containers/job/wait", "").await.unwrap();
    fleet.engine(0).finish("job", 7);
    let body = timeout(SOON, reply.into_body().collect()).await.unwrap().unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(fleet.containers(), (0, 0));
    assert_eq!(answer["StatusCode"], 7);
}

#[tokio::test]
async fn images_networks_and_volumes_keep_their_books() {
    let fleet = fleet(1, 1).await;
    let mut client = Client::connect(fleet.engine(0)).await;
    let pulled = client.send("POST", "/images/create?fromImage=alpine&tag=3", "").await.unwrap();
    let text = pulled.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("Downloaded newer image for alpine:3"));
    assert_eq!(client.json("GET", "/images/alpine:3/json", "").await.1["RepoTags"][0], "alpine:3");
    let (_, net) = client.json("POST", "/networks/create", r#"{"Name":"back"}"#).await;
    assert_eq!(net["Id"].as_str().unwrap().len(), 64);
    assert_eq!(client.json("GET", "/networks", "").await.1.as_array().unwrap().len(), 4);
    assert_eq!(client.json("DELETE", "/networks/bridge", "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(client.json("DELETE", "/networks/back", "").await.0, StatusCode::NO_CONTENT);
    client.json("POST", "/volumes/create", r#"{"Name":"data"}"#).await;
    assert_eq!(client.json("GET", "/volumes/data", "").await.1["Driver"], "local");
    assert_eq!(client.json("DELETE", "/volumes/data", "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.json("GET", "/volumes/data", "").await.0, StatusCode::NOT_FOUND);
}
