//! Routes of the system as a whole, and the answer to `/_ping`.
//!
//! `/_ping` and `/info` speak of the manager asked, so each of several answers them itself, as in
//! classic Swarm.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use swarm_backend::{Backend, Reply, full};

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::served("GET", "/_ping", |b, _, _| Box::pin(async move { Ok(ping(b)) })).own(),
    Route::served("HEAD", "/_ping", |b, _, _| Box::pin(async move { Ok(ping(b)) })).since(40).own(),
    Route::served("GET", "/version", |b, _, x| b.version(x)),
    Route::served("GET", "/info", |b, _, x| b.info(x)).note("the cluster's").own(),
    Route::fanned_out("GET", "/events", |b, _, x| b.events(x))
        .note("every engine's, merged, with node attributes"),
    Route::fanned_out("GET", "/system/df", |b, _, x| b.disk_usage(x)).since(25),
    Route::forwarded("POST", "/auth", |b, _, x| b.auth(x))
        .control()
        .note("one engine asks the registry"),
];

/// `/_ping` (API v1.24; the headers since v1.40): what the CLI negotiates its version, builder and
/// swarm role from. It answers as long as this process lives, whatever the engines do.
fn ping(backend: &dyn Backend) -> Reply {
    let mut headers = HeaderMap::new();
    let builder = backend.builder_version();
    headers.insert("builder-version", HeaderValue::from_static(builder.as_str()));
    let part = backend.swarm().map(swarm_backend::SwarmMode::swarm_part).unwrap_or_default();
    headers.insert("swarm", HeaderValue::from_static(part.as_str()));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    let body = full(Bytes::from_static(b"OK"));
    Reply { status: StatusCode::OK, headers, body, upgraded: None }
}
