//! Where the page is served, and the end in order: streams end at once.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use swarm_backend::Body;
use swarm_listen::{Bounds, Visit};
use tokio_util::sync::CancellationToken;

use crate::Backend;
use crate::feed::{self, Feed};
use crate::guard::Guard;
use crate::route::Page;
use crate::writes::Key;

/// Each page holds one connection or two.
const BOUNDS: Bounds = Bounds {
    connections: 512,
    idle: Duration::from_mins(1),
    longest: None,
    drain: Duration::from_secs(2),
};

/// Where the page is served.
#[derive(Debug)]
pub struct Door {
    /// Where clients arrive, and with what identity.
    pub place: swarm_listen::Door,
    /// Who is let in.
    pub guard: Guard,
    /// Whether who is let in may change something.
    pub writes: bool,
}

/// Serves until `shutdown` is cancelled and the connections have ended.
pub async fn serve(door: Door, backend: Backend, shutdown: CancellationToken) {
    let writes = door.writes.then(Key::new);
    let feed = Feed::new(Arc::clone(&backend.sight), writes.as_ref().map(Key::text));
    let stop = shutdown.clone();
    let page = Page { backend, feed: Arc::clone(&feed), guard: door.guard, writes, stop };
    let doors = vec![door.place];
    let listening =
        swarm_listen::serve("the page", doors, BOUNDS, Arc::new(page), shutdown.clone());
    tokio::join!(listening, feed::run(feed, shutdown));
}

impl swarm_listen::Service for Page {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, visit: Visit) -> Response<Body> {
        Page::answer(self, request, visit.from).await
    }
}
