//! The gate before a change: asked when the connection is there, and nothing is written past it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use swarm_docker::ApiError;
use swarm_engine::{ClientOptions, EngineError, Gate, Outgoing};
use tokio::io::AsyncWriteExt;

use crate::script::{LONG, Script, head};

#[tokio::test]
async fn a_closed_gate_lets_reads_pass_and_nothing_else() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    let script = Script::new(move |mut stream, _| {
        let counter = Arc::clone(&counter);
        async move {
            while head(&mut stream).await.is_some() {
                counter.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    let gate = Gate::new(move || {
        let closed = || ApiError::unavailable("not the primary");
        is_open.load(Ordering::SeqCst).then_some(()).ok_or_else(closed)
    });
    let client = script.client_with(ClientOptions { gate: Some(gate), ..ClientOptions::default() });
    let request = |method: &Method, upgrade: Option<&str>| Outgoing {
        method: method.clone(),
        upgrade: upgrade.map(str::to_owned),
        ..Outgoing::get("/containers/x/start")
    };
    let kinds = [
        (Method::POST, None),
        (Method::DELETE, None),
        (Method::POST, Some("tcp")),
        (Method::GET, Some("websocket")),
    ];
    for (method, upgrade) in &kinds {
        client.send(request(method, *upgrade), Some(LONG)).await.unwrap();
    }
    assert_eq!(heard.swap(0, Ordering::SeqCst), kinds.len());
    // It closes while a connection is kept, and stays closed for new ones.
    open.store(false, Ordering::SeqCst);
    for (method, upgrade) in &kinds {
        let error = client.send(request(method, *upgrade), Some(LONG)).await.unwrap_err();
        assert!(matches!(error, EngineError::Barred(_)) && !error.is_connection(), "{error}");
        assert_eq!(error.to_api("e"), ApiError::unavailable("not the primary"));
    }
    client.send(request(&Method::GET, None), Some(LONG)).await.unwrap();
    client.send(request(&Method::HEAD, None), Some(LONG)).await.unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 2, "only the reads were written");
}
