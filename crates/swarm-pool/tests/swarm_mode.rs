//! A pool whose engines are a swarm's nodes: what is the swarm's is asked of the swarm, and the swarm's word
//! of a node counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use rig::{LONG, Named, Rig, config, create, create_network, exchange, info, whole, within};
use serde_json::{Value, json};
use swarm_backend::{
    Configs, Exchange, Local, Logs, Networks, Nodes, OfNetworks, Part, Pools, Reply, Result,
    Secrets, Services, SwarmMode, Swarms, System, Tasks,
};
use swarm_docker::Query;
use swarm_kv::{KeyValue as _, Layout};
use swarm_memory::Memory;
use swarm_pool::{Called, Election, ElectionConfig, PoolConfig};
use swarm_testkit::fleet::{Fleet, FleetConfig};

/// Says which of its calls was made.
#[derive(Debug)]
struct Swarm;

macro_rules! port {
    ($port:ident: $($plain:ident)* ; $($named:ident)*) => {
        #[async_trait]
        impl $port for Swarm {
            $(async fn $plain(&self, _: Exchange) -> Result<Reply> {
                Reply::ok(&stringify!($plain))
            })*
            $(async fn $named(&self, name: &str, _: Exchange) -> Result<Reply> {
                Reply::ok(&format!("{} {name}", stringify!($named)))
            })*
        }
    };
}

port!(Swarms: inspect_swarm init_swarm join_swarm leave_swarm update_swarm unlock_key unlock_swarm
    backup_swarm swarm_ways ; );
port!(Pools: rebalance ; );
port!(Nodes: list_nodes ; inspect_node update_node remove_node);
port!(Services: list_services create_service ; inspect_service update_service remove_service);
port!(Tasks: list_tasks ; inspect_task);
port!(Logs: ; service_logs task_logs);
port!(Secrets: list_secrets create_secret ; inspect_secret update_secret remove_secret);
port!(Configs: list_configs create_config ; inspect_config update_config remove_config);

#[async_trait]
impl SwarmMode for Swarm {
    fn swarm_part(&self) -> Part {
        Part::Manager
    }

    fn swarm_info(&self) -> Result<Bytes> {
        Ok(r#"{"NodeID":"n1"}"#.into())
    }

    fn with_events(&self, query: &Query, mut reply: Reply) -> Result<Reply> {
        let since = query.get("since").unwrap_or_default();
        reply.body = swarm_backend::full(format!("\"the swarm's too, since {since}\""));
        Ok(reply)
    }

    /// Knows one network, and passes on what it does not know.
    async fn networks_of(
        &self,
        asked: OfNetworks<'_>,
        exchange: Exchange,
        engines: &dyn Local,
    ) -> Result<Reply> {
        match asked {
            OfNetworks::Inspect(name) => {
                let answer = engines.pass(exchange.naming(name)).await?;
                if answer.status == StatusCode::NOT_FOUND && name == "stack_default" {
                    return Reply::ok(&json!({"Name": name, "Scope": "swarm"}));
                }
                Ok(answer)
            }
            _ => engines.pass(exchange).await,
        }
    }
}

async fn rig() -> Rig {
    let fleet = FleetConfig { engines: 2, ..FleetConfig::default() };
    Rig::with(fleet, PoolConfig { swarm: Some(Arc::new(Swarm)), ..config() }).await
}

fn ask(path: (&'static str, &'static str)) -> Exchange {
    exchange(Method::GET, path, &[], &Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_networks_and_info_are_the_swarms_too() {
    let rig = rig().await;
    let pool = &rig.pool;
    assert_eq!(whole(pool.list_nodes(ask(("/nodes", ""))).await).await.unwrap(), "list_nodes");
    let inspected = pool.inspect_node("n1", ask(("/nodes/", ""))).await;
    assert_eq!(whole(inspected).await.unwrap(), "inspect_node n1");
    assert_eq!(info(pool).await["Swarm"], json!({"NodeID": "n1"}));
    let past = exchange(Method::GET, ("/events", ""), &[("since", "7")], &Value::Null);
    let told = whole(pool.events(past).await).await.unwrap();
    assert_eq!(told, "the swarm's too, since 7");
    // The engines' are made and found as in any pool.
    create_network(pool, "web").await.unwrap();
    let inspect =
        async |name| whole(pool.inspect_network(name, ask(("/networks/", ""))).await).await;
    assert_eq!(inspect("web").await.unwrap()["Name"], "web");
    assert_eq!(inspect("stack_default").await.unwrap()["Scope"], "swarm");
    assert_eq!(inspect("nowhere").await.unwrap_err().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_nodes_are_given_nothing() {
    let rig = rig().await;
    let pool = &rig.pool;
    let addresses = || rig.fleet.engines().iter().map(|engine| engine.address().to_string());
    within("all are reached", LONG, pool.reach(&addresses().collect())).await;
    pool.pause(addresses().take(1).collect());
    for name in ["aa", "bb", "cc"] {
        create(pool, name, json!({})).await.unwrap();
        assert_eq!(rig::node_of(pool, name).await, rig.fleet.engines()[1].name());
    }
    pool.pause(addresses().collect());
    assert_eq!(create(pool, "dd", json!({})).await.unwrap_err().status(), StatusCode::CONFLICT);
    pool.pause(HashSet::new());
    create(pool, "dd", json!({})).await.unwrap();

    let asked = pool.rebalance(ask(("/pool/rebalance", ""))).await;
    assert_eq!(whole(asked).await.unwrap(), "rebalance", "services are the swarm's to even out");
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_are_kept_by_who_is_appointed_and_the_swarm_s_word_of_a_node_stays() {
    let store = Memory::new();
    let (name, ttl) = ("m".to_owned(), Duration::from_secs(4));
    let lock = ElectionConfig { replication: false, name, ttl };
    let (election, mut appointer) =
        Election::appointed(Arc::clone(&store) as _, &Layout::new("", None), &lock);
    let fleet = FleetConfig { engines: 2, ..FleetConfig::default() };
    let fleet = Fleet::start(fleet).await.unwrap();
    let named = Named::of(fleet.engines());
    let config = PoolConfig { swarm: Some(Arc::new(Swarm)), election, ..config() };
    let rig = Rig::on(fleet, named, Arc::clone(&store), config);
    rig.all_healthy(LONG).await;
    let pool = &rig.pool;
    let kept = async || store.list("docker/swarm/intents").await.unwrap().len();
    pool.pause(HashSet::from([rig.fleet.engines()[0].address().to_string()]));
    appointer.call(Called::Unneeded);
    create(pool, "plain", json!({})).await.unwrap();
    assert_eq!(kept().await, 0, "without a policy nothing is kept");
    let moves = json!({"Env": ["reschedule:on-node-failure"]});
    let (made, ()) = tokio::join!(create(pool, "moves", moves), async {
        appointer.begun().await;
        appointer.call(Called::Yes);
    });
    made.unwrap();
    assert_eq!(kept().await, 1, "a promise is kept before it is given");
    for name in ["aa", "bb", "cc"] {
        create(pool, name, json!({})).await.unwrap();
        assert_eq!(rig::node_of(pool, name).await, rig.fleet.engines()[1].name());
    }
}
