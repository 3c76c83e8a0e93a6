//! What an idle pool of 1,000 nodes with three managers costs on the wire: every manager is reached
//! through a meter by the others, and through another one by nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use swarm_kv::{KeyValue, StoreError, Write};
use swarm_raft::{Embedded, EmbeddedOptions, Join, Remote};
use swarm_testkit::stores::Meter;
use tokio::net::TcpListener;

use crate::pool::{self, Pool};

const NODES: usize = 1000;
/// The default of `swarm join`.
const HEARTBEAT: Duration = Duration::from_mins(1);
const TTL: Duration = Duration::from_mins(3);
/// How many processes stand for all `swarm join`s: each has a connection of its own.
const AGENTS: usize = 100;
/// How long is measured.
const MEASURED: Duration = Duration::from_secs(10);
/// Headers of TCP and IP of a piece and of what acknowledges it, where nothing goes back at once.
const HEADERS: u64 = 66;

/// A manager, and the meters before it.
struct Metered {
    manager: Arc<Embedded>,
    peers: Meter,
    nodes: Meter,
    _folder: tempfile::TempDir,
}

impl Metered {
    async fn start(join: Option<Join>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peers = Meter::start(&address).await.unwrap();
        let nodes = Meter::start(&address).await.unwrap();
        let folder = pool::folder();
        let mut options = EmbeddedOptions::new(folder.path());
        options.listen = Some(listener);
        options.advertise = Some(peers.address());
        options.join = join;
        let manager = Embedded::open(options).await.unwrap();
        Self { manager, peers, nodes, _folder: folder }
    }
}

/// Bytes and pieces of all meters so far.
fn sum<'a>(meters: impl Iterator<Item = &'a Meter>) -> (u64, u64) {
    meters.fold((0, 0), |(bytes, pieces), meter| (bytes + meter.bytes(), pieces + meter.pieces()))
}

/// What passes per second while `work` is done, between managers and from nodes: payload, and with
/// headers.
async fn rates(managers: &[Metered], work: impl Future<Output = ()>) -> [(u64, u64); 2] {
    let now = || [sum(managers.iter().map(|m| &m.peers)), sum(managers.iter().map(|m| &m.nodes))];
    let (before, begun) = (now(), Instant::now());
    work.await;
    let (after, took) = (now(), begun.elapsed());
    [0, 1].map(|way| {
        let (bytes, pieces) = (after[way].0 - before[way].0, after[way].1 - before[way].1);
        let rate = |bytes: u64| bytes * 1000 / u64::try_from(took.as_millis()).unwrap();
        (rate(bytes), rate(bytes + HEADERS * pieces))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_of_a_thousand_nodes_stays_below_ten_kilobytes_per_second() {
    let first = Metered::start(None).await;
    let tokens = first.manager.tokens().await.unwrap();
    let mut managers = vec![first];
    for _ in 0..2 {
        let peers = vec![managers[0].peers.address()];
        managers.push(Metered::start(Some(Join { peers, token: tokens.manager.clone() })).await);
    }
    let all = managers.iter().map(|metered| Arc::clone(&metered.manager)).collect();
    Pool { folders: Vec::new(), managers: all }.all_vote(3).await;

    let hosts: Vec<_> = managers.iter().map(|metered| metered.nodes.address()).collect();
    let agents: Vec<_> = (0..AGENTS)
        .map(|number| {
            // Agents name the managers in whatever order.
            let mut hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            hosts.rotate_left(number % 3);
            Remote::open(&pool::url(&hosts), &tokens.node, Duration::from_secs(5)).unwrap()
        })
        .collect();
    let register = async |number: usize| {
        let agent = &agents[number % AGENTS];
        let lease = agent.grant(TTL).await.unwrap();
        let node = format!("10.0.{}.{}:2375", number / 250, number % 250);
        let key = format!("docker/swarm/nodes/{node}");
        agent.put(Write::new(key, node).leased(&lease)).await.unwrap();
        lease
    };
    let leases: Vec<_> = stream::iter(0..NODES).map(register).buffered(64).collect().await;
    // Managers watch the nodes.
    let mut watches: Vec<_> =
        managers.iter().map(|m| m.manager.watch("docker/swarm/nodes")).collect();
    for watch in &mut watches {
        watch.next().await.unwrap().unwrap();
    }

    let [peers, nodes] = rates(&managers, tokio::time::sleep(MEASURED / 3)).await;
    println!("without renewals: managers {peers:?}, nodes {nodes:?} bytes/s (with headers)");
    let pause = HEARTBEAT / u32::try_from(NODES).unwrap();
    let renewals = u32::try_from(MEASURED.as_micros() / pause.as_micros()).unwrap();
    let begun = tokio::time::Instant::now();
    let renew = async |number: u32| {
        tokio::time::sleep_until(begun + pause * number).await;
        let number = usize::try_from(number).unwrap();
        let asked = Instant::now();
        // As agents do, it asks again where no answer came in time.
        while let Err(error) = agents[number % AGENTS].renew(&leases[number % NODES]).await {
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
            println!("renewal {number} after {:?}: {error}", asked.elapsed());
        }
        asked.elapsed()
    };
    let mut took = Vec::new();
    let [peers, nodes] = rates(&managers, async {
        took = stream::iter(0..renewals).map(renew).buffer_unordered(NODES).collect().await;
    })
    .await;
    took.sort();
    println!("{} renewals, the slowest took {:?}", took.len(), took.last());
    println!("with renewals: managers {peers:?}, nodes {nodes:?} bytes/s (with headers)");
    let all = peers.0 + nodes.0;
    assert!(all < 10_000, "{all} bytes/s");
    for metered in &managers {
        metered.manager.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_were_gathered_are_each_answered_for_themselves() {
    let pool = Pool::of(3).await;
    for manager in &pool.managers {
        let leases = [manager.grant(TTL).await.unwrap(), manager.grant(TTL).await.unwrap()];
        let short = manager.grant(Duration::from_secs(20)).await.unwrap();
        let begun = Instant::now();
        manager.renew(&short).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "a short lease does not wait");
        let ending = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            manager.revoke(&leases[1]).await.unwrap();
        };
        let (kept, over, ()) =
            tokio::join!(manager.renew(&leases[0]), manager.renew(&leases[1]), ending);
        assert_eq!(kept, Ok(()));
        assert_eq!(over, Err(StoreError::LeaseLost { id: leases[1].id.clone() }));
        let late = manager.renew(&leases[1]).await;
        assert_eq!(late, Err(StoreError::LeaseLost { id: leases[1].id.clone() }));
    }
    pool.shutdown().await;
}
