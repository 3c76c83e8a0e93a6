//! What every store must do, done by real servers: open ones, and ones with users.

use std::time::Duration;

use swarm_testkit::stores::conformance::check;
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};

use crate::opening::{open, plain, with_user};

/// The shortest session of a server with ticks of 2 s.
const TTL: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_users() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let (store, other) = (plain(&server.url("")), plain(&server.url("")));
    check(&store, &other, "pool/docker/swarm", TTL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_users() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let options = with_user("swarm", "open:sesame");
    let (store, other) = (open(&server.url(""), &options), open(&server.url(""), &options));
    check(&store, &other, "pool/docker/swarm", TTL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ensemble() {
    let servers = ZooKeeperServer::start(Config { servers: 3, ..Config::default() }).unwrap();
    // Each client is at another server, so that what one wrote has to get to the other.
    let at = |number: usize| plain(&format!("zk://{}", servers.address(number)));
    check(&at(0), &at(1), "a", TTL).await;
    check(&at(2), &plain(&servers.url("")), "b", TTL).await;
}
