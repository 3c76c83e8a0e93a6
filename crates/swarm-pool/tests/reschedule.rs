//! Containers that move when their engine fails, over simulated engines.

mod rig;

use std::time::Duration;

use rig::{LONG, Rig, config, eventually};
use serde_json::{Value, json};
use swarm_model::{Intent, Policy};
use swarm_pool::{PoolConfig, RescheduleConfig};
use swarm_testkit::fleet::FleetConfig;

fn quick(policy: Policy) -> PoolConfig {
    let grace = Duration::from_millis(500);
    PoolConfig {
        reschedule: RescheduleConfig { policy, grace, ..RescheduleConfig::default() },
        ..config()
    }
}

async fn rig(policy: Policy) -> Rig {
    Rig::with(FleetConfig { engines: 3, ..FleetConfig::default() }, quick(policy)).await
}

fn on_failure(more: &Value) -> Value {
    let mut body = json!({"Image": "app:1", "Env": ["reschedule:on-node-failure"]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// The engine that has a container of this name, by what the engines themselves say.
fn holders(rig: &Rig, name: &str) -> Vec<usize> {
    let engines = rig.fleet.engines().iter().enumerate();
    engines.filter(|(_, engine)| engine.container(name).is_some()).map(|(at, _)| at).collect()
}

async fn intents(rig: &Rig) -> Vec<Intent> {
    use swarm_kv::KeyValue as _;
    let kept = rig.store.list("docker/swarm/intents").await.unwrap();
    kept.iter().map(|item| Intent::parse(&item.value).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_moves_when_its_engine_fails_and_its_old_copy_goes_when_it_returns() {
    let rig = rig(Policy::Off).await;
    rig.create("web", on_failure(&json!({}))).await.unwrap();
    rig.start("web").await.unwrap();
    rig.create("plain", json!({"Image": "app:1"})).await.unwrap();
    let [at] = holders(&rig, "web")[..] else { unreachable!("one engine has it") };
    rig.fleet.engines()[at].silence();
    eventually("web runs elsewhere", LONG, async || {
        holders(&rig, "web").iter().any(|other| {
            *other != at && rig.fleet.engines()[*other].container("web").unwrap().running
        })
    })
    .await;
    let found = rig.inspect("web").await.unwrap();
    assert_eq!(found["State"]["Running"], true);
    let kept = intents(&rig).await;
    let web = kept.iter().find(|intent| intent.name == "web").unwrap();
    assert_eq!((web.generation, web.moves.len()), (2, 1));
    rig.fleet.engines()[at].speak();
    eventually("the stale copy is gone", LONG, async || holders(&rig, "web").len() == 1).await;
    assert!(!holders(&rig, "web").contains(&at));
}
