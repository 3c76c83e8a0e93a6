//! The registries against real servers: what is written where, whose it is, and what is left after
//! crashes. What is read here is read by the stores' own tools.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use swarm_consul::{Catalogue, Consul};
use swarm_etcd::Etcd;
use swarm_kv::{KeyValue, StoreOptions, StoreUrl};
use swarm_registrator::{ConsulServices, Entry, Keys, Registry, Service, Term, plan};
use swarm_testkit::stores::consul::Config;
use swarm_testkit::stores::{ConsulServer, EtcdOptions, EtcdServer};

const TERM: Term = Term { ttl: Duration::from_secs(20), refresh: Duration::from_secs(5) };

fn service(id: &str, port: u16, said: &[(&str, &str)]) -> Service {
    Service {
        id: id.to_owned(),
        name: "web".to_owned(),
        ip: "10.0.0.1".to_owned(),
        port,
        tags: vec!["a".to_owned(), "udp".to_owned()],
        attributes: said.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        container: format!("container-of-{id}"),
    }
}

/// One look: what is wanted is there after it, and how many changes it took.
async fn reconcile(registry: &mut dyn Registry, services: &[Service]) -> usize {
    let entries: Vec<Entry> =
        services.iter().map(|service| registry.entry(service).unwrap()).collect();
    let wanted = entries.iter().map(|entry| (entry.key.clone(), entry.clone())).collect();
    let observed = registry.observe().await.unwrap();
    let plan = plan(&wanted, &observed, &BTreeSet::new());
    let puts: Vec<Entry> = plan.put.iter().map(|(entry, _)| entry.clone()).collect();
    if !puts.is_empty() {
        registry.announce(&puts).await.unwrap();
    }
    for entry in &puts {
        registry.put(entry).await.unwrap();
    }
    for (held, _) in &plan.remove {
        registry.remove(held).await.unwrap();
    }
    puts.len() + plan.remove.len() + plan.refused.len()
}

fn etcd(server: &EtcdServer) -> Arc<dyn KeyValue> {
    let url = StoreUrl::parse(&format!("etcd://{}", server.hosts().join(",")), 1).unwrap();
    Arc::new(Etcd::open(&url, &StoreOptions::default()).unwrap())
}

fn etcd_keys(server: &EtcdServer) -> BTreeMap<String, String> {
    let text = server.control(&["get", "--prefix", "/services/"]).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_has_one_key_for_each_service_and_each_host_its_own() {
    let server = EtcdServer::start(&EtcdOptions::default()).unwrap();
    let open = |host: &str| Keys::new(etcd(&server), "/services", host, Some(TERM));
    let (mut one, mut two) = (open("one"), open("two"));
    let ours = [service("one:web:80", 8000, &[]), service("one:web:53:udp", 53, &[])];
    let theirs = [service("two:web:80", 8000, &[])];
    assert_eq!(reconcile(&mut one, &ours).await, 2);
    assert_eq!(reconcile(&mut two, &theirs).await, 1);
    let keys = etcd_keys(&server);
    assert_eq!(
        keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(),
        [
            ("/services/web/one:web:53:udp", "10.0.0.1:53"),
            ("/services/web/one:web:80", "10.0.0.1:8000"),
            ("/services/web/two:web:80", "10.0.0.1:8000"),
        ]
    );
    assert_eq!(reconcile(&mut one, &ours).await, 0, "what is right is not touched");
    assert!(one.refresh().await.unwrap());

    // Crashed, and meanwhile one container went and the other's port changed.
    drop(one);
    let mut one = open("one");
    assert_eq!(reconcile(&mut one, &[service("one:web:80", 8001, &[])]).await, 2);
    let keys = etcd_keys(&server);
    assert_eq!(keys.get("/services/web/one:web:80").map(String::as_str), Some("10.0.0.1:8001"));
    assert_eq!(keys.len(), 2, "{keys:?}");

    // The list holds the values of now and of before, however often they change.
    for port in 8002..8006 {
        assert_eq!(reconcile(&mut one, &[service("one:web:80", port, &[])]).await, 1);
    }
    let list = server.control(&["get", "/services-registrators/one"]).unwrap();
    assert_eq!(list.matches("10.0.0.1:").count(), 2, "{list}");

    // What somebody else wrote over it is theirs, and stays.
    server.control(&["put", "/services/web/one:web:80", "10.9.9.9:1"]).unwrap();
    assert_eq!(reconcile(&mut one, &[]).await, 0);
    assert_eq!(etcd_keys(&server).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_hosts_keys_run_out_and_a_lost_lease_is_noticed() {
    let server = EtcdServer::start(&EtcdOptions::default()).unwrap();
    let term = Term { ttl: Duration::from_secs(2), refresh: Duration::from_secs(1) };
    let mut keys = Keys::new(etcd(&server), "/services", "one", Some(term));
    let ours = [service("one:web:80", 8000, &[])];
    assert_eq!(reconcile(&mut keys, &ours).await, 1);
    swarm_testkit::stores::told::eventually(async || {
        if etcd_keys(&server).is_empty() { Ok(()) } else { Err(missing("still there")) }
    })
    .await;
    let lists = server.control(&["get", "--prefix", "/services-registrators/"]).unwrap();
    assert_eq!(lists, "", "the list goes with them");
    assert!(!keys.refresh().await.unwrap());
    assert_eq!(reconcile(&mut keys, &ours).await, 1);
    assert_eq!(etcd_keys(&server).len(), 1);
}

fn missing(text: &str) -> swarm_kv::StoreError {
    swarm_kv::StoreError::Unreachable { store: "etcd".to_owned(), reason: text.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn consuls_store_is_written_as_etcd_is_without_the_slash() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let url = StoreUrl::parse(&server.url(""), 1).unwrap();
    let open = || {
        let store = Arc::new(Consul::open(&url, &StoreOptions::default()).unwrap());
        Keys::new(store, "services", "one", Some(TERM))
    };
    let keys = || -> Vec<String> {
        let text = server.ask(0, "GET", "/v1/kv/?keys", "").unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut one = open();
    let ours = [service("one:web:80", 8000, &[])];
    assert_eq!(reconcile(&mut one, &ours).await, 1);
    assert_eq!(keys(), ["services-registrators/one", "services/web/one:web:80"]);
    let value = server.ask(0, "GET", "/v1/kv/services/web/one:web:80?raw", "").unwrap();
    assert_eq!(value, "10.0.0.1:8000");
    // After a crash it is written again under the new session, and then is right.
    let mut one = open();
    assert_eq!(reconcile(&mut one, &ours).await, 1);
    assert_eq!(reconcile(&mut one, &ours).await, 0);
    assert_eq!(reconcile(&mut one, &[]).await, 1);
    assert_eq!(keys(), Vec::<String>::new(), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_has_services_with_checks_and_marks() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let url = StoreUrl::parse(&server.url(""), 1).unwrap();
    let open = |host: &str, cleanup| {
        let catalogue = Catalogue::open(&url, &StoreOptions::default()).unwrap();
        ConsulServices::new(catalogue, host, Some(TERM), cleanup)
    };
    let get = |path: &str| -> Value {
        serde_json::from_str(&server.ask(0, "GET", path, "").unwrap()).unwrap()
    };
    let ids = || -> Vec<String> {
        get("/v1/agent/services").as_object().unwrap().keys().cloned().collect()
    };
    let said = [("check_tcp", "true"), ("check_interval", "7s"), ("region", "eu")];
    let (mut one, mut two) = (open("one", false), open("two", false));
    let ours = [service("one:web:80", 8000, &said), service("one:web:81", 8081, &[])];
    assert_eq!(reconcile(&mut one, &ours).await, 2);
    assert_eq!(reconcile(&mut two, &[service("two:web:80", 8000, &[])]).await, 1);
    assert_eq!(reconcile(&mut one, &ours).await, 0, "what is right is not touched");
    let there = get("/v1/agent/services");
    let web = &there["one:web:80"];
    assert_eq!(
        (&web["Service"], &web["Address"], &web["Port"]),
        (&"web".into(), &"10.0.0.1".into(), &8000.into())
    );
    assert_eq!(web["Tags"], serde_json::json!(["a", "udp"]));
    assert_eq!(
        (&web["Meta"]["region"], &web["Meta"]["registrator-host"]),
        (&"eu".into(), &"one".into())
    );
    let checks = get("/v1/agent/checks");
    assert_eq!(checks["service:one:web:80"]["Type"], "tcp");
    assert_eq!(checks["registrator:one:web:80"]["Status"], "passing");
    assert_eq!(checks["registrator:one:web:81"]["Type"], "ttl");
    assert!(one.refresh().await.unwrap());

    // A check that Consul has lost is noticed, and the service is registered anew.
    server.ask(0, "PUT", "/v1/agent/check/deregister/registrator:one:web:81", "").unwrap();
    assert!(!one.refresh().await.unwrap());
    assert_eq!(reconcile(&mut one, &ours).await, 1);
    assert!(one.refresh().await.unwrap());

    // After a crash what is gone is taken out, another host's and unmarked ones are not.
    let other = r#"{"ID":"one:old:80","Name":"old","Port":1}"#;
    server.ask(0, "PUT", "/v1/agent/service/register", other).unwrap();
    let mut one = open("one", false);
    assert_eq!(reconcile(&mut one, &ours[..1]).await, 1);
    assert_eq!(ids(), ["one:old:80", "one:web:80", "two:web:80"]);
    assert_eq!(reconcile(&mut open("one", true), &ours[..1]).await, 1);
    assert_eq!(ids(), ["one:web:80", "two:web:80"]);

    // An id that another host has is refused.
    let taken = [ours[0].clone(), service("two:web:80", 1, &[])];
    assert_eq!(reconcile(&mut one, &taken).await, 1);
    assert_eq!(get("/v1/agent/services")["two:web:80"]["Port"], 8000);
}
