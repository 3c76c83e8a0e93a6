//! A pool of managers in one process, each with a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_kv::{Secret, StoreError, StoreUrl};
use swarm_raft::{DEFAULT_PORT, Embedded, EmbeddedOptions, Join, Member};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The managers of a test.
#[derive(Debug)]
pub struct Pool {
    pub folders: Vec<TempDir>,
    pub managers: Vec<Arc<Embedded>>,
}

/// Waits until `met` says so.
pub async fn eventually<T>(what: &str, mut met: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(met) = met().await {
            return met;
        }
        assert!(Instant::now() < until, "it never came to pass that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A URL of managers.
pub fn url(hosts: &[&str]) -> StoreUrl {
    StoreUrl::parse(&format!("swarm://{}", hosts.join(",")), DEFAULT_PORT).unwrap()
}

/// Listens on `address`, which may still be held by one that is just ending.
pub async fn listen(address: &str) -> TcpListener {
    eventually("an address is free", async || TcpListener::bind(address).await.ok()).await
}

/// Options of a manager that is reached at `address`.
pub async fn options(folder: impl Into<PathBuf>, address: &str) -> EmbeddedOptions {
    EmbeddedOptions { listen: Some(listen(address).await), ..EmbeddedOptions::new(folder) }
}

/// Opens a manager; its folder may still be held by one that is just ending.
pub async fn open(folder: &TempDir, address: &str) -> Arc<Embedded> {
    eventually("a folder is free", async || {
        Embedded::open(options(folder.path(), address).await).await.ok()
    })
    .await
}

/// Joins a manager to others.
pub async fn join(
    folder: &TempDir,
    peers: &[&Embedded],
    token: &Secret,
) -> Result<Arc<Embedded>, StoreError> {
    let mut options = options(folder.path(), "127.0.0.1:0").await;
    let peers = peers.iter().map(|peer| peer.address().to_owned()).collect();
    options.join = Some(Join { peers, token: token.clone() });
    Embedded::open(options).await
}

impl Pool {
    /// A pool of `count` managers, all of them voters.
    pub async fn of(count: usize) -> Self {
        let mut pool = Self { folders: Vec::new(), managers: Vec::new() };
        let folder = folder();
        pool.managers.push(open(&folder, "127.0.0.1:0").await);
        pool.folders.push(folder);
        while pool.managers.len() < count {
            pool.grow().await;
        }
        pool.all_vote(count).await;
        pool
    }

    /// One more manager.
    pub async fn grow(&mut self) -> Arc<Embedded> {
        let folder = folder();
        let first = Arc::clone(&self.managers[0]);
        let token = eventually("there are tokens", async || first.tokens().await.ok()).await;
        let manager = join(&folder, &[&first], &token.manager).await.unwrap();
        self.managers.push(Arc::clone(&manager));
        self.folders.push(folder);
        manager
    }

    /// Waits until every manager knows `count` voters, all of them there, and a leader.
    pub async fn all_vote(&self, count: usize) {
        for manager in &self.managers {
            eventually("all managers vote", async || {
                let members = manager.members().await;
                let votes = |member: &Member| member.is_voter && member.reachable;
                let led = members.iter().any(|member| member.is_leader);
                (led && members.len() == count && members.iter().all(votes)).then_some(())
            })
            .await;
        }
    }

    /// The place of the one that leads.
    pub async fn leader(&self) -> usize {
        eventually("somebody leads", async || {
            self.managers.iter().position(|manager| manager.is_leader())
        })
        .await
    }

    /// Ends all.
    pub async fn shutdown(self) {
        for manager in &self.managers {
            manager.shutdown().await;
        }
    }
}

/// A new folder.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
