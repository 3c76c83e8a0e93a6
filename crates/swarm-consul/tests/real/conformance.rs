//! What every store must do, done by Consul: one server, and the leader's followers of a cluster.

use std::time::Duration;

use swarm_testkit::stores::conformance;
use swarm_testkit::stores::consul::{Config, ConsulServer};

use crate::opening::plain;

/// The shortest lease there is.
const TTL: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn one_server_passes() {
    let server = ConsulServer::start(Config::default()).unwrap();
    let (store, other) = (plain(&server.url("")), plain(&server.url("elsewhere")));
    conformance::check(&store, &other, "docker/swarm", TTL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_passes_whichever_server_is_asked() {
    let servers = ConsulServer::start(Config { servers: 3, ..Config::default() }).unwrap();
    let leader = servers.leader().unwrap();
    let at = |number: usize| plain(&format!("consul://{}", servers.address(number % 3)));
    let (store, other) = (at(leader + 1), at(leader + 2));
    conformance::check(&store, &other, "docker/swarm", TTL).await;
}
