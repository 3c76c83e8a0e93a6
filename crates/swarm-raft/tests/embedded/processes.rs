//! Three managers as processes of their own, killed and frozen at random while clients count up one
//! number through them: nothing that was answered is lost or done twice, and a leader that slept
//! answers nothing old.

use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use swarm_kv::{KeyValue as _, Secret};
use swarm_raft::{Embedded, Join, Remote};
use swarm_testkit::stores::{Server, free_port};

use crate::pool::{self, PATIENCE, eventually, url};
use crate::torture::{History, KEY, increment, setting};

/// Where the process keeps its files, where it listens, and whom it joins: `ADDRESS TOKEN`.
const FOLDER: &str = "SWARM_RAFT_TEST_MANAGER";
const LISTEN: &str = "SWARM_RAFT_TEST_LISTEN";
const JOIN: &str = "SWARM_RAFT_TEST_JOIN";
/// The file in which a manager writes its pool's manager token.
const TOKEN: &str = "token";

async fn run(folder: &Path, address: &str, join: Option<Join>) -> Arc<Embedded> {
    let mut options = pool::options(folder.join("data"), address).await;
    options.join = join;
    let manager = Embedded::open(options).await.unwrap();
    let tokens = eventually("there are tokens", async || manager.tokens().await.ok()).await;
    std::fs::write(folder.join(TOKEN), tokens.manager.reveal()).unwrap();
    manager
}

/// The process; without a folder in its environment it runs one for a moment and asks it.
#[tokio::test(flavor = "multi_thread")]
async fn manager() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let join = std::env::var(JOIN).ok().map(|join| {
            let (peer, token) = join.split_once(' ').unwrap();
            Join { peers: vec![peer.to_owned()], token: Secret::new(token) }
        });
        let address = std::env::var(LISTEN).unwrap();
        let _manager = run(&PathBuf::from(folder), &address, join).await;
        return std::future::pending().await;
    }
    let folder = pool::folder();
    let manager = run(folder.path(), "127.0.0.1:0", None).await;
    let token = Secret::new(std::fs::read_to_string(folder.path().join(TOKEN)).unwrap());
    let remote = Remote::open(&url(&[manager.address()]), &token, PATIENCE).unwrap();
    assert_eq!(remote.list("d").await.unwrap(), []);
    manager.shutdown().await;
}

struct Process {
    server: Server,
    address: String,
    join: Option<String>,
}

impl Process {
    fn start(&mut self) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::manager", "--nocapture"]);
        command.env(FOLDER, self.server.folder()).env(LISTEN, &self.address);
        if let Some(join) = &self.join {
            command.env(JOIN, join);
        }
        self.server.start(&mut command).unwrap();
    }

    fn token(&self) -> Option<String> {
        std::fs::read_to_string(self.server.folder().join(TOKEN)).ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_frozen_managers_lose_and_double_nothing() {
    let seed = setting("SWARM_TORTURE_SEED", 3_u64);
    let rounds = setting("SWARM_TORTURE_ROUNDS", 8_usize);
    println!("seed {seed}, {rounds} rounds");
    let mut chance = StdRng::seed_from_u64(seed);
    let folder = pool::folder();
    let mut processes: Vec<Process> = Vec::new();
    for place in 0..3 {
        let server = Server::new("manager", &folder.path().join(format!("{place}"))).unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let first = processes.first();
        let join = first.and_then(|first| Some(format!("{} {}", first.address, first.token()?)));
        let mut process = Process { server, address, join };
        process.start();
        let there = process.server.folder().join(TOKEN);
        process.server.wait(PATIENCE, || there.exists()).unwrap();
        processes.push(process);
    }
    let token = Secret::new(processes[0].token().unwrap());
    let hosts: Vec<_> = processes.iter().map(|process| process.address.clone()).collect();
    let (history, over) = (Arc::new(History::default()), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..6)
        .map(|client| {
            // Each begins with another manager.
            let mut hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
            hosts.rotate_left(client % 3);
            let remote = Remote::open(&url(&hosts), &token, Duration::from_secs(5)).unwrap();
            let (history, over) = (Arc::clone(&history), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    increment(&remote, &history).await;
                }
            })
        })
        .collect();
    let goes_on = async |more: usize| {
        let before = history.answered();
        eventually("work goes on", async || (history.answered() > before + more).then_some(()))
            .await;
    };
    goes_on(20).await;
    // A read through one that is frozen is answered by another.
    let remote = Remote::open(&url(&[&hosts[2], &hosts[1]]), &token, PATIENCE / 2).unwrap();
    remote.get(KEY).await.unwrap();
    processes[2].server.freeze().unwrap();
    remote.get(KEY).await.unwrap();
    processes[2].server.thaw().unwrap();
    for _ in 0..rounds {
        let victim = &mut processes[chance.random_range(0..3)];
        let lasting = Duration::from_millis(chance.random_range(100..2500));
        let frozen = chance.random_bool(0.5);
        if frozen {
            victim.server.freeze().unwrap();
        } else {
            victim.server.crash().unwrap();
        }
        tokio::time::sleep(lasting).await;
        if frozen {
            victim.server.thaw().unwrap();
        } else {
            // Its port may be waited for a moment.
            eventually("its port is free", async || StdListener::bind(&victim.address).ok()).await;
            victim.start();
        }
        goes_on(5).await;
        let what = if frozen { "frozen" } else { "killed" };
        println!("{what} for {lasting:?}: {} answered", history.answered());
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    for process in &processes {
        let remote = Remote::open(&url(&[&process.address]), &token, PATIENCE).unwrap();
        let item = eventually("all answer", async || remote.get(KEY).await.ok()).await.unwrap();
        history.check(&item);
    }
}
