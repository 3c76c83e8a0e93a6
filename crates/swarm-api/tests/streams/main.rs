//! Bodies and raw connections: back-pressure, half-closes, clients that go away, shutdown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bodies;
mod ends;
#[path = "../fake/mod.rs"]
mod fake;
mod upgrades;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{Body, BoxError, Reply};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(10);

fn streaming(body: Body) -> Reply {
    Reply { status: StatusCode::OK, headers: HeaderMap::new(), body, upgraded: None }
}

/// A body that never says anything; `dropped` turns true with its end.
fn silent(dropped: Arc<AtomicBool>) -> Body {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = Flag(dropped);
    let frames = stream::once(async move {
        std::future::pending::<()>().await;
        drop(flag);
        Ok::<_, BoxError>(Frame::data(Bytes::new()))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn eventually(what: &AtomicBool) {
    timeout(PATIENCE, async {
        while !what.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}
