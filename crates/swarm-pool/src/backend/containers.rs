//! Requests about one container, on the engine that has it; and prune, on all.

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use swarm_backend::{ApiError, Containers, Effect, Exchange, Reply, Result};
use swarm_docker::names;
use swarm_model::{Desired, Intent};

use super::prune::united;
use super::{deadline, document, read_whole};
use crate::Pool;
use crate::engine::Mark;
use crate::scope::PoolIds;

#[async_trait]
impl Containers for Pool {
    async fn list_containers(&self, exchange: Exchange) -> Result<Reply> {
        self.list(exchange).await
    }

    async fn create_container(&self, exchange: Exchange) -> Result<Reply> {
        self.create(exchange).await
    }

    async fn inspect_container(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let (engine, located) = self.container(name).await?;
        let reply = engine.forward(exchange, &located.id, deadline(Effect::Reads)).await?;
        let body = document(reply).await?;
        // A network brought here for this very container must be known to be shown by its one id.
        engine.settle().await;
        let view = engine.view();
        let Some(identity) = &view.identity else { return Err(engine.unusable()) };
        let body = PoolIds::of(view.networks.iter().map(|network| &**network)).shown_bytes(body);
        let body = swarm_docker::container::inspect::with_node(&body, &identity.node)
            .map_err(|error| ApiError::system(format!("engine {}: {error}", identity.name)))?;
        Ok(Reply::json(StatusCode::OK, body))
    }

    async fn rename_container(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let new_name = exchange.query.get("name").unwrap_or_default().trim_start_matches('/');
        names::check(new_name)?;
        let (engine, located) = self.container(name).await?;
        if located.container.as_ref().is_some_and(|known| known.names().any(|own| own == new_name))
        {
            // Its own name: the engine refuses that, in words that say so.
            return engine.forward(exchange, &located.id, deadline(Effect::Changes)).await;
        }
        let guard = self.reserve_name(new_name)?;
        let new_name = new_name.to_owned();
        let reply = engine.forward(exchange, &located.id, deadline(Effect::Changes)).await?;
        if !reply.status.is_success() {
            return Ok(reply);
        }
        // The new name stays held until it has been read back, so that nobody gets it between.
        let number = engine.wrote(Mark::Container(located.id.to_string()));
        self.shared.index.alias(&located.id, &new_name);
        let named = new_name.clone();
        let kept = self.asked(&located, |intent| intent.name = named).await;
        tokio::spawn(async move {
            engine.settle_upto(number).await;
            drop(guard);
        });
        kept.map(|()| reply)
    }

    async fn create_exec(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.exec_create(name, exchange).await
    }

    async fn forward_container(
        &self,
        name: &str,
        exchange: Exchange,
        effect: Effect,
    ) -> Result<Reply> {
        let removes = exchange.method == http::Method::DELETE && exchange.path.after.is_empty();
        let (engine, located) = match self.container(name).await {
            Ok(found) => found,
            Err(error) => match self.lost_container(name).filter(|_| removes) {
                Some(intent) if forced(&exchange) => {
                    self.remove_lost(&intent).await?;
                    return Ok(Reply::no_content());
                }
                Some(intent) => {
                    let mut error = Self::lost_words(&intent);
                    error.message.push_str("; docker rm -f gives it up");
                    return Err(error);
                }
                None => return Err(error),
            },
        };
        let _turn = removes.then(|| self.take_turn(&located)).flatten();
        let (exchange, wish) = Wanted::read(exchange).await?;
        let reply = engine.forward(exchange, &located.id, deadline(effect)).await?;
        if effect == Effect::Changes {
            let done = reply.status.is_success() || reply.status == StatusCode::NOT_MODIFIED;
            let mut kept = Ok(());
            if removes && reply.status.is_success() {
                self.shared.index.forget(engine.key(), &located.id);
                kept = self.unwanted(&located).await;
            }
            engine.wrote(Mark::Container(located.id.to_string()));
            kept?;
            if let Some(wish) = wish.filter(|_| done) {
                self.asked(&located, |intent| wish.note(intent)).await?;
            }
        }
        Ok(reply)
    }

    async fn forward_exec(&self, id: &str, exchange: Exchange, effect: Effect) -> Result<Reply> {
        self.exec_forward(id, exchange, effect).await
    }

    async fn prune_containers(&self, exchange: Exchange) -> Result<Reply> {
        Reply::ok(&united(self.prune(exchange, [], Some(Mark::Containers)).await?))
    }

    async fn commit_container(&self, exchange: Exchange) -> Result<Reply> {
        let name = exchange.query.get("container").unwrap_or_default().to_owned();
        let (engine, located) = self.container(&name).await?;
        let mut exchange = exchange;
        exchange.query.set("container", &*located.id);
        let reply = engine.forward(exchange, "", deadline(Effect::Changes)).await?;
        engine.wrote(Mark::Images);
        Ok(reply)
    }
}

/// `docker rm -f`.
fn forced(exchange: &Exchange) -> bool {
    matches!(exchange.query.get("force"), Some("1" | "true" | "True"))
}

/// What a request wants of its container beyond the moment.
enum Wanted {
    Is(Desired),
    /// The body of an update.
    Updated(Bytes),
}

impl Wanted {
    /// Reads it from a request on its way to the engine. Killing with a signal may end a container
    /// or not: what comes of it is seen, not guessed.
    async fn read(exchange: Exchange) -> Result<(Exchange, Option<Self>)> {
        if exchange.method != http::Method::POST {
            return Ok((exchange, None));
        }
        let wanted = match exchange.path.after.as_str() {
            "/start" | "/restart" => Some(Self::Is(Desired::Running)),
            "/stop" => Some(Self::Is(Desired::Stopped)),
            "/update" => {
                let mut exchange = exchange;
                let body = std::mem::replace(&mut exchange.body, swarm_backend::empty());
                let body = read_whole(body).await?;
                exchange.body = swarm_backend::full(body.clone());
                return Ok((exchange, Some(Self::Updated(body))));
            }
            _ => None,
        };
        Ok((exchange, wanted))
    }

    fn note(self, intent: &mut Intent) {
        match self {
            Self::Is(desired) => intent.desired = desired,
            Self::Updated(body) => Pool::updated(intent, &body),
        }
    }
}
