//! From nothing to a healthy engine: ping, versions, identity, event stream, and everything read.

use std::sync::Arc;

use swarm_engine::{EventLines, EventTime};
use tracing::info;

use super::{SETUP_DEADLINE, Worker};
use crate::clock;
use crate::engine::Identity;
use crate::engine::health::PROBE_DEADLINE;
use crate::engine::observe::{self, Known, ReadError};
use crate::engine::replay::Replay;

/// Why an engine is not in use.
pub(super) enum Refusal {
    /// It does not answer as it should.
    Failed(ReadError),
    /// Another address has its id.
    Twin(String),
}

impl<E: Into<ReadError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Worker {
    /// From nothing to a healthy engine with everything read, and its open event stream.
    pub(super) async fn connect(&mut self) -> Result<EventLines, Refusal> {
        let engine = Arc::clone(&self.engine);
        let client = &engine.client;
        // The cheapest question first: an engine that is down is asked nothing else.
        client.ping(PROBE_DEADLINE).await?;
        let shared = Arc::clone(&self.shared);
        let _turn = shared.setups.acquire().await;
        client.negotiate(SETUP_DEADLINE).await?;
        let identity = observe::identity(client, SETUP_DEADLINE).await?;
        self.claim(&identity)?;
        // Containers are kept as their engine's name, address and size show them.
        let same = self.cache.identity.as_ref().is_none_or(|known| {
            (&known.name, &known.ip, known.cpus) == (&identity.name, &identity.ip, identity.cpus)
        });
        if !same {
            self.cache.clear();
        }
        client.is_called(&identity.name);
        let identity = Arc::new(identity);
        self.cache.identity = Some(Arc::clone(&identity));
        let opened_at = self.engines_now();
        let events = client.events(self.since()).await?;
        self.replay.opened(opened_at);
        let known = self.known(identity);
        let wanted = engine.marks.take_all();
        match observe::observe(client, &wanted, &known, SETUP_DEADLINE).await {
            Ok(observed) => self.absorb(observed),
            Err(error) => {
                engine.marks.again(wanted);
                return Err(Refusal::Failed(error));
            }
        }
        self.answered();
        self.read_back(wanted.upto);
        // What was needed to read everything at once is not needed for a quiet engine.
        client.close_idle();
        Ok(events)
    }

    /// The engine's clock, as far as it is known.
    pub(super) fn engines_now(&self) -> i64 {
        let skew = self.cache.identity.as_ref().and_then(|known| known.skew_millis);
        clock::now_nanos().saturating_add(skew.unwrap_or_default().saturating_mul(1_000_000))
    }

    pub(super) fn since(&self) -> Option<EventTime> {
        let since = self.replay.since(self.engines_now());
        since.map(|nanos| EventTime(nanos.try_into().unwrap_or_default()))
    }

    /// What need not be read again of the engine of this identity.
    pub(super) fn known(&self, identity: Arc<Identity>) -> Known {
        Known {
            identity,
            containers: self.cache.containers(),
            networks: self.cache.networks(),
            list: self.cache.list(),
        }
    }

    /// An engine's id belongs to one address only.
    fn claim(&mut self, identity: &Identity) -> Result<(), Refusal> {
        let old = self.cache.identity.as_ref().map(|known| known.id.clone());
        if let Some(old) = old.filter(|old| *old != identity.id) {
            info!(engine = %identity.address, old, new = %identity.id,
                  "another engine answers at this address");
            self.cache.clear();
            self.shared.index.leave(self.engine.key);
            self.replay = Replay::default();
            self.shared.identities.release(&old, self.engine.key);
        }
        self.shared.identities.claim(&identity.id, self.engine.key, &identity.address).map_err(
            |other| {
                Refusal::Twin(format!(
                    "engine id {} is used by two addresses: {other} and {}; give each engine an \
                     identity of its own (remove its /etc/docker/key.json or engine-id and \
                     restart it)",
                    identity.id, identity.address
                ))
            },
        )
    }
}
