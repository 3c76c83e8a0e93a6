//! `POST /images/create`: pull on every engine at once, import once for all.
//!
//! A pull may be narrowed by `constraints=` (`node==a`, `storage==ssd`), the parameter that classic
//! Swarm's later releases take. An import gets its id from the moment it is made, so it is made on
//! one engine and copied to the others: it is one image everywhere. Registry credentials pass in
//! their header and are kept for the containers made from the image (`credentials`).

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use swarm_backend::{ApiError, Effect, Exchange, Reply, Result, full};
use swarm_core::placement::expr::Expr;
use swarm_docker::jsonmessage::Message;
use swarm_docker::{Query, Reference};
use swarm_engine::Outgoing;

use super::load::copy_image;
use super::progress::{Messages, Shown, Telling, merged};
use super::{Copied, deadline, document};
use crate::Pool;
use crate::engine::{Engine, Identity, Mark};

/// The header with which a client lends its credentials for one registry.
const REGISTRY_AUTH: &str = "x-registry-auth";

impl Pool {
    pub(super) async fn pull(&self, exchange: Exchange) -> Result<Reply> {
        let mut request = Copied::read(exchange).await?;
        let name = request.query.get("fromImage").unwrap_or_default();
        let tag = request.query.get("tag").unwrap_or_default();
        let reference = Reference::with_tag(name, tag)?;
        let engines = self.constrained(&request.query)?;
        request.query.remove("constraints");
        let telling = Telling {
            doing: format!("Pulling {reference}..."),
            done: "downloaded",
            task: format!("pulling {reference}"),
            last: None,
            shown: Shown::All,
        };
        if let Some(lent) = request.headers.get(REGISTRY_AUTH).and_then(|lent| lent.to_str().ok()) {
            self.shared.credentials.note(&reference.to_string(), lent);
        }
        let request = Arc::new(request);
        merged(&engines, telling, |engine| {
            let request = Arc::clone(&request);
            async move { request.send(&engine, "", Effect::Streams).await }
        })
        .await
    }

    /// The engines that meet the request's `constraints`.
    fn constrained(&self, query: &Query) -> Result<Vec<Arc<Engine>>> {
        let mut wanted = Vec::new();
        for text in query.all("constraints").filter(|text| !text.is_empty()) {
            let text = text.strip_prefix("constraint:").unwrap_or(text);
            let expr = Expr::parse(text)
                .map_err(|error| ApiError::invalid(format!("invalid constraint {error}")))?;
            wanted.push(expr);
        }
        let mut engines = self.members.reachable();
        if wanted.is_empty() || engines.is_empty() {
            return Ok(engines);
        }
        engines.retain(|engine| {
            let view = engine.view();
            view.identity.as_ref().is_some_and(|identity| {
                wanted.iter().all(|expr| expr.is_soft() || meets(identity, expr))
            })
        });
        if engines.is_empty() {
            let texts: Vec<_> = wanted.iter().map(Expr::to_string).collect();
            return Err(ApiError::conflict(format!(
                "no reachable node meets the constraints {}",
                texts.join(", ")
            )));
        }
        Ok(engines)
    }

    pub(super) async fn import(&self, exchange: Exchange) -> Result<Reply> {
        let mut exchange = exchange;
        let engines = self.constrained(&exchange.query)?;
        exchange.query.remove("constraints");
        let name = match exchange.query.get("repo").filter(|repo| !repo.is_empty()) {
            Some(repo) => {
                let tag = exchange.query.get("tag").unwrap_or_default();
                Some(Reference::with_tag(repo, tag)?.or_latest().to_string())
            }
            None => None,
        };
        let (first, others) = engines.split_first().ok_or_else(crate::fanout::nobody)?;
        let reply = first.forward(exchange, "", deadline(Effect::Streams)).await?;
        let imported = read_progress(reply).await;
        first.wrote(Mark::Images);
        let id = imported.map_err(|error| ApiError {
            class: error.class,
            message: format!("{}: {}", first.label(), error.message),
        })?;
        // The last line of an import is the new image's id.
        let id = id.unwrap_or_default();
        tracing::debug!(%id, engine = %first.label(), "imported");
        let last = Message { status: Some(id.clone()), ..Message::default() };
        if others.is_empty() {
            return Ok(Reply::json(StatusCode::OK, last.to_line()));
        }
        copy_image(first, others, name.as_deref().unwrap_or(&id), last).await
    }

    /// Pulls one image on one engine and waits for the end of it.
    pub(super) async fn pull_on(
        &self,
        engine: &Engine,
        reference: &str,
        headers: &HeaderMap,
        platform: Option<&str>,
    ) -> Result<()> {
        let reference = Reference::parse(reference)?.or_latest();
        let mut query = Query::default();
        query.set("fromImage", reference.familiar_name());
        let tag = reference.digest.as_deref().or(reference.tag.as_deref());
        query.set("tag", tag.unwrap_or_default());
        if let Some(platform) = platform.filter(|platform| !platform.is_empty()) {
            query.set("platform", platform);
        }
        let mut lent = HeaderMap::new();
        if let Some(auth) = headers.get(REGISTRY_AUTH) {
            let mut auth = auth.clone();
            auth.set_sensitive(true);
            lent.insert(REGISTRY_AUTH, auth);
        }
        let outgoing = Outgoing {
            method: Method::POST,
            path_and_query: format!("/images/create?{}", query.encode()),
            version: None,
            headers: lent,
            body: full(""),
            upgrade: None,
        };
        let reply = engine.send(outgoing, deadline(Effect::Streams)).await?;
        let pulled = read_progress(reply).await;
        engine.wrote(Mark::Images);
        pulled.map(drop)
    }
}

fn meets(identity: &Identity, expr: &Expr) -> bool {
    match expr.key() {
        "node" => expr.matches([identity.id.as_str(), identity.name.as_str()]),
        key => {
            let own = (key == "name").then_some(identity.name.as_str());
            let label = identity.labels.get(key).map(String::as_str);
            expr.matches([label.or(own).unwrap_or_default()])
        }
    }
}

/// Reads a progress stream to its end; the error told in it, or its last status.
async fn read_progress(reply: Reply) -> Result<Option<String>> {
    if !reply.status.is_success() {
        document(reply).await?;
        return Err(ApiError::system("an unexpected answer"));
    }
    let mut messages = Messages::of(reply.body);
    let mut last = None;
    while let Some(message) = messages.next().await? {
        if let Some(words) = message.failure() {
            return Err(ApiError::engine(500, words));
        }
        last = message.status.or(last);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_told_in_the_stream_is_an_error() {
        let reply = |text: &'static str| Reply::json(StatusCode::OK, text);
        let good = "{\"status\":\"Pulling\",\"id\":\"a\"}\r\n{\"status\":\"sha256:abc\"}\r\n";
        assert_eq!(read_progress(reply(good)).await.unwrap().as_deref(), Some("sha256:abc"));
        let bad = "{\"status\":\"Pulling\"}\n{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"x\"}\n";
        assert_eq!(read_progress(reply(bad)).await.unwrap_err().message, "denied");
        let refused = Reply::json(StatusCode::NOT_FOUND, "{\"message\":\"manifest unknown\"}");
        let error = read_progress(refused).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.message.as_str()), (404, "manifest unknown"));
    }
}
