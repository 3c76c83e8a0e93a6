//! An engine whose owner wants no new containers on it is served and not chosen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use http::Method;
use rig::{LONG, Named, Rig, act, config, create, direct, eventually, names, node_of};
use serde_json::{Value, json};
use swarm_testkit::fleet::{Fleet, FleetConfig};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_in_maintenance_keeps_its_containers_and_gets_no_new_ones() {
    // The label's value is the engine's number: 0 means no, 1 means yes.
    let labels = vec!["com.docker.swarm.maintenance={i}".to_owned()];
    let fleet =
        Fleet::start(FleetConfig { engines: 2, labels, ..FleetConfig::default() }).await.unwrap();
    let named = Named::of(fleet.engines());
    let rig = Rig::over(fleet, named, config());
    let (open, resting) = (rig.fleet.engine(0), rig.fleet.engine(1));
    rig.status(open, "Healthy", LONG).await;
    rig.status(resting, "Maintenance", LONG).await;

    for i in 0..4 {
        create(&rig.pool, &format!("web-{i}"), json!({})).await.unwrap();
        assert_eq!(node_of(&rig.pool, &format!("web-{i}")).await, open.name());
    }
    let wish = json!({"Env": [format!("constraint:node=={}", resting.name())]});
    let refusal = create(&rig.pool, "no", wish).await.unwrap_err();
    assert!(refusal.message.contains("is in maintenance"), "{}", refusal.message);

    let path = "/containers/create?name=old";
    direct(resting, Method::POST, path, &json!({"Image": "busybox"})).await.unwrap();
    eventually("what is on it is listed", LONG, async || {
        names(&rig.pool).await.iter().any(|name| name.ends_with("/old"))
    })
    .await;
    act(&rig.pool, "old", "start", &Value::Null).await.unwrap();
}
