//! `/exec/…` of a simulated engine: every command prints its own words and succeeds.

use std::sync::Arc;

use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::Engine;
use super::containers::framed;
use super::id::Id;
use super::reply::{self, Outcome, Refusal};
use super::route::Call;

/// A created exec.
#[derive(Debug)]
pub(super) struct Exec {
    pub container: Id,
    command: Vec<String>,
    tty: bool,
    exit_code: Option<i32>,
}

pub(super) fn create(engine: &Engine, call: &Call) -> Outcome {
    let body = call.json()?;
    let command: Vec<String> = body
        .get("Cmd")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if command.is_empty() {
        return Err(Refusal::bad("No exec command specified"));
    }
    let now = engine.now();
    let mut books = engine.books.lock();
    let at = books.find(&call.key)?;
    let container = books.get(&call.key)?;
    let owner = container.id;
    if !container.state.is_up() {
        return Err(Refusal::conflict(format!("Container {owner} is not running")));
    }
    let id = Id::random();
    let action = format!("exec_create: {}", command.join(" "));
    books.publish(at, now, &action, &format!("\"execID\":\"{id}\""));
    let tty = body.get("Tty").and_then(Value::as_bool) == Some(true);
    books.execs.insert(id, Exec { container: owner, command, tty, exit_code: None });
    Ok(reply::json(StatusCode::CREATED, format!("{{\"Id\":\"{id}\"}}\n")))
}

/// `POST /exec/{id}/start`: hijacked where the client asks for an upgrade.
pub(super) fn start(engine: &Arc<Engine>, key: &str, request: Request<Incoming>) -> Outcome {
    let missing = || Refusal::not_found(format!("No such exec instance: {key}"));
    let id = Id::parse(key).ok_or_else(missing)?;
    let now = engine.now();
    let output = {
        let mut books = engine.books.lock();
        let exec = books.execs.get_mut(&id).ok_or_else(missing)?;
        exec.exit_code = Some(0);
        let line = exec.command.join(" ");
        let text = format!("{line}\r\n");
        let output =
            if exec.tty { text.into_bytes() } else { framed(1, format!("{line}\n").as_bytes()) };
        let owner = exec.container.to_string();
        let at = books.find(&owner)?;
        let extra = format!("\"execID\":\"{id}\"");
        books.publish(at, now, &format!("exec_start: {line}"), &extra);
        books.publish(at, now, "exec_die", &format!("{extra},\"exitCode\":\"0\""));
        output
    };
    if !request.headers().contains_key(header::UPGRADE) {
        return Ok(reply::raw(StatusCode::OK, "application/vnd.docker.raw-stream", output));
    }
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let mut stream = TokioIo::new(upgraded);
            // A client that is gone already needs no output.
            let _ = stream.write_all(&output).await;
            let _ = stream.shutdown().await;
        }
    });
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.docker.raw-stream"),
    );
    Ok(reply)
}

pub(super) fn resize(engine: &Engine, call: &Call) -> Outcome {
    lookup(engine, &call.key, |_, _| ())?;
    Ok(reply::empty(StatusCode::OK))
}

pub(super) fn inspect(engine: &Engine, call: &Call) -> Outcome {
    lookup(engine, &call.key, |id, exec| {
        reply::value(&json!({
            "ID": id.to_string(), "Running": false, "ExitCode": exec.exit_code,
            "ProcessConfig": {"tty": exec.tty, "entrypoint": exec.command[0],
                "arguments": exec.command[1..], "privileged": false},
            "OpenStdin": false, "OpenStderr": true, "OpenStdout": true, "CanRemove": false,
            "ContainerID": exec.container.to_string(), "DetachKeys": "", "Pid": 4999
        }))
    })
}

fn lookup<T>(engine: &Engine, key: &str, with: impl FnOnce(Id, &Exec) -> T) -> Result<T, Refusal> {
    let books = engine.books.lock();
    let found = Id::parse(key).and_then(|id| books.execs.get(&id).map(|exec| (id, exec)));
    let (id, exec) =
        found.ok_or_else(|| Refusal::not_found(format!("No such exec instance: {key}")))?;
    Ok(with(id, exec))
}
