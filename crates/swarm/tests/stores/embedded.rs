//! Three managers that keep the store themselves: how soon the next one writes when the primary is
//! killed, which leads the store too.

use std::path::Path;
use std::time::{Duration, Instant};

use swarm_testkit::fleet::{Fleet, FleetConfig};
use swarm_testkit::stores::free_port;
use tempfile::TempDir;

use crate::rig::{Manager, NOISE, SOON, TTL, median, until};

/// How often the primary is killed.
const ROUNDS: usize = 3;

/// The managers, each with its folder and the address of its store.
struct Managers {
    folders: [TempDir; 3],
    stores: [String; 3],
    running: [Option<Manager>; 3],
    engines: String,
}

impl Managers {
    async fn start(fleet: &Fleet) -> Self {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let stores = [(); 3].map(|()| format!("127.0.0.1:{}", free_port().unwrap()));
        let engines = fleet.discovery_url();
        let mut managers = Self { folders, stores, running: [None, None, None], engines };
        for number in 0..3 {
            managers.begin(number).await;
        }
        // Until they are voters the first one is the whole store.
        let leader = &managers.one(0).daemon;
        until("all three are voters", leader, async || {
            leader.log().matches("counts towards the quorum now").count() == 2
        })
        .await;
        managers.all_follow().await;
        managers
    }

    fn folder(&self, number: usize) -> &Path {
        self.folders[number].path()
    }

    /// Starts one, for the first time or again.
    async fn begin(&mut self, number: usize) {
        let folder = self.folder(number).display().to_string();
        let token = self.folder(0).join("join-token.manager").display().to_string();
        let mut arguments = vec!["--data-dir", &folder, "--store-listen", &self.stores[number]];
        if number > 0 {
            arguments.extend(["--store-join", &self.stores[0], "--store-token-file", &token]);
        }
        arguments.push(&self.engines);
        let manager = Manager::replicated(&arguments).await;
        if number == 0 {
            let token = Path::new(&token);
            until("there is a token", &manager.daemon, async || token.exists()).await;
        }
        self.running[number] = Some(manager);
    }

    fn one(&self, number: usize) -> &Manager {
        self.running[number].as_ref().unwrap()
    }

    /// Which of them is the primary.
    async fn primary(&self) -> usize {
        let begun = Instant::now();
        loop {
            for number in 0..3 {
                if let Some(manager) = &self.running[number]
                    && manager.row("Role").await == "primary"
                {
                    return number;
                }
            }
            assert!(begun.elapsed() < SOON, "nobody is the primary");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until one is the primary, and the others know it and see its engines.
    async fn all_follow(&self) -> usize {
        let primary = self.primary().await;
        for number in (0..3).filter(|number| *number != primary) {
            self.one(number).follows(self.one(primary)).await;
        }
        for manager in self.running.iter().flatten() {
            manager.healthy(1).await;
        }
        primary
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_replicate_over_their_own_store() {
    let fleet = Fleet::start(FleetConfig::default()).await.unwrap();
    let mut managers = Managers::start(&fleet).await;
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let primary = managers.all_follow().await;
        let killed = managers.running[primary].take().unwrap().kill();
        // Any of those that are left: both forward to whoever takes over.
        let other = managers.one((primary + 1) % 3);
        took.push(other.first_write(&format!("killed-{round}"), killed).await);
        managers.begin(primary).await;
    }
    println!("a killed primary to the first write, one after the other: {took:?}");
    let killed = median(took);
    println!("median and worst: {killed:?}, the lock kept {TTL:?}");
    assert!(killed.0 <= TTL + Duration::from_secs(1) + NOISE, "median and worst: {killed:?}");

    let primary = managers.all_follow().await;
    let mut stopping = managers.running[primary].take().unwrap();
    stopping.daemon.signal("TERM");
    let took = managers.one((primary + 1) % 3).first_write("stopped", Instant::now()).await;
    assert_eq!(stopping.daemon.wait(SOON), Some(0));
    println!("a clean stop to the first write: {took:?}");
    assert!(took < Duration::from_secs(1) + NOISE, "{took:?}");

    // It will not be back. Asked once more, because nobody heard its answer, it has left.
    let folder = managers.folder(primary).display().to_string();
    for time in ["at first", "again"] {
        let mut leave = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
        leave.args(["manage", "--data-dir", &folder, "--store-leave"]);
        leave.args(["--store-listen", &managers.stores[primary], "swarm://"]);
        let begun = Instant::now();
        let output = leave.timeout(SOON * 2).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("left the managers' store"), "{said}");
        println!("it leaves {time} after {:?}", begun.elapsed());
    }
}
