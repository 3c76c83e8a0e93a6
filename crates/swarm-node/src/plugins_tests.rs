//! Plugins that really listen, found in every way.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};

use super::*;

/// What it was asked: paths and bodies.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Answers one request on a connection: the value of the path, or 404.
async fn serve<S>(mut stream: S, answers: Value, asked: Asked)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut read = Vec::new();
    let (head, body) = loop {
        let mut part = [0; 4096];
        let size = stream.read(&mut part).await.unwrap();
        if size == 0 {
            return;
        }
        read.extend_from_slice(&part[..size]);
        let text = String::from_utf8(read.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            break (head, body.to_owned());
        }
    };
    let path = head.split(' ').nth(1).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let answer = answers.get(path).or_else(|| {
        answers
            .as_object()
            .unwrap()
            .iter()
            .find(|(key, _)| key.to_lowercase() == path)
            .map(|it| it.1)
    });
    asked.lock().push((path.to_owned(), body));
    let (status, answer) = match answer {
        Some(answer) => ("200 OK", answer.to_string()),
        None => ("404 Not Found", json!({"message": "no such plugin"}).to_string()),
    };
    let size = answer.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{answer}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn unix(path: &Path, answers: Value) -> Asked {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (listener, asked) = (UnixListener::bind(path).unwrap(), Asked::default());
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answers.clone(), Arc::clone(&seen)));
        }
    });
    asked
}

fn provider(answer: &Value) -> Value {
    json!({"/Plugin.Activate": {"Implements": ["secretprovider"]}, "/SecretProvider.GetSecret": answer})
}

/// Plugins below a folder; the engine has those of `managed`.
fn plugins(folder: &Path, managed: Value) -> Plugins {
    let socket = folder.join("engine.sock");
    unix(&socket, managed);
    Plugins {
        engine: EngineClient::new(EngineAddress::Unix(socket), ClientOptions::default()),
        sockets: folder.join("run"),
        files: vec![folder.join("etc"), folder.join("lib")],
    }
}

fn request() -> SecretRequest {
    SecretRequest {
        secret_name: "key".to_owned(),
        node_id: "n1".into(),
        ..SecretRequest::default()
    }
}

#[tokio::test]
async fn a_plugin_is_found_wherever_docker_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let value = |text: &str| STANDARD.encode(text);
    let kept = provider(&json!({"Value": value("by socket"), "DoNotReuse": true}));
    let asked = unix(&here.join("run/plain.sock"), kept);
    unix(&here.join("run/deep/deep.sock"), provider(&json!({"Value": value("deep")})));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = provider(&json!({"Value": value("by tcp")}));
            tokio::spawn(serve(stream, answers, Asked::default()));
        }
    });
    for folder in ["etc", "lib"] {
        std::fs::create_dir_all(here.join(folder)).unwrap();
    }
    std::fs::write(here.join("etc/far.spec"), format!("tcp://{address}\n")).unwrap();
    let json = json!({"Name": "json", "Addr": format!("unix://{}/run/plain.sock", here.display())});
    std::fs::write(here.join("lib/json.json"), json.to_string()).unwrap();
    unix(
        &here.join("run/p1/vault.sock"),
        json!({"/SecretProvider.GetSecret": {"Value": STANDARD.encode("managed")}}),
    );
    let managed = json!({"/plugins/me/vault:latest/json": {"Id": "p1", "Enabled": true,
        "Config": {"Interface": {"Types": ["docker.secretprovider/1.0"], "Socket": "vault.sock"}}}});
    let plugins = plugins(here, managed);
    for (name, value, is_own) in [
        ("plain", "by socket", true),
        ("deep", "deep", false),
        ("far", "by tcp", false),
        ("json", "by socket", true),
        ("me/vault:latest", "managed", false),
    ] {
        let given = plugins.secret(name, &request()).await.unwrap();
        assert_eq!((given.value.as_slice(), given.is_own), (value.as_bytes(), is_own), "{name}");
    }
    let asked = asked.lock().clone();
    assert_eq!(asked[0].0, "/plugin.activate");
    let told = json!({"SecretName": "key", "ServiceID": "", "ServiceName": "", "TaskID": "",
        "TaskName": "", "TaskImage": "", "NodeID": "n1"});
    assert_eq!(asked[1], ("/secretprovider.getsecret".to_owned(), told));
}

#[tokio::test]
async fn what_is_wrong_with_a_plugin_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    unix(&here.join("run/sealed.sock"), provider(&json!({"Err": "vault is sealed"})));
    unix(
        &here.join("run/volume.sock"),
        json!({"/Plugin.Activate": {"Implements": ["VolumeDriver"]}}),
    );
    unix(&here.join("run/odd.sock"), provider(&json!({"Value": "hunter2!"})));
    unix(
        &here.join("run/half.sock"),
        json!({"/Plugin.Activate": {"Implements": ["secretprovider"]}}),
    );
    std::fs::write(here.join("run/dead.sock"), "").unwrap();
    std::fs::create_dir_all(here.join("etc")).unwrap();
    std::fs::write(here.join("etc/http.spec"), "http://example/").unwrap();
    let tls = json!({"Addr": "tcp://h:1", "TLSConfig": {"CAFile": "/ca"}});
    std::fs::write(here.join("etc/tls.json"), tls.to_string()).unwrap();
    let plugin = |enabled, kind| {
        let interface = json!({"Types": [kind], "Socket": "s.sock"});
        json!({"Id": "p", "Enabled": enabled, "Config": {"Interface": interface}})
    };
    let managed = json!({
        "/plugins/off/json": plugin(false, "docker.secretprovider/1.0"),
        "/plugins/logs/json": plugin(true, "docker.logdriver/1.0"),
    });
    let plugins = plugins(here, managed);
    for (name, words) in [
        ("nobody", "plugin \"nobody\" not found"),
        ("../../etc/passwd", "not found"),
        ("sealed", "vault is sealed"),
        ("volume", "does not implement \"secretprovider\", but VolumeDriver"),
        ("logs", "does not implement \"secretprovider\", but logdriver"),
        ("off", "docker plugin enable off"),
        ("odd", "not base 64"),
        ("half", "/SecretProvider.GetSecret: it answered 404"),
        ("dead", "/Plugin.Activate: "),
        ("http", "expected unix:///PATH or tcp://HOST:PORT"),
        ("tls", "not reached by TLS"),
    ] {
        let error = plugins.secret(name, &request()).await.unwrap_err();
        assert!(error.contains(words) && !error.contains("hunter2"), "{name}: {error}");
    }
}
