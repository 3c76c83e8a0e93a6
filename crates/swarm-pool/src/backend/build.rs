//! Builds: each on one engine, chosen by the constraints and affinities in its build args and
//! labels (`POST /build`, API v1.24 and up); what follows it goes where it is.
//!
//! The engine's place is held while the build runs, as a container's is while it is created. How
//! the connections of a BuildKit build find each other is [`super::build_sessions`]'s.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Map, Value};
use swarm_backend::{ApiError, Body, BoxError, Builds, Effect, Exchange, Reply, Result};
use swarm_core::placement::cpu;
use swarm_core::placement::expr::Expr;
use swarm_core::placement::extract::BuildInputs;
use swarm_core::placement::request::Request;
use swarm_docker::Query;
use swarm_docker::jsonmessage::Message;

use super::build_sessions::{Pin, Pinned};
use super::kept::keep;
use super::prune::united;
use super::{Copied, deadline, document};
use crate::Pool;
use crate::engine::{Engine, Mark};
use crate::fanout;
use crate::scheduler::{Hold, Placed};

/// The header that names a session (`POST /session`, API v1.31).
const SESSION_UUID: &str = "x-docker-expose-session-uuid";
/// What stands before the build's id where only its context is sent (docker CLI, context on stdin).
const CONTEXT_OF: &str = "upload-request:";

/// A build at work: holds its place, and its images are read back at its end.
struct Running {
    engine: Arc<Engine>,
    _hold: Option<Hold>,
    _pins: Vec<Pinned>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.wrote(Mark::Images);
    }
}

#[async_trait]
impl Builds for Pool {
    async fn build(&self, mut exchange: Exchange) -> Result<Reply> {
        let session = given(&exchange.query, "session").map(Pin::Session);
        let id = given(&exchange.query, "buildid");
        if let Some(build) = id.as_deref().and_then(|id| id.strip_prefix(CONTEXT_OF)) {
            return self.send_context(build, exchange).await;
        }
        let mut inputs = build_inputs(&exchange.query)?;
        let (args, labels) = (inputs.build_args.clone(), inputs.labels.clone());
        let mut request = Request::from_build(&mut inputs)
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        // No container can have this name, and no other build has it.
        let number: u64 = rand::random();
        request.name = format!("build {number:016x}");
        if let Some(engine) = session.as_ref().and_then(|pin| self.pinned(pin)) {
            // Its session is there already, and cannot be moved.
            let view = engine.view();
            let node = view.identity.as_ref().map_or(view.label(), |known| known.id.as_str());
            request.constraints.push(Expr::exactly("node", node, false));
        }
        let Placed { engine, reason, hold, .. } = self.place_now(&request)?;
        let gone = || ApiError::unavailable("the build's node left the pool");
        let engine = self.members.get(engine).ok_or_else(gone)?;
        tracing::info!(engine = %engine.label(), reason, "building");

        let pins = session.into_iter().chain(id.map(Pin::Build));
        let pins = pins.filter_map(|pin| self.sessions.pin(pin, engine.key()).1).collect();
        let running = Running { engine: Arc::clone(&engine), _hold: Some(hold), _pins: pins };
        if inputs.build_args != args {
            exchange.query.set("buildargs", Value::Object(inputs.build_args).to_string());
        }
        if inputs.labels != labels {
            exchange.query.set("labels", Value::Object(inputs.labels).to_string());
        }
        if request.cpus > 0 {
            let cpus = engine.view().identity.as_ref().map_or(0, |known| known.cpus);
            exchange.query.set("cpushares", cpu::shares_for(request.cpus, cpus).to_string());
        }
        let mut reply = engine.forward(exchange, "", None).await?;
        if reply.status.is_success() {
            reply.body = told_to_the_end(reply.body, engine.label());
        }
        Ok(keep(reply, running))
    }

    async fn cancel_build(&self, exchange: Exchange) -> Result<Reply> {
        let pin = given(&exchange.query, "id").map(Pin::Build);
        if let Some(engine) = pin.as_ref().and_then(|pin| self.pinned(pin)) {
            return engine.forward(exchange, "", deadline(Effect::Changes)).await;
        }
        // A build of another manager, or of a client that did not name it: whoever runs it ends it.
        let request = Copied::read(exchange).await?;
        let answers = fanout::ask(&self.members.reachable(), async |engine| {
            document(request.send(&engine, "", Effect::Changes).await?).await
        })
        .await;
        fanout::any_of(answers)?;
        Ok(Reply::no_content())
    }

    async fn prune_builds(&self, exchange: Exchange) -> Result<Reply> {
        Reply::ok(&united(self.prune(exchange, [], None).await?))
    }

    async fn session(&self, exchange: Exchange) -> Result<Reply> {
        let uuid = exchange.headers.get(SESSION_UUID).and_then(|value| value.to_str().ok());
        let uuid = uuid.filter(|uuid| !uuid.is_empty()).ok_or_else(|| {
            ApiError::invalid("POST /session needs the header X-Docker-Expose-Session-Uuid")
        })?;
        let pin = Pin::Session(uuid.to_owned());
        let chosen = match self.sessions.wait(&pin).await {
            Some(engine) => engine,
            None => self.control_engine()?.key(),
        };
        // A build that came this instant was first, and its choice stands.
        let (engine, pinned) = self.sessions.pin(pin, chosen);
        let gone = || ApiError::unavailable("the session's node left the pool");
        let engine = self.members.get(engine).ok_or_else(gone)?;
        let running = Running {
            engine: Arc::clone(&engine),
            _hold: None,
            _pins: pinned.into_iter().collect(),
        };
        let reply = engine.forward(exchange, "", None).await?;
        Ok(keep(reply, running))
    }

    async fn grpc(&self, exchange: Exchange) -> Result<Reply> {
        let engine = self.control_engine()?;
        let open = self.sessions.open_control(Arc::clone(&engine));
        let reply = engine.forward(exchange, "", None).await?;
        Ok(keep(reply, open))
    }
}

impl Pool {
    /// A context that comes apart from its build goes where the build is.
    async fn send_context(&self, build: &str, exchange: Exchange) -> Result<Reply> {
        let pin = Pin::Build(build.to_owned());
        let engine = self.sessions.wait(&pin).await.and_then(|key| self.members.get(key));
        let engine = engine.ok_or_else(|| {
            ApiError::not_found(format!("no build {build} waits for this context"))
        })?;
        engine.forward(exchange, "", None).await
    }

    fn pinned(&self, pin: &Pin) -> Option<Arc<Engine>> {
        self.sessions.get(pin).and_then(|engine| self.members.get(engine))
    }

    fn control_engine(&self) -> Result<Arc<Engine>> {
        self.sessions.control_engine(&self.members.reachable()).ok_or_else(fanout::nobody)
    }
}

fn given(query: &Query, key: &str) -> Option<String> {
    query.get(key).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// What placement wants to know of a build.
fn build_inputs(query: &Query) -> Result<BuildInputs> {
    Ok(BuildInputs {
        build_args: object(query, "buildargs")?,
        labels: object(query, "labels")?,
        memory: query.number("memory")?.unwrap_or(0),
        cpu_shares: query.number("cpushares")?.unwrap_or(0),
    })
}

/// The same output; should it break off, its last line tells why, as a failed step's would.
fn told_to_the_end(body: Body, node: String) -> Body {
    let frames = stream::unfold(Some((body, node)), |state| async move {
        let (mut body, node) = state?;
        match body.frame().await? {
            Ok(frame) => Some((Ok::<_, BoxError>(frame), Some((body, node)))),
            Err(error) => {
                let line =
                    Message::error(format!("the build on {node} ended early: {error}")).to_line();
                Some((Ok(Frame::data(line.into())), None))
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// A parameter that is a JSON object, or `null`, or not there.
fn object(query: &Query, key: &str) -> Result<Map<String, Value>> {
    let Some(text) = given(query, key) else { return Ok(Map::new()) };
    let read: Option<Map<String, Value>> = serde_json::from_str(&text).map_err(|error| {
        ApiError::invalid(format!("query parameter {key} is no JSON object: {error}"))
    })?;
    Ok(read.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builds_inputs_are_read_or_refused_by_name() {
        let mut query = Query::default();
        query.set("buildargs", r#"{"constraint:node":"=n1","A":null}"#);
        query.set("labels", "null");
        query.set("memory", "64");
        let mut inputs = build_inputs(&query).unwrap();
        assert_eq!(inputs.memory, 64);
        let request = Request::from_build(&mut inputs).unwrap();
        assert_eq!(request.constraints[0].value(), "n1");
        assert_eq!(Value::Object(inputs.build_args).to_string(), r#"{"A":null}"#);
        for (key, value) in [("buildargs", "[]"), ("labels", "{"), ("cpushares", "two")] {
            let mut query = Query::default();
            query.set(key, value);
            let error = build_inputs(&query).unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(error.message.contains(key), "{}", error.message);
        }
    }

    #[tokio::test]
    async fn a_build_that_breaks_off_says_why() {
        let frames = [
            Ok(Frame::data(bytes::Bytes::from_static(b"{\"stream\":\"Step 1\"}\r\n"))),
            Err(BoxError::from("reset")),
        ];
        let body =
            told_to_the_end(StreamBody::new(stream::iter(frames)).boxed_unsync(), "n1".into());
        let output = body.collect().await.unwrap().to_bytes();
        let last = output.split(|byte| *byte == b'\n').nth(1).unwrap();
        let failure = Message::parse(last).unwrap();
        assert_eq!(failure.failure(), Some("the build on n1 ended early: reset"));
    }
}
