//! Which endpoint a request means, and whose function answers it.
//!
//! `{id}` stands for one path segment, `{name}` for one or more (image references).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::reply::{Outcome, Refusal};
use super::{Engine, containers, exec, images, networks, system, volumes};

const ROUTES: &[&str] = &[
    "GET /_ping",
    "HEAD /_ping",
    "GET /version",
    "GET /info",
    "GET /events",
    "GET /system/df",
    "POST /auth",
    "GET /plugins",
    "GET /containers/json",
    "POST /containers/create",
    "POST /containers/prune",
    "GET /containers/{id}/json",
    "GET /containers/{id}/logs",
    "GET /containers/{id}/top",
    "POST /containers/{id}/start",
    "POST /containers/{id}/stop",
    "POST /containers/{id}/restart",
    "POST /containers/{id}/kill",
    "POST /containers/{id}/pause",
    "POST /containers/{id}/unpause",
    "POST /containers/{id}/rename",
    "POST /containers/{id}/update",
    "POST /containers/{id}/wait",
    "POST /containers/{id}/exec",
    "DELETE /containers/{id}",
    "POST /exec/{id}/start",
    "POST /exec/{id}/resize",
    "GET /exec/{id}/json",
    "GET /images/json",
    "POST /images/create",
    "POST /images/prune",
    "GET /images/{name}/json",
    "GET /images/{name}/history",
    "POST /images/{name}/tag",
    "DELETE /images/{name}",
    "GET /networks",
    "POST /networks/create",
    "POST /networks/prune",
    "GET /networks/{id}",
    "POST /networks/{id}/connect",
    "POST /networks/{id}/disconnect",
    "DELETE /networks/{id}",
    "GET /volumes",
    "POST /volumes/create",
    "POST /volumes/prune",
    "GET /volumes/{id}",
    "DELETE /volumes/{id}",
];

/// Bound of a request body; real create bodies are a few KiB.
const BODY_LIMIT: usize = 4 << 20;

/// A request's endpoint: the route, the object it names, the version it asked for.
#[derive(Debug)]
pub(super) struct Target {
    pub route: &'static str,
    key: String,
    version: Option<String>,
}

/// The endpoint of `method path`, if the fleet has it.
pub(super) fn find(method: &Method, path: &str) -> Option<Target> {
    let (version, rest) = split_version(path);
    let decoded = percent_encoding::percent_decode_str(rest).decode_utf8_lossy();
    ROUTES.iter().find_map(|route| {
        let (verb, pattern) = route.split_once(' ')?;
        let key = if verb == method.as_str() { matched(pattern, &decoded)? } else { return None };
        Some(Target { route, key: key.to_owned(), version: version.map(str::to_owned) })
    })
}

fn split_version(path: &str) -> (Option<&str>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    match versioned {
        Some((version, rest)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            (Some(version), &path[path.len() - rest.len() - 1..])
        }
        _ => (None, path),
    }
}

fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some("");
    };
    let (what, after) = rest.split_once('}')?;
    let key = path.strip_prefix(before)?.strip_suffix(after)?;
    (!key.is_empty() && (what == "name" || !key.contains('/'))).then_some(key)
}

/// A decoded request, as the route functions want it.
#[derive(Debug)]
pub(super) struct Call {
    /// The object the path names; empty where it names none.
    pub key: String,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Docker's truth: anything but empty, `0`, `no`, `false`, `none`.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| {
            !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    pub fn json(&self) -> Result<Value, Refusal> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad(format!("invalid JSON: {error}")))
    }
}

/// Answers `request` for the endpoint `target`.
pub(super) async fn call(
    engine: &Arc<Engine>,
    target: Option<Target>,
    request: Request<Incoming>,
) -> Outcome {
    let Some(Target { route, key, version }) = target else {
        return Err(Refusal::not_found("page not found"));
    };
    if let Some(version) = version {
        check_version(engine, &version)?;
    }
    let query = form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes())
        .map(|(k, v): (Cow<'_, str>, Cow<'_, str>)| (k.into_owned(), v.into_owned()))
        .collect();
    if route == "POST /exec/{id}/start" {
        return exec::start(engine, &key, request);
    }
    let body = Limited::new(request.into_body(), BODY_LIMIT)
        .collect()
        .await
        .map_err(|error| Refusal::bad(format!("cannot read the body: {error}")))?
        .to_bytes();
    let call = Call { key, query, body };
    match route {
        "GET /_ping" | "HEAD /_ping" => Ok(system::ping()),
        "GET /version" => Ok(system::version(engine)),
        "GET /info" => Ok(system::info(engine)),
        "GET /events" => system::events(engine, &call),
        "GET /system/df" => Ok(system::disk_usage(engine)),
        "POST /auth" => Ok(system::auth()),
        "GET /plugins" => Ok(super::reply::ok("[]")),
        "GET /containers/json" => containers::list(engine, &call),
        "POST /containers/create" => containers::create(engine, &call),
        "POST /containers/prune" => Ok(containers::prune(engine)),
        "GET /containers/{id}/json" => containers::inspect(engine, &call),
        "GET /containers/{id}/logs" => containers::logs(engine, &call),
        "GET /containers/{id}/top" => containers::top(engine, &call),
        "POST /containers/{id}/start" => containers::start(engine, &call),
        "POST /containers/{id}/stop" => containers::stop(engine, &call),
        "POST /containers/{id}/restart" => containers::restart(engine, &call),
        "POST /containers/{id}/kill" => containers::kill(engine, &call),
        "POST /containers/{id}/pause" => containers::pause(engine, &call, true),
        "POST /containers/{id}/unpause" => containers::pause(engine, &call, false),
        "POST /containers/{id}/rename" => containers::rename(engine, &call),
        "POST /containers/{id}/update" => containers::update(engine, &call),
        "POST /containers/{id}/wait" => containers::wait(engine, &call),
        "POST /containers/{id}/exec" => exec::create(engine, &call),
        "DELETE /containers/{id}" => containers::remove(engine, &call),
        "POST /exec/{id}/resize" => exec::resize(engine, &call),
        "GET /exec/{id}/json" => exec::inspect(engine, &call),
        "GET /images/json" => images::list(engine, &call),
        "POST /images/create" => images::pull(engine, &call).await,
        "POST /images/prune" => Ok(images::prune()),
        "GET /images/{name}/json" => images::inspect(engine, &call),
        "GET /images/{name}/history" => images::history(engine, &call),
        "POST /images/{name}/tag" => images::tag(engine, &call),
        "DELETE /images/{name}" => images::remove(engine, &call),
        "GET /networks" => networks::list(engine, &call),
        "POST /networks/create" => networks::create(engine, &call),
        "POST /networks/prune" => Ok(networks::prune(engine)),
        "GET /networks/{id}" => networks::inspect(engine, &call),
        "POST /networks/{id}/connect" => networks::connect(engine, &call),
        "POST /networks/{id}/disconnect" => networks::disconnect(engine, &call),
        "DELETE /networks/{id}" => networks::remove(engine, &call),
        "GET /volumes" => volumes::list(engine, &call),
        "POST /volumes/create" => volumes::create(engine, &call),
        "POST /volumes/prune" => Ok(volumes::prune(engine)),
        "GET /volumes/{id}" => volumes::inspect(engine, &call),
        "DELETE /volumes/{id}" => volumes::remove(engine, &call),
        _ => Err(Refusal::not_found("page not found")),
    }
}

/// dockerd's check of the version prefix.
fn check_version(engine: &Engine, asked: &str) -> Result<(), Refusal> {
    let parse = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let wanted = parse(asked).ok_or_else(|| Refusal::not_found("page not found"))?;
    let (min, max) = (&engine.min_api_version, &engine.api_version);
    if Some(wanted) < parse(min) {
        return Err(Refusal::bad(format!(
            "client version {asked} is too old. Minimum supported API version is {min}, please upgrade your client to a newer version"
        )));
    }
    if Some(wanted) > parse(max) {
        return Err(Refusal::bad(format!(
            "client version {asked} is too new. Maximum supported API version is {max}"
        )));
    }
    Ok(())
}
