//! Managers that share a real store: roles, forwarding, and how soon the next one writes when the
//! primary is killed, stopped or suspended.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use swarm_testkit::fleet::{Fleet, FleetConfig};
use swarm_testkit::stores::{AnyStore, Kind};

use crate::daemon::Daemon;
use crate::rig::{Manager, NOISE, SOON, TTL, copies, join, median};

const ENGINES: usize = 2;

/// A pool with a primary and a replica.
struct Pair {
    name: &'static str,
    url: String,
    primary: Manager,
    replica: Manager,
    _agents: Vec<Daemon>,
}

async fn pair(store: &AnyStore, fleet: &Fleet, name: &'static str) -> Pair {
    let url = store.url(name);
    let agents = join(fleet, &[&url]);
    let primary = Manager::replicated(&[&url]).await;
    primary.is("primary").await;
    let replica = Manager::replicated(&[&url]).await;
    replica.follows(&primary).await;
    primary.healthy(ENGINES).await;
    replica.healthy(ENGINES).await;
    Pair { name, url, primary, replica, _agents: agents }
}

impl Pair {
    /// The primary is killed: how long nothing can be changed. A new manager follows then.
    async fn fails_over(&mut self) -> Duration {
        let next = Manager::replicated(&[&self.url]).await;
        next.follows(&self.primary).await;
        next.healthy(ENGINES).await;
        let killed = std::mem::replace(&mut self.primary, next).kill();
        let name = format!("{}-killed", self.name);
        let took = self.primary.first_write(&name, killed).await;
        // Which of the two took over is the store's choice.
        if self.primary.row("Role").await != "primary" {
            std::mem::swap(&mut self.primary, &mut self.replica);
        }
        self.primary.is("primary").await;
        self.replica.follows(&self.primary).await;
        took
    }
}

async fn replicated(kind: Kind) {
    let store = AnyStore::start(kind).unwrap();
    let fleet = Fleet::start(FleetConfig { engines: ENGINES, ..FleetConfig::default() });
    let fleet = fleet.await.unwrap();
    let pools = ["a", "b", "c"].map(|name| pair(&store, &fleet, name));
    let mut pools = join_all(pools).await;

    let (status, words) = pools[0].replica.create("through-replica").await;
    assert_eq!(status, StatusCode::CREATED, "{words}");
    assert_eq!(copies(&fleet, "through-replica").await, 1);

    let kept = store.keeps(TTL);
    let killed = median(join_all(pools.iter_mut().map(Pair::fails_over)).await);
    println!("{kind:?}: a killed primary to the first write, lock kept {kept:?}: {killed:?}");
    assert!(killed.0 <= kept + Duration::from_secs(1) + NOISE, "median and worst: {killed:?}");

    let stopped = median(join_all(pools.drain(1..).map(is_stopped)).await);
    println!("{kind:?}: a clean stop to the first write: {stopped:?}");
    assert!(stopped.0 < Duration::from_secs(1) + NOISE, "median and worst: {stopped:?}");
    is_suspended(pools.remove(0), &fleet, kept).await;
}

/// The primary is stopped in order: how long nothing can be changed.
async fn is_stopped(mut pool: Pair) -> Duration {
    pool.primary.daemon.signal("TERM");
    let took = pool.replica.first_write(&format!("{}-stopped", pool.name), Instant::now()).await;
    assert_eq!(pool.primary.daemon.wait(SOON), Some(0));
    took
}

/// The primary sleeps through its lock. What it is asked when it wakes, it does not do.
async fn is_suspended(pool: Pair, fleet: &Fleet, kept: Duration) {
    let Pair { primary, replica, .. } = &pool;
    primary.daemon.signal("STOP");
    // A change that waits for a manager that sleeps holds nobody else up: another manager is asked.
    replica.is("primary").await;
    let took = replica.first_write("late", Instant::now()).await;
    println!("the first write was {took:?} after the next primary was there; lock kept {kept:?}");
    assert_eq!(copies(fleet, "late").await, 1);
    // Both are in its socket before it wakes: the name that is taken by now, and a new one.
    let asked = async { tokio::join!(primary.create("late"), primary.create("woken")) };
    let wakes = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        primary.daemon.signal("CONT");
    };
    let ((late, woken), ()) = tokio::join!(asked, wakes);
    let refused = [StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE];
    assert!(refused.contains(&late.0), "{late:?}");
    assert_eq!(copies(fleet, "late").await, 1, "it is not made twice");
    let made = usize::from(woken.0 == StatusCode::CREATED);
    assert!(made == 1 || woken.0 == StatusCode::SERVICE_UNAVAILABLE, "{woken:?}");
    assert_eq!(copies(fleet, "woken").await, made);
    primary.follows(replica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_replicate_over_consul() {
    Box::pin(replicated(Kind::Consul)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_replicate_over_etcd() {
    Box::pin(replicated(Kind::Etcd)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_replicate_over_zookeeper() {
    Box::pin(replicated(Kind::ZooKeeper)).await;
}
