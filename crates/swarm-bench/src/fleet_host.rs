//! The fleet's own process, steered over a small HTTP API on loopback.
//!
//! It prints one line of JSON with the address of that API when every engine listens,
//! and ends when its standard input closes: it never outlives who started it.
//!
//! | request | effect |
//! |---|---|
//! | `GET /stats` | containers, event streams, connections, requests by route |
//! | `GET /engine?n=3` | one engine's address, name, counts and containers |
//! | `POST /reset` | forgets the request counts |
//! | `POST /fault?n=3&fault=silent` | `none`, `silent`, `error`, `garbage`, `nothttp` |
//! | `POST /refuse` `/stop` `/resume` `/close` `/cut` `?n=3` | listener, connections, event streams |
//! | `POST /delay?n=3&ms=50`, `POST /skew?n=3&ms=-5000` | slowness, clock |
//! | `POST /emit?first=0&count=1000&rate=20000` | synthetic events; answers when they are out |
//!
//! `n=all` means every engine.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use swarm_testkit::fleet::{Engine, Fault, Fleet, FleetConfig, Release};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::cli::Shape;

/// Serves the fleet until standard input closes.
pub async fn serve(shape: &Shape) -> Result<()> {
    let config = FleetConfig {
        engines: shape.engines,
        first: shape.first,
        containers_per_engine: shape.containers,
        running: shape.running.unwrap_or(usize::MAX),
        manager_labels: shape.manager_labels,
        base: Some(shape.place.base),
        port: shape.place.port,
        release: if shape.docker28 { Release::Docker28 } else { Release::Docker20 },
        ..FleetConfig::default()
    };
    let fleet = Arc::new(Fleet::start(config).await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "control": listener.local_addr()?.to_string() }));
    let mut sink = Vec::new();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        end = stdin.read_to_end(&mut sink) => end.map(drop).context("standard input"),
        () = control(&listener, &fleet) => Ok(()),
    }
}

async fn control(listener: &TcpListener, fleet: &Arc<Fleet>) {
    while let Ok((stream, _)) = listener.accept().await {
        let fleet = Arc::clone(fleet);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&fleet), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A driver that hangs up has nothing more to say.
            let _ = connection.await;
        });
    }
}

async fn answer(
    fleet: Arc<Fleet>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match act(&fleet, &request).await {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "message": format!("{error:#}") })),
    };
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = status;
    Ok(reply)
}

/// The query of a control request.
struct Query(Vec<(String, String)>);

impl Query {
    fn text(&self, key: &str) -> Result<&str> {
        let found = self.0.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str()).with_context(|| format!("{key}= is missing"))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        let text = self.text(key)?;
        text.parse().ok().with_context(|| format!("{key}={text} is not a number it can take"))
    }

    fn engines<'a>(&self, fleet: &'a Fleet) -> Result<&'a [Arc<Engine>]> {
        if self.text("n")? == "all" {
            return Ok(fleet.engines());
        }
        let index: usize = self.number("n")?;
        fleet.engines().get(index..=index).with_context(|| format!("no engine {index}"))
    }
}

async fn act(fleet: &Fleet, request: &Request<Incoming>) -> Result<Value> {
    let query = form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes());
    let query = Query(query.into_owned().collect());
    let each = |act: &dyn Fn(&Arc<Engine>)| -> Result<Value> {
        query.engines(fleet)?.iter().for_each(act);
        Ok(json!({}))
    };
    match (request.method().as_str(), request.uri().path()) {
        ("GET", "/stats") => Ok(stats(fleet)),
        ("GET", "/engine") => {
            let engine = query.engines(fleet)?.first().context("an empty fleet")?;
            Ok(json!({
                "address": engine.address().to_string(), "name": engine.name(),
                "id": engine.id(), "requests": engine.requests(),
                "connections": engine.connections(), "accepted": engine.accepted(),
                "containers": engine.container_names()
            }))
        }
        ("POST", "/reset") => {
            fleet.reset_requests();
            Ok(json!({}))
        }
        ("POST", "/fault") => {
            let fault = match query.text("fault")? {
                "none" => Fault::None,
                "silent" => Fault::Silent,
                "error" => Fault::Error,
                "garbage" => Fault::Garbage,
                "inspect" => Fault::Inspect,
                "nothttp" => Fault::NotHttp,
                other => bail!("no fault is called {other}"),
            };
            each(&|engine| engine.fault(fault))
        }
        ("POST", "/refuse") => each(&|engine| engine.refuse()),
        ("POST", "/stop") => each(&|engine| engine.stop()),
        ("POST", "/close") => each(&|engine| engine.close_connections()),
        ("POST", "/cut") => each(&|engine| engine.cut_events()),
        ("POST", "/resume") => {
            for engine in query.engines(fleet)? {
                engine.resume()?;
            }
            Ok(json!({}))
        }
        ("POST", "/delay") => {
            let delay = Duration::from_millis(query.number("ms")?);
            each(&|engine| engine.delay(delay))
        }
        ("POST", "/skew") => {
            let millis: i64 = query.number("ms")?;
            each(&|engine| engine.skew(millis))
        }
        ("POST", "/emit") => {
            let start = std::time::Instant::now();
            let (first, count): (usize, usize) = (query.number("first")?, query.number("count")?);
            fleet.emit_events(first..first + count, query.number("rate")?).await;
            Ok(json!({ "seconds": start.elapsed().as_secs_f64() }))
        }
        (method, path) => bail!("no such request: {method} {path}"),
    }
}

fn stats(fleet: &Fleet) -> Value {
    let (all, running) = fleet.containers();
    let connections: usize = fleet.engines().iter().map(|engine| engine.connections()).sum();
    json!({
        "engines": fleet.engines().len(), "containers": all, "running": running,
        "event_streams": fleet.event_streams(), "connections": connections,
        "requests": fleet.requests()
    })
}
