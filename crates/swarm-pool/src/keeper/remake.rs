//! Makes a wanted container anew: a place by the usual filters and strategy, the announcement, the
//! create, its networks, and its start.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use swarm_backend::{ApiError, full};
use swarm_core::placement::node::NodeId;
use swarm_core::placement::request::Request;
use swarm_core::reschedule::transition;
use swarm_docker::{ErrorClass, Query};
use swarm_model::{Desired, EngineRef, Intent};
use tracing::warn;

use super::Cause;
use super::step::StepError;
use crate::Pool;
use crate::backend::create::Wish;
use crate::backend::intents::body_of;
use crate::engine::{CHANGE_DEADLINE, Engine, Mark, post_json};
use crate::scheduler::Placed;

/// How a making ended.
pub(super) enum Outcome {
    /// It is there, and started if it is to run.
    Made,
    /// It is there, and what is to follow did not work.
    Unsettled(ApiError),
    /// No engine took it; it is nowhere again.
    Refused(ApiError),
}

/// What is to be made, and where.
pub(super) struct Making {
    pub wish: Wish,
    pub request: Request,
    pub placed: Placed,
    pub engine: Arc<Engine>,
    pub at: EngineRef,
}

impl Pool {
    /// Makes what is nowhere.
    pub(super) async fn remake(
        &self,
        intent: &Intent,
        avoid: &[EngineRef],
        reason: &str,
    ) -> Result<Outcome, StepError> {
        let making = self.find_place(intent, avoid).await?;
        // Nobody else gets the name while it is on its way.
        let _name = self.shared.index.reserve(&intent.name).map_err(ApiError::from)?;
        let going = transition::going(intent, &making.at);
        self.write(&going).await?;
        let container = match self.create_anew(&making.engine, &making.wish, &making.request).await
        {
            Ok(container) => container,
            Err(error) => return self.not_made(&going, error).await,
        };
        let arrived = transition::arrived(&going, &making.at, &container);
        let engine = Arc::clone(&making.engine);
        self.took_place(making, &intent.name, &container);
        self.write(&arrived).await?;
        self.tell_moved(&arrived, &container, Cause::Failure, reason);
        Ok(match self.settle_in(&engine, &arrived, &container).await {
            Ok(()) => Outcome::Made,
            Err(error) => Outcome::Unsettled(error),
        })
    }

    /// A place for what is to be made.
    pub(super) async fn find_place(
        &self,
        intent: &Intent,
        avoid: &[EngineRef],
    ) -> Result<Making, ApiError> {
        let mut body = body_of(intent)?;
        let mut request = Request::default();
        body.edit(|body| {
            request = Request::from_create_body(&intent.name, body)
                .map_err(|error| ApiError::invalid(error.to_string()))?;
            Ok::<_, ApiError>(())
        })?;
        self.tie(&body, &mut request).await;
        request.tried.extend(avoid.iter().map(|engine| NodeId::new(engine.id.as_str())));
        let mut query = Query::default();
        if let Some(platform) = &intent.platform {
            query.set("platform", platform.as_str());
        }
        let wish = Wish {
            name: intent.name.clone(),
            swarm_id: intent.id.clone(),
            generation: intent.generation,
            query,
            version: intent.version.as_deref().and_then(|version| version.parse().ok()),
            headers: self.lent(intent),
            body,
        };
        let placed = self.place(&request).await?;
        let gone = || ApiError::unavailable(format!("node {} left the pool", placed.node));
        let engine = self.members.get(placed.engine).ok_or_else(gone)?;
        let at = engine.reference().ok_or_else(|| engine.unusable())?;
        Ok(Making { wish, request, placed, engine, at })
    }

    /// The credentials kept with an intent, as a client would lend them.
    fn lent(&self, intent: &Intent) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let (Some(key), Some(sealed)) = (self.shared.state.key(), &intent.credentials) else {
            return headers;
        };
        match key.open(&intent.id, sealed).map(|lent| HeaderValue::from_str(&lent)) {
            Ok(Ok(mut lent)) => {
                lent.set_sensitive(true);
                headers.insert("x-registry-auth", lent);
            }
            Ok(Err(_)) => warn!(container = %intent.name, "the kept credentials are no header"),
            Err(error) => warn!(container = %intent.name, %error, "pulling without credentials"),
        }
        headers
    }

    /// The container exists: it is found by its name, and its reservation is its own.
    pub(super) fn took_place(&self, making: Making, name: &str, container: &str) {
        let Making { engine, placed, .. } = making;
        self.shared.index.announce(engine.key(), container, name);
        let number = engine.wrote(Mark::Container(container.to_owned()));
        placed.hold.until_read(number);
        let (index, id) = (Arc::clone(&self.shared.index), container.to_owned());
        tokio::spawn(async move {
            engine.read_back(number).await;
            index.forget_unread(engine.key(), &id);
        });
    }

    /// A create that failed. Where the engine refused, it is nowhere again, with a new generation;
    /// where the answer is missing, it stays on its way until the engine can be asked.
    async fn not_made(&self, going: &Intent, error: ApiError) -> Result<Outcome, StepError> {
        if matches!(error.class, ErrorClass::Engine(_)) {
            let reason = format!("the last engine refused: {}", error.message);
            if let Some(next) = transition::abandoned(going, &reason) {
                self.write(&next).await?;
            }
        }
        self.tell_failed(going, &error.message);
        Ok(Outcome::Refused(error))
    }

    /// Networks that were connected after its create, and its start.
    pub(super) async fn settle_in(
        &self,
        engine: &Arc<Engine>,
        intent: &Intent,
        container: &str,
    ) -> Result<(), ApiError> {
        self.join_networks(engine, intent, container).await;
        if intent.desired == Desired::Running {
            self.start_container(engine, container).await?;
        }
        engine.wrote(Mark::Container(container.to_owned()));
        Ok(())
    }

    /// Networks that were connected or left after its create.
    pub(super) async fn join_networks(
        &self,
        engine: &Arc<Engine>,
        intent: &Intent,
        container: &str,
    ) {
        for (network, endpoint) in &intent.networks {
            let verb = if endpoint.is_null() { "disconnect" } else { "connect" };
            let done = async {
                let id = self.network_on(engine, network).await?;
                let mut body = json!({"Container": container});
                if !endpoint.is_null() {
                    body["EndpointConfig"] = without_addresses(endpoint);
                }
                let path = format!("/networks/{id}/{verb}");
                let request = post_json(path, None, full(body.to_string()));
                let reply = engine.send(request, Some(CHANGE_DEADLINE)).await?;
                crate::backend::document(reply).await.map(drop)
            };
            if let Err(error) = done.await {
                warn!(container = %intent.name, network, error = %error.message,
                      "cannot {verb} a network as it was");
            }
        }
    }
}

/// An endpoint's wishes without what the engine it was on had made of them.
fn without_addresses(endpoint: &Value) -> Value {
    let mut endpoint = endpoint.clone();
    if let Some(map) = endpoint.as_object_mut() {
        for key in ["NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress"]
        {
            map.remove(key);
        }
    }
    endpoint
}
