//! Two real pools over simulated engines: a container made through the replica, and `info` of both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use swarm_api::{Listener, ServerOptions, serve};
use swarm_backend::{Forward, full};
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::strategy::Strategy;
use swarm_discovery::{Discovery, DiscoveryOptions};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Outgoing, read_body};
use swarm_kv::KeyValue;
use swarm_memory::Memory;
use swarm_pool::{
    Build, Election, ElectionConfig, KeySource, Pool, PoolConfig, RescheduleConfig, Role,
    StoreConfig,
};
use swarm_testkit::fleet::{Fleet, FleetConfig};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::rig::{SOON, TTL, layout, until};

struct Managed {
    client: EngineClient,
    election: Election,
    address: String,
    _stop: DropGuard,
}

async fn manage(store: &Arc<Memory>, fleet: &Fleet) -> Managed {
    let listener = Listener::tcp("127.0.0.1:0", None).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store: Arc<dyn KeyValue> = store.clone();
    let kept = StoreConfig { store: Arc::clone(&store), layout: layout(), key: KeySource::Store };
    let config = ElectionConfig { replication: true, name: address.clone(), ttl: TTL };
    let election = Election::start(store, &layout(), &config);
    let stop = CancellationToken::new();
    let config = PoolConfig {
        strategy: Strategy::Spread,
        filters: FilterSet::default(),
        overcommit: 0.0,
        create_retries: 0,
        refresh: (Duration::from_secs(30), Duration::from_mins(1)),
        failure_retries: 3,
        refresh_on_node_filter: false,
        refresh_on_name: None,
        reschedule: RescheduleConfig::default(),
        election: election.clone(),
        engine: ClientOptions::default(),
        build: Build { version: "0.0.0", commit: "test" },
        swarm: None,
    };
    let discovery = Discovery::parse(&fleet.discovery_url(), &DiscoveryOptions::default()).unwrap();
    let pool = Pool::start(config, discovery, kept, stop.clone());
    let forward = election.forwarder(ClientOptions::default());
    let forward = forward.map(|forwarder| forwarder as Arc<dyn Forward>);
    let options = ServerOptions { forward, ..ServerOptions::default() };
    tokio::spawn(serve(vec![listener], pool, options, stop.clone()));
    let target: EngineAddress = address.parse().unwrap();
    let client = EngineClient::new(target, ClientOptions::default());
    Managed { client, election, address, _stop: stop.drop_guard() }
}

impl Managed {
    async fn rows(&self) -> Vec<(String, String)> {
        let info: Value = self.client.get_json("/info", SOON).await.unwrap();
        let rows = info["SystemStatus"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
    }

    async fn healthy(&self, engines: usize) {
        let begun = Instant::now();
        while self.rows().await.iter().filter(|(_, value)| value == "Healthy").count() < engines {
            assert!(begun.elapsed() < SOON, "the engines are not healthy");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_container_made_through_a_replica_is_there_for_all() {
    let fleet = Fleet::start(FleetConfig { engines: 3, ..FleetConfig::default() }).await.unwrap();
    let store = Memory::new();
    let first = manage(&store, &fleet).await;
    until("it leads", || first.election.fence().check().is_ok()).await;
    let second = manage(&store, &fleet).await;
    let role = second.election.role();
    until("it follows", || matches!(&*role.borrow(), Role::Replica { primary: Some(_) })).await;
    first.healthy(3).await;
    second.healthy(3).await;
    let row = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let top = |role| [row("Role", role), row("Primary", &first.address)];
    assert_eq!(first.rows().await[..2], top("primary"));
    assert_eq!(second.rows().await[..2], top("replica"));

    let mut create = Outgoing::get("/v1.41/containers/create?name=web");
    create.method = http::Method::POST;
    create.headers.insert("content-type", "application/json".parse().unwrap());
    create.body = full(json!({"Image": "busybox"}).to_string());
    let reply = second.client.send(create, Some(SOON)).await.unwrap();
    assert_eq!(reply.status, 201);
    let made: Value =
        serde_json::from_slice(&read_body(reply.body, 1 << 20).await.unwrap()).unwrap();
    for manager in [&first, &second] {
        let found: Value = manager.client.get_json("/containers/web/json", SOON).await.unwrap();
        assert_eq!(found["Id"], made["Id"]);
    }
    assert_eq!(fleet.containers().0, 1);

    // The primary goes; the other one takes over, and knows the container.
    first.election.resign().await;
    let waited = until("it leads", || second.election.fence().check().is_ok()).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert_eq!(second.rows().await[..2], [row("Role", "primary"), row("Primary", &second.address)]);
    let found: Value = second.client.get_json("/containers/web/json", SOON).await.unwrap();
    assert_eq!(found["Id"], made["Id"]);
}
