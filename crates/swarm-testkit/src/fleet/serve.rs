//! Sockets and HTTP of one engine: accept, keep alive, count, show the fault, answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::control::{connection_closed, listener_closed, unless_silent};
use super::reply::{self, Reply};
use super::{Engine, Fault, Release, route};

/// Accepts until the engine is told to refuse.
pub(super) async fn listen(engine: Arc<Engine>, listener: TcpListener) {
    loop {
        let stream = tokio::select! {
            biased;
            () = listener_closed(engine.control.subscribe()) => return,
            accepted = listener.accept() => accepted,
        };
        match stream {
            Ok((stream, _)) => {
                tokio::spawn(connection(Arc::clone(&engine), stream));
            }
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back.
                tracing::warn!(address = %engine.address(), %error, "cannot accept");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(engine: Arc<Engine>, mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    engine.count_connection();
    engine.open.fetch_add(1, Ordering::Relaxed);
    let control = *engine.control.borrow();
    if control.fault == Fault::NotHttp {
        let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46SSH-2.0-nonsense\r\n\r\n").await;
    } else {
        let service = service_fn(|request| answer(Arc::clone(&engine), request));
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::select! {
            _ = connection => {}
            () = connection_closed(engine.control.subscribe(), control.connections) => {}
        }
    }
    engine.open.fetch_sub(1, Ordering::Relaxed);
}

async fn answer(engine: Arc<Engine>, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let mut control = engine.control.subscribe();
    let head = request.method() == http::Method::HEAD;
    let found = route::find(request.method(), request.uri().path());
    let route = found.as_ref().map_or("unknown", |target| target.route);
    engine.count(route);
    let trace = request.headers().get("traceparent").and_then(|text| text.to_str().ok());
    engine.traces.lock().insert(route, trace.map(str::to_owned));
    unless_silent(&mut control).await;
    let now = *control.borrow();
    if !now.delay.is_zero() {
        tokio::time::sleep(now.delay).await;
    }
    let mut reply = match now.fault {
        Fault::Inspect if route == "GET /containers/{id}/json" => {
            reply::refused(&reply::Refusal::server("simulated damaged container"))
        }
        Fault::Error => reply::refused(&reply::Refusal::server("simulated engine failure")),
        Fault::Garbage => reply::ok("{\"Id\": <<<garbage\u{0}"),
        _ => match route::call(&engine, found, request).await {
            Ok(reply) => reply,
            Err(refusal) => reply::refused(&refusal),
        },
    };
    // Silenced while it worked on the answer: the answer waits as well.
    unless_silent(&mut control).await;
    if head {
        *reply.body_mut() = reply::empty(StatusCode::OK).into_body();
    }
    let headers = reply.headers_mut();
    if let Ok(version) = HeaderValue::from_str(&engine.api_version) {
        headers.insert("Api-Version", version);
    }
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert(
        header::SERVER,
        HeaderValue::from_static(match engine.release {
            Release::Docker20 => "Docker/20.10.24 (linux)",
            Release::Docker28 => "Docker/28.5.2 (linux)",
        }),
    );
    Ok(reply)
}
