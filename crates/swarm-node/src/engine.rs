//! This node's own engine: requests that are its own go to it as they came.

use std::time::Duration;

use swarm_backend::{ApiError, Exchange, Reply, Result, Served};
use swarm_docker::ApiVersion;
use swarm_engine::{EngineClient, EngineError, Outgoing};
use tokio_util::sync::CancellationToken;

/// How long the engine may take to say what it speaks.
const NEGOTIATE: Duration = Duration::from_secs(5);
/// How long the first client waits for that at most, where the engine is slow.
const FIRST: Duration = Duration::from_secs(2);
/// How often it is asked again: it may have been replaced by another release.
const AGAIN: Duration = Duration::from_secs(30);
/// How often it is asked while it does not answer.
const MISSED: Duration = Duration::from_secs(1);

/// The engine beside the daemon.
#[derive(Debug, Clone)]
pub struct LocalEngine(EngineClient);

impl LocalEngine {
    /// Over this client.
    pub fn new(client: EngineClient) -> Self {
        Self(client)
    }

    /// The client.
    pub fn client(&self) -> &EngineClient {
        &self.0
    }

    /// Asks once what it speaks, so that nobody who comes right after the start is promised a newer API than
    /// the engine's. One that does not answer is said to by [`LocalEngine::follow`].
    pub async fn greet(&self) {
        let _ = self.0.negotiate(FIRST).await;
    }

    /// Learns what the engine speaks, and keeps what is known of it fresh.
    pub async fn follow(self, stop: CancellationToken) {
        let mut answered = true;
        loop {
            let asked = self.0.negotiate(NEGOTIATE).await;
            match &asked {
                Ok(found) if !answered => {
                    tracing::info!(version = found.server, "the engine answers again");
                }
                Err(error) if answered => tracing::warn!("{}", self.unusable(error).message),
                _ => {}
            }
            answered = asked.is_ok();
            let pause = if answered { AGAIN } else { MISSED };
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// The API versions that it speaks; everything, as long as nobody knows.
    pub fn served(&self) -> Served {
        match self.0.versions() {
            Some(found) => {
                Served { oldest: found.oldest, newest: found.newest, promised: found.newest }
            }
            None => Served {
                oldest: ApiVersion::OLDEST,
                newest: ApiVersion::NEWEST,
                promised: ApiVersion::NEWEST,
            },
        }
    }

    /// Sends a client's request on. No deadline: a pull or an attached terminal may take days, and
    /// the client can hang up.
    pub async fn pass(&self, exchange: Exchange) -> Result<Reply> {
        let path = exchange.path.with("");
        let outgoing = Outgoing::of(exchange, &path);
        self.0.send(outgoing, None).await.map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &EngineError) -> ApiError {
        let address = self.0.address();
        if error.is_connection() {
            return ApiError::unavailable(format!(
                "this node's engine at {address} does not answer: {error}. Is dockerd running?"
            ));
        }
        error.to_api(&format!("at {address}"))
    }
}
