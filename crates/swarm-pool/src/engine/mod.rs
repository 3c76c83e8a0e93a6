//! One engine of the pool: its address, its client, and the newest snapshot of what it has.
//!
//! The worker is the only writer of a snapshot; everybody else reads the last published one
//! without waiting. Writes made through the API mark what must be read back.

mod cache;
mod container;
mod failures;
mod health;
mod identity;
mod marks;
mod observe;
mod replay;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use swarm_backend::{Body, Exchange, Reply};
use swarm_docker::{ApiError, ApiVersion};
use swarm_engine::{EngineAddress, EngineClient, EngineError, EngineVersion, Outgoing};
use swarm_model::EngineRef;
use tokio::sync::watch;

pub use cache::{EngineView, Objects};
pub use container::Container;
pub(crate) use failures::Failures;
pub use health::Status;
pub use identity::Identity;
pub use marks::Mark;
pub(crate) use worker::run;

use marks::Marks;

/// An engine's number, unique in a manager's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineKey(pub u32);

/// How long the API waits for an engine's answer to a request that only reads.
pub const READ_DEADLINE: Duration = Duration::from_secs(30);
/// How long it waits for one that changes something: stopping a container with a long grace, or
/// committing a large one, takes minutes on a loaded host.
pub const CHANGE_DEADLINE: Duration = Duration::from_mins(15);
/// How long a reader waits for its own writes to be read back.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(2);

/// One engine.
#[derive(Debug)]
pub struct Engine {
    key: EngineKey,
    client: EngineClient,
    view: ArcSwap<EngineView>,
    revision: AtomicU64,
    status: watch::Sender<Status>,
    marks: Marks,
    failures: Failures,
}

impl Engine {
    pub(crate) fn new(key: EngineKey, client: EngineClient) -> Self {
        let view = EngineView::pending(client.address().to_string());
        Self {
            key,
            client,
            view: ArcSwap::from_pointee(view),
            revision: AtomicU64::new(0),
            status: watch::Sender::new(Status::Pending),
            marks: Marks::default(),
            failures: Failures::default(),
        }
    }

    /// Its failed requests are counted there.
    pub(crate) fn counting(mut self, failures: &Failures) -> Self {
        self.failures = failures.clone();
        self
    }

    /// Its number.
    pub fn key(&self) -> EngineKey {
        self.key
    }

    /// Where it listens.
    pub fn address(&self) -> &EngineAddress {
        self.client.address()
    }

    /// The API versions it speaks, once it was reached.
    pub fn versions(&self) -> Option<EngineVersion> {
        self.client.versions()
    }

    /// The newest snapshot.
    pub fn view(&self) -> Arc<EngineView> {
        self.view.load_full()
    }

    /// Another number after each snapshot, in a manager's whole life; asked before the snapshot is,
    /// it is never newer than that.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Its name once known, its address before.
    pub fn label(&self) -> String {
        self.view.load().label().to_owned()
    }

    /// Who it is, once it was reached.
    pub fn reference(&self) -> Option<EngineRef> {
        let view = self.view.load();
        let identity = view.identity.as_ref()?;
        Some(EngineRef { id: identity.id.clone(), name: identity.name.clone() })
    }

    /// May requests be sent to it?
    pub fn is_reachable(&self) -> bool {
        self.status.borrow().is_reachable()
    }

    /// Marks what a request through the API changed; the number is for [`Engine::settle_upto`].
    pub fn wrote(&self, mark: Mark) -> u64 {
        self.marks.write(mark)
    }

    /// Nothing that the API changed waits to be read back.
    pub fn is_settled(&self) -> bool {
        self.marks.is_settled() || !self.is_reachable()
    }

    /// Waits until what the API changed has been read back; gives up when the engine fails, and
    /// [`SETTLE_DEADLINE`] after the change.
    pub async fn settle(&self) {
        let mut status = self.status.subscribe();
        let failed = async { status.wait_for(|status| !status.is_reachable()).await.map(drop) };
        tokio::select! {
            () = self.marks.settle(SETTLE_DEADLINE) => {}
            _ = failed => {}
        }
    }

    /// Waits until one write has been read back, or the engine has left the pool.
    pub async fn read_back(&self, number: u64) {
        let mut status = self.status.subscribe();
        let left =
            async { status.wait_for(|status| *status == Status::Disconnected).await.map(drop) };
        tokio::select! {
            () = self.marks.read_back(number) => {}
            _ = left => {}
        }
    }

    /// Waits for one write.
    pub async fn settle_upto(&self, number: u64) -> bool {
        self.is_reachable() && self.marks.settle_upto(number, SETTLE_DEADLINE).await
    }

    /// Sends a request with `path_and_query` in the place of the exchange's own path, and gives up
    /// as soon as the engine counts as down. `deadline` is until the reply's headers.
    pub async fn send(
        &self,
        outgoing: Outgoing,
        deadline: Option<Duration>,
    ) -> Result<Reply, ApiError> {
        let mut status = self.status.subscribe();
        if !status.borrow_and_update().is_reachable() {
            return Err(self.unusable());
        }
        let gone = status.wait_for(|status| !status.is_reachable());
        tokio::select! {
            reply = self.client.send(outgoing, deadline) => reply.map_err(|error| self.blame(&error)),
            _ = gone => Err(self.unusable()),
        }
    }

    /// Sends a client's request on, at `object` in its path.
    pub async fn forward(
        &self,
        exchange: Exchange,
        object: &str,
        deadline: Option<Duration>,
    ) -> Result<Reply, ApiError> {
        let path = exchange.path.with(object);
        self.send(Outgoing::of(exchange, &path), deadline).await
    }

    /// A request of the pool's own, with no body; the answer's bytes, at most `limit`.
    pub async fn read(&self, path_and_query: &str, limit: usize) -> Result<bytes::Bytes, ApiError> {
        if !self.is_reachable() {
            return Err(self.unusable());
        }
        self.client
            .get_bytes(path_and_query, limit, READ_DEADLINE)
            .await
            .map_err(|error| self.blame(&error))
    }

    /// What a client is told when this engine cannot be asked.
    pub fn unusable(&self) -> ApiError {
        let view = self.view();
        let why = view.error.as_deref().unwrap_or("no answer yet");
        ApiError::unavailable(format!(
            "engine {} ({}) is {}: {why}",
            self.label(),
            view.address,
            view.status.to_string().to_lowercase(),
        ))
    }

    /// Removes a container that was never started, as soon as the engine may be asked.
    async fn remove_fresh(&self, id: &str) -> Result<(), ApiError> {
        let mut status = self.status.subscribe();
        // The sender lives as long as `self`; an engine that fails before it is asked says so below.
        let _ = status
            .wait_for(|status| status.is_reachable() || *status == Status::Disconnected)
            .await;
        let outgoing = bare(http::Method::DELETE, format!("/containers/{id}?v=1"));
        let reply = self.send(outgoing, Some(READ_DEADLINE)).await?;
        if reply.status.is_success() {
            return Ok(());
        }
        Err(ApiError::engine(reply.status.as_u16(), "the engine refused"))
    }

    fn blame(&self, error: &EngineError) -> ApiError {
        self.failures.count("request", error.reason());
        error.to_api(&self.label())
    }

    /// The last published snapshot has this number.
    fn revise(&self, number: u64) {
        self.revision.store(number, Ordering::Release);
    }

    fn publish(&self, view: EngineView) {
        let status = view.status;
        self.view.store(Arc::new(view));
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
    }
}

/// A request of the pool's own with no body.
pub fn bare(method: http::Method, path_and_query: String) -> Outgoing {
    let (headers, body) = (http::HeaderMap::new(), swarm_backend::empty());
    Outgoing { method, path_and_query, version: None, headers, body, upgrade: None }
}

/// A request of the pool's own with a JSON body.
pub fn post_json(path_and_query: String, version: Option<ApiVersion>, body: Body) -> Outgoing {
    let mut headers = http::HeaderMap::new();
    let json = http::HeaderValue::from_static("application/json");
    headers.insert(http::header::CONTENT_TYPE, json);
    Outgoing { method: http::Method::POST, path_and_query, version, headers, body, upgrade: None }
}
