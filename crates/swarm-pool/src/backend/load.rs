//! `POST /images/load`: one archive to every engine at once.
//!
//! The archive is never held: it passes through in chunks, as fast as the slowest engine takes them.
//! One that fails is told at the end and holds up nobody.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use swarm_backend::{ApiError, Body, Effect, Exchange, Reply, Result};
use swarm_docker::Query;
use swarm_docker::jsonmessage::Message;

use super::progress::{Shown, Telling, merged};
use super::spread::spread;
use super::{apart, deadline};
use crate::Pool;
use crate::engine::Engine;
use swarm_engine::Outgoing;

impl Pool {
    pub(super) async fn load(&self, exchange: Exchange) -> Result<Reply> {
        // `POST /images/load` (API 1.23 and up) is quiet unless it is told not to be; so is `docker load` into a pipe.
        let quiet = !matches!(exchange.query.get("quiet"), Some("0" | "false" | "False" | ""));
        let (body, like) = apart(exchange);
        let telling = Telling {
            doing: "Loading image...".to_owned(),
            done: "loaded",
            task: "loading the image".to_owned(),
            last: None,
            shown: if quiet { Shown::Results } else { Shown::All },
        };
        let engines = self.members.reachable();
        merged(&engines, telling, loading(&engines, body, like)).await
    }
}

/// Sends each engine its copy of the archive.
fn loading(
    engines: &[Arc<Engine>],
    archive: Body,
    like: impl Fn(Body) -> Exchange,
) -> impl FnMut(Arc<Engine>) -> BoxFuture<'static, Result<Reply>> {
    let mut copies = spread(archive, engines.len()).into_iter();
    move |engine| {
        let exchange = like(copies.next().unwrap_or_else(swarm_backend::empty));
        let path = exchange.path.with("");
        let request = Outgoing::of(exchange, &path);
        Box::pin(async move { engine.send(request, deadline(Effect::Streams)).await })
    }
}

/// Brings an image from the engine that has it to `others`, without a stop in between; `last` is
/// said at the end.
pub(super) async fn copy_image(
    from: &Engine,
    others: &[Arc<Engine>],
    image: &str,
    last: Message,
) -> Result<Reply> {
    let mut names = Query::default();
    names.set("names", image);
    let saved =
        from.send(swarm_engine::Outgoing::get(format!("/images/get?{}", names.encode())), None);
    let saved = saved.await?;
    if !saved.status.is_success() {
        super::document(saved).await?;
        return Err(ApiError::system("an unexpected answer"));
    }
    let telling = Telling {
        doing: format!("Copying from {}...", from.label()),
        done: "imported",
        task: format!("copying {image} from {}", from.label()),
        last: Some(last),
        shown: Shown::Nothing,
    };
    let like = |body| {
        let mut exchange = Exchange::get("/images/load");
        exchange.method = http::Method::POST;
        let tar = http::HeaderValue::from_static("application/x-tar");
        exchange.headers.insert(http::header::CONTENT_TYPE, tar);
        exchange.query.set("quiet", "1");
        exchange.body = body;
        exchange
    };
    merged(others, telling, loading(others, saved.body, like)).await
}
