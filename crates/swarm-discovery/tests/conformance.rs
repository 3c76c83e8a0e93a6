//! The shared conformance test over every backend that stands.

#![allow(clippy::unwrap_used)] // A test's helpers may fail as its tests may.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use swarm_discovery::conformance::{Subject, check};
use swarm_discovery::{Discovery, DiscoveryBackend, DiscoveryOptions, Entry};

fn parse(url: &str) -> Arc<dyn DiscoveryBackend> {
    Discovery::parse(url, &DiscoveryOptions::new()).unwrap()
}

struct Nodes(Arc<dyn DiscoveryBackend>);

#[async_trait]
impl Subject for Nodes {
    fn backend(&self) -> Arc<dyn DiscoveryBackend> {
        Arc::clone(&self.0)
    }
    fn initial(&self) -> Vec<Entry> {
        ["10.0.0.9:2375", "10.0.0.10:2375", "unix:///run/a.sock"].map(|a| a.parse().unwrap()).into()
    }
    async fn set(&self, _entries: &[Entry]) -> bool {
        false
    }
    async fn spoil(&self) -> bool {
        false
    }
    fn registers(&self) -> bool {
        false
    }
}

/// How a file may be spoilt and mended.
#[derive(Clone, Copy)]
enum Spoil {
    Remove,
    BadLine,
}

struct File {
    path: PathBuf,
    spoil: Spoil,
    backend: Arc<dyn DiscoveryBackend>,
}

#[async_trait]
impl Subject for File {
    fn backend(&self) -> Arc<dyn DiscoveryBackend> {
        Arc::clone(&self.backend)
    }
    fn initial(&self) -> Vec<Entry> {
        ["10.0.0.1:2375", "unix:///run/a.sock"].map(|a| a.parse().unwrap()).into()
    }
    async fn set(&self, entries: &[Entry]) -> bool {
        let lines: Vec<_> = entries.iter().map(|entry| format!("{entry}\n")).collect();
        match self.spoil {
            // As an editor does: a new file in the old one's place.
            Spoil::Remove => {
                let new = self.path.with_extension("new");
                std::fs::write(&new, lines.concat()).unwrap();
                std::fs::rename(&new, &self.path).unwrap();
            }
            Spoil::BadLine => std::fs::write(&self.path, lines.concat()).unwrap(),
        }
        true
    }
    async fn spoil(&self) -> bool {
        match self.spoil {
            Spoil::Remove => std::fs::remove_file(&self.path).unwrap(),
            Spoil::BadLine => std::fs::write(&self.path, "10.0.0.1:2375\nno address\n").unwrap(),
        }
        true
    }
    fn registers(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_conforms() {
    check(&Nodes(parse("nodes://10.0.0.[9:10]:2375,unix:///run/a.sock"))).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_conforms() {
    for spoil in [Spoil::Remove, Spoil::BadLine] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.txt");
        let backend = parse(&format!("file://{}", path.display()));
        let subject = File { path, spoil, backend };
        assert!(subject.set(&subject.initial()).await);
        check(&subject).await;
    }
}
