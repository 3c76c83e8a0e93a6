//! `POST /containers/create`: a name, a place, a reservation, then the engine.
//!
//! Order matters: the name is held before anything is pulled; the reservation is held from the
//! decision until the engine's answer has been read back; and a create whose outcome is unknown
//! (the engine vanished) leaves a note, so that a twin made by it is removed when it returns.

mod tied;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use swarm_backend::{ApiError, Exchange, Reply, Result, full};
use swarm_core::placement::cpu;
use swarm_core::placement::extract::set_swarm_id;
use swarm_core::placement::node::NodeId;
use swarm_core::placement::request::{ImageAffinity, Request};
use swarm_docker::container::CreateBody;
use swarm_docker::{ApiVersion, ErrorClass, Query, names};
use swarm_model::intent::LABEL_GENERATION;
use tracing::{info, warn};

use super::{document, random_id, read_whole};
use crate::Pool;
use crate::engine::{CHANGE_DEADLINE, Engine, Mark, post_json};
use crate::index::NameGuard;
use crate::keeper::follow_volumes_of;

/// A create as the client asked for it, or as the pool makes it anew.
pub(crate) struct Wish {
    pub name: String,
    pub swarm_id: String,
    /// Counts the attempts to make it, see `swarm_model::intent`.
    pub generation: u64,
    pub query: Query,
    pub version: Option<ApiVersion>,
    pub headers: HeaderMap,
    pub body: CreateBody,
}

/// One attempt's failure, and on which engine.
struct Failure {
    engine: Option<NodeId>,
    error: ApiError,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { engine: None, error }
    }
}

impl Pool {
    pub(super) async fn create(&self, exchange: Exchange) -> Result<Reply> {
        let created = self.create_wished(exchange).await;
        self.shared.metrics.created(created.as_ref().err());
        created
    }

    async fn create_wished(&self, exchange: Exchange) -> Result<Reply> {
        let Exchange { query, version, headers, body, .. } = exchange;
        let mut body = CreateBody::parse(&read_whole(body).await?)?;
        let (name, _held) = self.hold_name(query.get("name").unwrap_or_default()).await?;
        let swarm_id = random_id();
        let mut request = Request::default();
        body.edit(|body| {
            request = Request::from_create_body(&name, body)
                .map_err(|error| ApiError::invalid(error.to_string()))?;
            set_swarm_id(body, &swarm_id);
            Ok::<_, ApiError>(())
        })?;
        self.tie(&body, &mut request).await;
        let mut wish = Wish { name, swarm_id, generation: 1, query, version, headers, body };
        if !self.has_image(&request.image) {
            // It may have been committed, built or loaded through here an instant ago.
            self.settle_all().await;
        }
        // Until the client has his answer, nobody else does anything about it.
        let _turn = self.shared.keeping.attempts.join(&wish.swarm_id);
        let mut tries_left = self.shared.config.create_retries;
        loop {
            match self.create_once(&wish, &request).await {
                Ok(answer) => return Ok(Reply::json(StatusCode::CREATED, answer)),
                Err(failure) => {
                    self.prepare_retry(&mut request, failure, &mut tries_left)?;
                    // Should the first attempt have made one after all, it is the stale one.
                    wish.generation += 1;
                }
            }
        }
    }

    /// The name to use, held: the client's, or one made here, because it must be unique over the
    /// pool and an engine knows only its own.
    async fn hold_name(&self, wished: &str) -> Result<(String, NameGuard)> {
        let wished = wished.trim_start_matches('/');
        if !wished.is_empty() {
            names::check(wished)?;
            if let Ok(guard) = self.reserve_name(wished) {
                return Ok((wished.to_owned(), guard));
            }
            // Its owner may have been removed an instant ago.
            self.settle_all().await;
            return Ok((wished.to_owned(), self.reserve_name(wished)?));
        }
        for attempt in 0.. {
            let name = names::generate(|below| rand::random_range(0..below.max(1)), attempt);
            if let Ok(guard) = self.reserve_name(&name) {
                return Ok((name, guard));
            }
        }
        Err(ApiError::system("no free name was found"))
    }

    /// Holds a name that no container has, those included whose engine is away.
    pub(super) fn reserve_name(&self, name: &str) -> Result<NameGuard> {
        let guard = self.shared.index.reserve(name)?;
        if self.moved_container(name).is_some_and(|id| self.find_container(&id).is_ok()) {
            return Err(ApiError::conflict(format!(
                "the container name \"/{name}\" is in use by a container that is being moved"
            )));
        }
        // A making that failed lets go of the name for a moment, and is tried again.
        if let Some(intent) = self.coming_container(name) {
            return Err(ApiError::conflict(format!(
                "the container name \"/{name}\" is in use by a container that is not there yet ({})",
                Self::lost_words(&intent).message
            )));
        }
        match self.lost_container(name) {
            None => Ok(guard),
            Some(intent) => Err(ApiError::conflict(format!(
                "the container name \"/{name}\" is in use by a container that cannot be asked \
                 ({}); remove it with docker rm -f {name} to use the name again",
                Self::lost_words(&intent).message
            ))),
        }
    }

    /// Decides whether a failed create is tried again, and with what request.
    ///
    /// As classic Swarm does: an image that could not be had where the container was placed is
    /// looked for where it is (unless the client named the node); other failures of an engine are
    /// tried `swarm.createretry` times. What is the client's own mistake is never tried again.
    fn prepare_retry(
        &self,
        request: &mut Request,
        failure: Failure,
        tries_left: &mut u32,
    ) -> Result<()> {
        let Failure { engine: Some(engine), error } = failure else {
            return Err(failure.error);
        };
        if is_missing_image(&error) {
            let elsewhere = request.image_affinity != ImageAffinity::Hard
                && !request.is_pinned()
                && self.has_image(&request.image);
            if !elsewhere {
                return Err(error);
            }
            warn!(container = request.subject(), %error, "placing it where its image is");
            request.image_affinity = ImageAffinity::Hard;
            return Ok(());
        }
        let engines_fault = match error.class {
            ErrorClass::Engine(status) => status >= 500,
            class => class.status().is_server_error(),
        };
        if !engines_fault || *tries_left == 0 {
            return Err(error);
        }
        *tries_left -= 1;
        warn!(container = request.subject(), %error, "create failed; trying another engine");
        request.tried.push(engine);
        Ok(())
    }

    async fn create_once(
        &self,
        wish: &Wish,
        request: &Request,
    ) -> std::result::Result<Bytes, Failure> {
        let placed = self.place(request).await?;
        let node = placed.node;
        let gone = || ApiError::unavailable(format!("node {node} left the pool"));
        let engine = self.members.get(placed.engine).ok_or_else(gone)?;
        let policy = request.reschedule.unwrap_or(self.shared.config.reschedule.policy);
        let at = engine.reference().ok_or_else(|| engine.unusable())?;
        self.intend(wish, policy, at.clone()).await?;
        match self.create_on(&engine, wish, request).await {
            Ok((id, answer)) => {
                info!(container = %wish.name, id, engine = %engine.label(),
                      reason = placed.reason, "created");
                self.shared.placed.note(&id, &placed.reason);
                self.shared.index.announce(engine.key(), &id, &wish.name);
                let number = engine.wrote(Mark::Container(id.clone()));
                placed.hold.until_read(number);
                self.intended(wish, policy, at, &id).await;
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    engine.read_back(number).await;
                    shared.index.forget_unread(engine.key(), &id);
                    let found = shared.index.find(&id, |_| Vec::new());
                    if let Some(made) = found.ok().and_then(|found| found.container) {
                        follow_volumes_of(&shared.state, &made, &engine.view());
                    }
                });
                Ok(answer)
            }
            Err(error) => {
                if matches!(error.class, ErrorClass::Engine(_)) {
                    self.unintend(wish);
                } else {
                    // It is not known whether the engine made it: a noted intent stays until its
                    // engine can be asked.
                    self.shared.orphans.add(&wish.swarm_id, engine.key());
                    self.keep_as_removed(wish, policy, at);
                    engine.wrote(Mark::Containers);
                }
                Err(Failure { engine: Some(node), error })
            }
        }
    }

    /// Creates a container that the pool makes anew: its image is pulled where it is missing, whether
    /// another engine has it or not. The new container's id.
    pub(crate) async fn create_anew(
        &self,
        engine: &Arc<Engine>,
        wish: &Wish,
        request: &Request,
    ) -> Result<String> {
        match self.create_on(engine, wish, request).await {
            Err(error) if is_missing_image(&error) => {
                let platform = wish.query.get("platform");
                self.pull_on(engine, &request.image, &wish.headers, platform).await?;
                self.create_on(engine, wish, request).await.map(|(id, _)| id)
            }
            outcome => outcome.map(|(id, _)| id),
        }
    }

    async fn create_on(
        &self,
        engine: &Arc<Engine>,
        wish: &Wish,
        request: &Request,
    ) -> Result<(String, Bytes)> {
        let view = engine.view();
        let Some(identity) = view.identity.clone() else { return Err(engine.unusable()) };
        let mut body = wish.body.clone();
        body.edit(|body| {
            cpu::rewrite_for_engine(body, identity.cpus);
            Ok::<_, ApiError>(())
        })?;
        body.put(&["Labels", LABEL_GENERATION], wish.generation.to_string());
        self.name_for_engine(&mut body, engine);
        self.bring_networks(engine, &mut body).await?;
        self.bring_volumes(engine, &mut body).await?;
        let body = Bytes::from(body.to_json());
        match self.post_create(engine, wish, &body).await {
            Err(error) if is_missing_image(&error) && self.has_image(&request.image) => {
                // Some engine of the pool has it, so it exists: this one fetches it, and when it
                // cannot, the caller places the container where the image is.
                let platform = wish.query.get("platform");
                info!(image = request.image, engine = %identity.name, "pulling for a create");
                if let Err(pull) =
                    self.pull_on(engine, &request.image, &wish.headers, platform).await
                {
                    warn!(image = request.image, engine = %identity.name, error = %pull, "pull");
                    return Err(error);
                }
                self.post_create(engine, wish, &body).await
            }
            outcome => outcome,
        }
    }

    async fn post_create(
        &self,
        engine: &Engine,
        wish: &Wish,
        body: &Bytes,
    ) -> Result<(String, Bytes)> {
        let mut query = Query::default();
        query.set("name", wish.name.as_str());
        if let Some(platform) = wish.query.get("platform") {
            query.set("platform", platform);
        }
        let path = format!("/containers/create?{}", query.encode());
        let mut outgoing = post_json(path, wish.version, full(body.clone()));
        for (name, value) in &wish.headers {
            // Length and type are this body's own.
            if !matches!(name.as_str(), "content-length" | "content-type" | "host") {
                outgoing.headers.append(name, value.clone());
            }
        }
        let reply = engine.send(outgoing, Some(CHANGE_DEADLINE)).await?;
        let answer = document(reply).await?;
        let id = serde_json::from_slice::<Value>(&answer)
            .ok()
            .and_then(|answer| answer.get("Id")?.as_str().map(str::to_owned))
            .ok_or_else(|| {
                ApiError::system(format!("engine {} gave no container id", engine.label()))
            })?;
        Ok((id, answer))
    }
}

/// Docker's words for an image that an engine does not have (404 of `POST /containers/create`).
fn is_missing_image(error: &ApiError) -> bool {
    error.class == ErrorClass::Engine(404)
        && error.message.to_ascii_lowercase().contains("no such image")
}
