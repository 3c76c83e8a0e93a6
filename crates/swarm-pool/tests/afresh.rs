//! The two options that read engines before a list, and the clocks of engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::time::Duration;

use http::Method;
use rig::{LONG, Named, Rig, config, direct, eventually, list};
use serde_json::json;
use swarm_pool::PoolConfig;
use swarm_testkit::fleet::{Fleet, FleetConfig};

/// How many containers are made for one answer: a manager that begins to lead reads its engines
/// once more, which may show one of them unasked.
const MADE: usize = 4;

/// Whether lists show containers that were just made beside the manager, without an event.
async fn sees_what_no_event_told(config: PoolConfig, filters: &str) -> bool {
    let rig = Rig::with(FleetConfig { engines: 2, ..FleetConfig::default() }, config).await;
    let engine = rig.fleet.engine(1);
    let filters = filters.replace("NODE", engine.name());
    engine.lose_events(true);
    let mut seen = 0;
    for number in 0..MADE {
        let path = format!("/containers/create?name=beside-{number}");
        direct(engine, Method::POST, &path, &json!({"Image": "busybox"})).await.unwrap();
        let listed = list(&rig.pool, &[("all", "1"), ("filters", &filters)]).await;
        let name = format!("/{}/beside-{number}", engine.name());
        seen += usize::from(listed.iter().any(|container| container["Names"][0] == *name));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seen == MADE
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_node_reads_the_node_first_where_asked_to() {
    let by_node = r#"{"node":["NODE"]}"#;
    assert!(!sees_what_no_event_told(config(), by_node).await);
    let asked = PoolConfig { refresh_on_node_filter: true, ..config() };
    assert!(sees_what_no_event_told(asked, by_node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_the_name_that_was_given_reads_the_engines_first() {
    let by_name = r#"{"name":["beside"]}"#;
    assert!(!sees_what_no_event_told(config(), by_name).await);
    let of = |name: &str| PoolConfig { refresh_on_name: Some(name.to_owned()), ..config() };
    assert!(!sees_what_no_event_told(of("another"), by_name).await);
    assert!(sees_what_no_event_told(of("beside"), by_name).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_shown_with_its_node() {
    let fleet = Fleet::start(FleetConfig { engines: 2, ..FleetConfig::default() }).await.unwrap();
    fleet.engine(1).skew(-90_000);
    let named = Named::of(fleet.engines());
    let rig = Rig::over(fleet, named, config());
    rig.all_healthy(LONG).await;
    let (right, wrong) = (rig.fleet.engine(0), rig.fleet.engine(1));
    eventually("the clock is shown", LONG, async || {
        let clock = rig.row(wrong, "Clock").await;
        clock.is_some_and(|clock| clock.ends_with(" s behind the manager's"))
    })
    .await;
    assert_eq!(rig.row(right, "Clock").await, None);
}
