//! The listening side: how many clients there may be, and the end in order; those who wait for a
//! change are answered at once.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use swarm_listen::{Bounds, Door, Visit};
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::answer::{Answer, answer};

/// Longer than the heartbeat of most agents, so that a renewal costs no new connection and, above
/// all, no TLS handshake, which is ten times the renewal itself.
const IDLE: Duration = Duration::from_mins(6);
/// How long requests under way may go on at the end.
const DRAIN: Duration = Duration::from_secs(5);

struct Served {
    service: Arc<Service>,
    stopping: CancellationToken,
}

/// Serves until `shutdown` is cancelled and the connections have drained.
pub async fn serve(service: Arc<Service>, doors: Vec<Door>, shutdown: CancellationToken) {
    let connections = service.limits.connections.max(doors.len() + 1);
    let bounds = Bounds { connections, idle: IDLE, longest: None, drain: DRAIN };
    let served = Served { service: Arc::clone(&service), stopping: shutdown.clone() };
    let listening =
        swarm_listen::serve("tokens", doors, bounds, Arc::new(served), shutdown.clone());
    tokio::join!(listening, service.look_after(&shutdown));
}

impl swarm_listen::Service for Served {
    type Body = http_body_util::Full<bytes::Bytes>;

    async fn answer(&self, request: Request<Incoming>, visit: Visit) -> Answer {
        let mut answer = answer(&self.service, request, visit.from, &self.stopping).await;
        if visit.crowded {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
