//! A pool whose engines are the nodes of a swarm (`swarm daemon`'s cluster endpoint): what is the
//! swarm's is asked of the swarm. What is wanted of containers the pool keeps as any other, in the
//! swarm's store.
//!
//! Invariant: a node that its swarm drains or pauses is given no containers.

use std::collections::HashSet;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::json;
use swarm_backend::{
    Exchange, InSwarm, Local, ObjectPath, OfNetworks, Part, Reply, Result, Served, SwarmMode,
    System,
};
use swarm_model::Availability;

use crate::Pool;

impl InSwarm for Pool {
    fn swarm(&self) -> Option<&dyn SwarmMode> {
        self.shared.config.swarm.as_deref()
    }
}

impl Pool {
    /// The engines at these addresses are given no containers, and all others are.
    pub fn pause(&self, addresses: HashSet<String>) {
        self.shared.paused.store(addresses.into());
        let paused = self.shared.paused.load();
        for engine in self.members.all().iter() {
            let Some(reference) = engine.reference() else { continue };
            let is_paused = paused.contains(&*engine.view().address);
            let availability = if is_paused { Availability::Pause } else { Availability::Active };
            self.shared.scheduler.set_availability(&reference.id, availability);
        }
        // The swarm may have given a node up, too.
        self.shared.keeper.notify_one();
    }

    /// Waits until these engines have been reached and read. The caller has a deadline.
    pub async fn reach(&self, addresses: &HashSet<String>) {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let engines = self.members.reachable();
            let there: HashSet<String> =
                engines.iter().map(|engine| engine.view().address.to_string()).collect();
            if addresses.is_subset(&there) || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The networks: the engines', and where there is a swarm, its own beside them.
    pub(crate) async fn networks_asked(
        &self,
        asked: OfNetworks<'_>,
        exchange: Exchange,
    ) -> Result<Reply> {
        let Some(swarm) = self.swarm() else {
            return self.engines_networks(asked, exchange).await;
        };
        let engines = Engines { pool: self, asked, path: exchange.path.clone() };
        swarm.networks_of(asked, exchange, &engines).await
    }

    async fn engines_networks(&self, asked: OfNetworks<'_>, exchange: Exchange) -> Result<Reply> {
        match asked {
            OfNetworks::List => self.list_own_networks(exchange).await,
            OfNetworks::Create => self.create_own_network(exchange).await,
            OfNetworks::Inspect(name) => self.inspect_own_network(name, exchange).await,
            OfNetworks::Remove(name) => self.remove_own_network(name, exchange).await,
        }
    }
}

/// The engines' side of a question about networks, in the place of one node's own engine.
struct Engines<'p> {
    pool: &'p Pool,
    asked: OfNetworks<'p>,
    /// Around the network's name.
    path: ObjectPath,
}

#[async_trait]
impl Local for Engines<'_> {
    fn served(&self) -> Served {
        System::served(self.pool)
    }

    fn part(&self) -> Part {
        self.pool.swarm().map(SwarmMode::swarm_part).unwrap_or_default()
    }

    async fn pass(&self, mut exchange: Exchange) -> Result<Reply> {
        exchange.path = self.path.clone();
        match self.pool.engines_networks(self.asked, exchange).await {
            // An answer, as an engine gives it: the swarm may know it.
            Err(error) if error.status() == StatusCode::NOT_FOUND => {
                Reply::encode(StatusCode::NOT_FOUND, &json!({ "message": error.message }))
            }
            answered => answered,
        }
    }

    async fn node_info(&self, exchange: Exchange) -> Result<Reply> {
        self.pool.info(exchange).await
    }

    async fn node_events(&self, exchange: Exchange) -> Result<Reply> {
        self.pool.events(exchange).await
    }
}
