//! `/containers/…` of a simulated engine.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use serde_json::{Value, json};

use super::Engine;
use super::container::State;
use super::filter::Filters;
use super::id::Id;
use super::images;
use super::reply::{self, Outcome, Refusal, Reply};
use super::route::Call;
use super::spec::Spec;

pub(super) fn list(engine: &Engine, call: &Call) -> Outcome {
    let filters = Filters::parse(call.get("filters"))?;
    let limit = call.get("limit").and_then(|l| l.parse().ok()).filter(|l| *l > 0);
    let all = call.flag("all") || limit.is_some() || !filters.get("status").is_empty();
    let now = engine.now();
    let books = engine.books.lock();
    let mut out = String::with_capacity(1024 * books.containers.len() + 2);
    let mut count = 0_usize;
    out.push('[');
    // Newest first, as dockerd sorts.
    for container in books.containers.values().rev() {
        let keep = (all || container.state.is_up())
            && filters.any("id", |id| container.id.has_prefix(id))
            && filters.name(&container.name)
            && filters.labels(|key| container.label(key))
            && filters.any("status", |status| status == container.state.word())
            && filters.any("exited", |code| {
                container.state == State::Exited && *code == container.exit_code.to_string()
            })
            && filters.any("ancestor", |image| {
                *image == *container.spec.image
                    || container.spec.image.split(':').next() == Some(image)
            })
            && filters.any("network", |want| {
                container.networks.iter().any(|n| *n.name == **want || n.id.has_prefix(want))
            });
        if !keep {
            continue;
        }
        if count > 0 {
            out.push(',');
        }
        container.write_entry(&mut out, now, call.flag("size"));
        count += 1;
        if limit == Some(count) {
            break;
        }
    }
    drop(books);
    out.push_str("]\n");
    Ok(reply::ok(out))
}

pub(super) fn create(engine: &Engine, call: &Call) -> Outcome {
    let body = call.json()?;
    if body.is_null() {
        return Err(Refusal::bad("Config cannot be empty in order to create a container"));
    }
    let image = body.get("Image").and_then(Value::as_str).unwrap_or_default();
    let now = engine.now();
    let id = Id::random();
    let name = match call.get("name").filter(|name| !name.is_empty()) {
        Some(name) => name.trim_start_matches('/').to_owned(),
        None => format!("sleepy_{}", id.short()),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.len() < 2 || !name.chars().all(valid) || name.starts_with(['_', '.', '-']) {
        return Err(Refusal::bad(format!(
            "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    let mut books = engine.books.lock();
    let Some(image_id) = images::find(&books.images, image).map(|image| image.id) else {
        let tagged = images::with_tag(image);
        return Err(Refusal::not_found(format!("No such image: {tagged}")));
    };
    let spec = Spec::from_body(&body, image, image_id)?;
    let at = books.insert(id, &name, Arc::new(spec), now)?;
    books.publish(at, now, "create", "");
    Ok(reply::json(StatusCode::CREATED, format!("{{\"Id\":\"{id}\",\"Warnings\":[]}}\n")))
}

pub(super) fn inspect(engine: &Engine, call: &Call) -> Outcome {
    let books = engine.books.lock();
    let container = books.get(&call.key)?;
    let mut out = String::with_capacity(6 * 1024);
    container.write_inspect(&mut out, call.flag("size"));
    out.push('\n');
    Ok(reply::ok(out))
}

pub(super) fn start(engine: &Engine, call: &Call) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    match books.get(&call.key)?.state {
        State::Running => return Ok(reply::empty(StatusCode::NOT_MODIFIED)),
        State::Paused => {
            return Err(Refusal::conflict("cannot start a paused container, try unpause instead"));
        }
        State::Created | State::Exited => {}
    }
    let at = books.find(&call.key)?;
    books.start(at, now)?;
    drop(books);
    engine.changed.notify_waiters();
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn stop(engine: &Engine, call: &Call) -> Outcome {
    end(engine, &call.key, "stop", 15, 0)
}

pub(super) fn kill(engine: &Engine, call: &Call) -> Outcome {
    let given = call.get("signal").filter(|s| !s.is_empty()).unwrap_or("KILL");
    let signal = match given.trim_start_matches("SIG") {
        "KILL" | "9" => 9,
        "TERM" | "15" => 15,
        "INT" | "2" => 2,
        "HUP" | "1" => 1,
        "USR1" | "10" => 10,
        _ => return Err(Refusal::bad(format!("Invalid signal: {given}"))),
    };
    end(engine, &call.key, "kill", signal, 128 + signal)
}

/// Common to `stop` and `kill`: what was up dies of `signal` (1 and 10 it survives).
fn end(engine: &Engine, key: &str, verb: &str, signal: i32, code: i32) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let container = books.get(key)?;
    if !container.state.is_up() {
        if verb == "stop" {
            return Ok(reply::empty(StatusCode::NOT_MODIFIED));
        }
        let id = container.id;
        return Err(Refusal::conflict(format!(
            "Cannot kill container: {key}: Container {id} is not running"
        )));
    }
    let at = books.find(key)?;
    books.publish(at, now, "kill", &format!("\"signal\":\"{signal}\""));
    if !matches!(signal, 1 | 10) {
        books.die(at, code, now);
        if verb == "stop" {
            books.publish(at, now, "stop", "");
        }
        books.reap(at, now);
    }
    drop(books);
    engine.changed.notify_waiters();
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn restart(engine: &Engine, call: &Call) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let at = books.find(&call.key)?;
    if books.get(&call.key)?.state.is_up() {
        books.publish(at, now, "kill", "\"signal\":\"15\"");
        books.die(at, 0, now);
        books.publish(at, now, "stop", "");
    }
    books.start(at, now)?;
    books.publish(at, now, "restart", "");
    drop(books);
    engine.changed.notify_waiters();
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn pause(engine: &Engine, call: &Call, pausing: bool) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let at = books.find(&call.key)?;
    let container = books.get_mut(&call.key)?;
    let id = container.id;
    match (pausing, container.state) {
        (true, State::Running) => container.state = State::Paused,
        (false, State::Paused) => container.state = State::Running,
        (true, State::Paused) => {
            return Err(Refusal::conflict(format!("Container {id} is already paused")));
        }
        (false, _) => return Err(Refusal::server(format!("Container {id} is not paused"))),
        (true, _) => return Err(Refusal::conflict(format!("Container {id} is not running"))),
    }
    books.publish(at, now, if pausing { "pause" } else { "unpause" }, "");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn rename(engine: &Engine, call: &Call) -> Outcome {
    let name = call.get("name").unwrap_or_default().trim_start_matches('/');
    if name.is_empty() {
        return Err(Refusal::bad("Neither old nor new names may be empty"));
    }
    engine.books.lock().rename(&call.key, name, engine.now())?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn update(engine: &Engine, call: &Call) -> Outcome {
    let changes = call.json()?;
    let now = engine.now();
    let mut books = engine.books.lock();
    let at = books.find(&call.key)?;
    let container = books.get_mut(&call.key)?;
    container.spec = Arc::new(container.spec.updated(&changes));
    books.publish(at, now, "update", "");
    Ok(reply::value(&json!({ "Warnings": null })))
}

pub(super) fn remove(engine: &Engine, call: &Call) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let at = books.find(&call.key)?;
    let container = books.get(&call.key)?;
    if container.state.is_up() {
        let (id, up) = (container.id, container.state);
        if !call.flag("force") {
            let advice = match up {
                State::Paused => "You cannot remove a paused container",
                _ => "You cannot remove a running container",
            };
            return Err(Refusal::conflict(format!(
                "{advice} {id}. Stop the container before attempting removal or force remove"
            )));
        }
        books.publish(at, now, "kill", "\"signal\":\"9\"");
        books.die(at, 137, now);
    }
    books.remove(at, now);
    drop(books);
    engine.changed.notify_waiters();
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn prune(engine: &Engine) -> Reply {
    let now = engine.now();
    let mut books = engine.books.lock();
    let gone: Vec<(u32, String)> = books
        .containers
        .iter()
        .filter(|(_, c)| !c.state.is_up())
        .map(|(at, c)| (*at, c.id.to_string()))
        .collect();
    for (at, _) in &gone {
        books.remove(*at, now);
    }
    let ids: Vec<String> = gone.into_iter().map(|(_, id)| id).collect();
    reply::value(&json!({ "ContainersDeleted": ids, "SpaceReclaimed": 1095 * ids.len() }))
}

/// `POST /containers/{id}/wait`: headers at once, the code when it comes (API 1.30).
pub(super) fn wait(engine: &Arc<Engine>, call: &Call) -> Outcome {
    let condition = call.get("condition").unwrap_or("not-running").to_owned();
    let (id, begun) = {
        let books = engine.books.lock();
        let container = books.get(&call.key)?;
        (container.id, container.finished)
    };
    let engine = Arc::clone(engine);
    let body = stream::once(async move {
        let key = id.to_string();
        let code = loop {
            let changed = engine.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let books = engine.books.lock();
                let Ok(container) = books.get(&key) else {
                    break books.removed_code(id).unwrap_or(0);
                };
                let code = container.exit_code;
                let ended = !container.state.is_up();
                let over = match condition.as_str() {
                    "removed" => false,
                    "next-exit" => ended && container.finished != begun,
                    _ => ended,
                };
                if over {
                    break code;
                }
            }
            changed.await;
        };
        Ok(Bytes::from(format!("{{\"Error\":null,\"StatusCode\":{code}}}\n")))
    });
    Ok(reply::stream("application/json", body))
}

/// Two lines of standard output in Docker's framing; `follow` holds until it ends.
pub(super) fn logs(engine: &Arc<Engine>, call: &Call) -> Outcome {
    let id = engine.books.lock().get(&call.key)?.id.to_string();
    if !call.flag("stdout") && !call.flag("stderr") {
        return Err(Refusal::bad("Bad parameters: you must choose at least one stream"));
    }
    let mut first = Vec::new();
    if call.flag("stdout") {
        first.extend_from_slice(&framed(1, format!("hello from {id}\nsimulated\n").as_bytes()));
    }
    if !call.flag("follow") {
        return Ok(reply::raw(StatusCode::OK, "application/vnd.docker.raw-stream", first));
    }
    let engine = Arc::clone(engine);
    let body = stream::unfold(Some(first), move |first| {
        let (engine, id) = (Arc::clone(&engine), id.clone());
        async move {
            if let Some(first) = first {
                return Some((Ok(Bytes::from(first)), None));
            }
            loop {
                let changed = engine.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if !engine.books.lock().get(&id).is_ok_and(|c| c.state.is_up()) {
                    return None;
                }
                changed.await;
            }
        }
    });
    Ok(reply::stream("application/vnd.docker.raw-stream", body))
}

/// One frame of Docker's multiplexed stream.
pub(super) fn framed(channel: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut frame = vec![channel, 0, 0, 0];
    frame.extend_from_slice(&length);
    frame.extend_from_slice(payload);
    frame
}

pub(super) fn top(engine: &Engine, call: &Call) -> Outcome {
    let books = engine.books.lock();
    let container = books.get(&call.key)?;
    if !container.state.is_up() {
        return Err(Refusal::conflict(format!("Container {} is not running", container.id)));
    }
    let mut pid = String::new();
    let _ = write!(pid, "{}", 4000 + container.ordinal);
    Ok(reply::value(&json!({
        "Titles": ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
        "Processes": [["root", pid, "1", "0", "10:00", "?", "00:00:00", &*container.spec.command]]
    })))
}
