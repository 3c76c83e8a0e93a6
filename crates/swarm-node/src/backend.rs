//! The node endpoint's ports: the engine's requests go to the engine, the swarm's to this node's
//! manager, where it is one.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH};
use serde_json::Value;
use swarm_backend::{
    ApiError, Attachments, Configs, Exchange, Local, Logs, Nodes, OfNetworks, Part, Pools, Reply,
    Result, Secrets, Served, Services, SwarmMode, Swarms, Tasks, empty, read_whole,
};
use swarm_docker::Query;
use swarm_docker::event::EventQuery;

use crate::node::Node;
use crate::requests::{Backup, Init, Join, Unlock, read};

/// `/info` is some KiB.
const LARGEST_INFO: usize = 16 << 20;

#[async_trait]
impl Local for Node {
    fn served(&self) -> Served {
        self.engine().served()
    }

    fn part(&self) -> Part {
        self.standing().part()
    }

    async fn pass(&self, exchange: Exchange) -> Result<Reply> {
        self.engine().pass(exchange).await
    }

    async fn node_info(&self, exchange: Exchange) -> Result<Reply> {
        let mut reply = self.engine().pass(exchange).await?;
        if !reply.status.is_success() {
            return Ok(reply);
        }
        let told = read_whole(std::mem::replace(&mut reply.body, empty()), LARGEST_INFO).await?;
        let unread = |error: serde_json::Error| {
            ApiError::system(format!("the engine's answer to /info is no JSON: {error}"))
        };
        let mut info: serde_json::Map<String, Value> =
            serde_json::from_slice(&told).map_err(unread)?;
        let address = self.engine().client().address().to_string();
        let own = self.info().beside(info.get("Swarm"), &address);
        warn(&mut info, &own.warnings);
        info.insert("Swarm".to_owned(), serde_json::to_value(own).map_err(unread)?);
        reply.headers.remove(CONTENT_LENGTH);
        let bytes = serde_json::to_vec(&info).map_err(unread)?;
        reply.body = swarm_backend::full(bytes);
        Ok(reply)
    }

    async fn node_events(&self, mut exchange: Exchange) -> Result<Reply> {
        // Lines, whatever other forms the engine and the client know.
        exchange.headers.remove(ACCEPT);
        let query = exchange.query.clone();
        let reply = self.engine().pass(exchange).await?;
        self.with_events(&query, reply)
    }
}

#[async_trait]
impl Swarms for Node {
    async fn inspect_swarm(&self, _: Exchange) -> Result<Reply> {
        self.control()?.inspect_swarm().await
    }

    async fn init_swarm(&self, exchange: Exchange) -> Result<Reply> {
        let init: Init = read(exchange.body).await?;
        Reply::ok(&self.init(init.checked()?).await?)
    }

    async fn join_swarm(&self, exchange: Exchange) -> Result<Reply> {
        let join: Join = read(exchange.body).await?;
        self.join(join.checked()?).await?;
        Ok(done())
    }

    async fn leave_swarm(&self, exchange: Exchange) -> Result<Reply> {
        self.leave(exchange.query.flag("force")).await?;
        Ok(done())
    }

    async fn update_swarm(&self, exchange: Exchange) -> Result<Reply> {
        self.control()?.update_swarm(exchange).await
    }

    async fn unlock_key(&self, _: Exchange) -> Result<Reply> {
        self.control()?.unlock_key().await
    }

    async fn unlock_swarm(&self, exchange: Exchange) -> Result<Reply> {
        let unlock: Unlock = read(exchange.body).await?;
        self.unlock(unlock.unlock_key.as_ref()).await?;
        Ok(done())
    }

    async fn backup_swarm(&self, exchange: Exchange) -> Result<Reply> {
        let backup: Backup = read(exchange.body).await?;
        self.backup(backup.passphrase.as_ref()).await
    }

    async fn swarm_ways(&self, _: Exchange) -> Result<Reply> {
        Reply::ok(&self.ways().await?)
    }
}

/// Puts them among the engine's own (`Warnings` of `GET /info`, API v1.38), which clients print as they are.
fn warn(info: &mut serde_json::Map<String, Value>, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    let lines = warnings.iter().map(|one| Value::from(format!("WARNING: swarm: {one}")));
    match info.get_mut("Warnings") {
        Some(Value::Array(own)) => own.extend(lines),
        _ => {
            info.insert("Warnings".to_owned(), lines.collect());
        }
    }
}

fn done() -> Reply {
    Reply::json(http::StatusCode::OK, bytes::Bytes::new())
}

/// Ports that are the manager's as they stand.
macro_rules! manager_s {
    ($port:ident: $($plain:ident)* ; $($named:ident)*) => {
        #[async_trait]
        impl $port for Node {
            $(async fn $plain(&self, exchange: Exchange) -> Result<Reply> {
                self.control()?.$plain(exchange).await
            })*
            $(async fn $named(&self, name: &str, exchange: Exchange) -> Result<Reply> {
                self.control()?.$named(name, exchange).await
            })*
        }
    };
}

manager_s!(Nodes: list_nodes ; inspect_node update_node remove_node);
manager_s!(Pools: rebalance ;);
manager_s!(Services: list_services create_service ; inspect_service update_service remove_service);
manager_s!(Tasks: list_tasks ; inspect_task);
manager_s!(Logs: ; service_logs task_logs);
manager_s!(Secrets: list_secrets create_secret ; inspect_secret update_secret remove_secret);
manager_s!(Configs: list_configs create_config ; inspect_config update_config remove_config);

/// Networks are the engine's, beside those few that the swarm has.
#[async_trait]
impl Attachments for Node {
    async fn list_networks(&self, exchange: Exchange) -> Result<Reply> {
        self.networks_of(OfNetworks::List, exchange, self).await
    }

    async fn create_network(&self, exchange: Exchange) -> Result<Reply> {
        self.networks_of(OfNetworks::Create, exchange, self).await
    }

    async fn inspect_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.networks_of(OfNetworks::Inspect(name), exchange, self).await
    }

    async fn remove_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.networks_of(OfNetworks::Remove(name), exchange, self).await
    }
}

/// The swarm as all nodes' endpoint shows it.
#[async_trait]
impl SwarmMode for Node {
    fn swarm_part(&self) -> Part {
        self.standing().part()
    }

    fn swarm_info(&self) -> Result<Bytes> {
        let info = serde_json::to_vec(&self.info());
        info.map(Bytes::from).map_err(|error| ApiError::system(error.to_string()))
    }

    fn with_events(&self, query: &Query, reply: Reply) -> Result<Reply> {
        // A refusal stays in the words of whoever refuses.
        let Ok(control) = self.control() else { return Ok(reply) };
        if !reply.status.is_success() {
            return Ok(reply);
        }
        Ok(control.with_events(EventQuery::parse(query, jiff::Timestamp::now())?, reply))
    }

    async fn networks_of(
        &self,
        asked: OfNetworks<'_>,
        exchange: Exchange,
        engines: &dyn Local,
    ) -> Result<Reply> {
        match (self.control(), asked) {
            (Ok(control), OfNetworks::List) => control.list_networks(exchange, engines).await,
            (Ok(control), OfNetworks::Create) => control.create_network(exchange, engines).await,
            (Ok(control), OfNetworks::Inspect(name)) => {
                control.inspect_network(name, exchange, engines).await
            }
            (Ok(control), OfNetworks::Remove(name)) => {
                control.remove_network(name, exchange, engines).await
            }
            (Err(_), OfNetworks::List | OfNetworks::Create) => engines.pass(exchange).await,
            (Err(_), OfNetworks::Inspect(name) | OfNetworks::Remove(name)) => {
                engines.pass(exchange.naming(name)).await
            }
        }
    }
}
