//! Managers and agents of a pool as processes of their own.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use swarm_backend::full;
use swarm_engine::{ClientOptions, EngineClient, Outgoing, read_body};
use swarm_testkit::fleet::Fleet;
use swarm_testkit::stores::free_port;

use crate::daemon::Daemon;

/// Far more than anything here takes, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(30);
/// What the managers' lock is asked for.
pub const TTL: Duration = Duration::from_secs(3);
/// What a machine that runs other tests too may add to any of the times here.
pub const NOISE: Duration = Duration::from_millis(500);

/// One `swarm manage`.
pub struct Manager {
    pub daemon: Daemon,
    /// Where it is reached, by clients and the other managers.
    pub address: String,
    client: EngineClient,
}

impl Manager {
    /// Starts one that takes part in an election, and waits until it answers. `arguments` end with
    /// the discovery, if there is one.
    pub async fn replicated(arguments: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let ttl = format!("{}s", TTL.as_secs());
        let own = ["--replication", "--replication-ttl", &ttl, "--advertise", &address];
        Self::at(&address, &[&own[..], arguments].concat()).await
    }

    /// Starts one with these arguments, and waits until it answers.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::at(&format!("127.0.0.1:{}", free_port().unwrap()), arguments).await
    }

    async fn at(address: &str, arguments: &[&str]) -> Self {
        let host = format!("tcp://{address}");
        let daemon = Daemon::start(&[&["manage", "--host", &host], arguments].concat(), &[]);
        let address = daemon.tcp_address().await;
        let client = client(&address);
        Self { daemon, address, client }
    }

    /// The rows of its `info`.
    pub async fn rows(&self) -> Vec<(String, String)> {
        let Ok(info) = self.client.get_json::<Value>("/info", SOON).await else { return vec![] };
        let rows = info["SystemStatus"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
        rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
    }

    /// A row of its `info`; empty where it has none.
    pub async fn row(&self, name: &str) -> String {
        let row = self.rows().await.into_iter().find(|(key, _)| key == name);
        row.map(|(_, value)| value).unwrap_or_default()
    }

    /// The warnings of its `info`.
    pub async fn warnings(&self) -> String {
        let info: Value = self.client.get_json("/info", SOON).await.unwrap();
        info["Warnings"].to_string()
    }

    /// Waits until so many engines are healthy.
    pub async fn healthy(&self, engines: usize) {
        until("the engines are healthy", &self.daemon, async || {
            self.rows().await.iter().filter(|(_, value)| value == "Healthy").count() == engines
        })
        .await;
    }

    /// Waits until its `info` shows it in that role.
    pub async fn is(&self, role: &str) -> Duration {
        until(role, &self.daemon, async || self.row("Role").await == role).await
    }

    /// Waits until its `info` shows it as that one's replica.
    pub async fn follows(&self, primary: &Self) {
        until("it follows", &self.daemon, async || {
            self.row("Role").await == "replica" && self.row("Primary").await == primary.address
        })
        .await;
    }

    /// Asks for a container; the status and the words.
    pub async fn create(&self, name: &str) -> (StatusCode, String) {
        let mut create = Outgoing::get(format!("/v1.41/containers/create?name={name}"));
        create.method = http::Method::POST;
        create.headers.insert("content-type", "application/json".parse().unwrap());
        create.body = full(json!({"Image": "busybox"}).to_string());
        match self.client.send(create, Some(SOON)).await {
            Ok(reply) => {
                let status = reply.status;
                let body = read_body(reply.body, 1 << 20).await.unwrap_or_default();
                (status, String::from_utf8_lossy(&body).into_owned())
            }
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }

    /// Asks for a container until it is made; how long that was refused.
    pub async fn first_write(&self, name: &str, since: Instant) -> Duration {
        loop {
            let (status, words) = self.create(name).await;
            if status == StatusCode::CREATED {
                return since.elapsed();
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{words}");
            assert!(since.elapsed() < SOON, "{words}\n{}", self.daemon.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGKILL: its machine is gone, for all that the others know.
    pub fn kill(mut self) -> Instant {
        self.daemon.signal("KILL");
        let killed = Instant::now();
        assert_eq!(self.daemon.wait(SOON), None);
        killed
    }
}

/// `swarm join` of each engine of a fleet.
pub fn join(fleet: &Fleet, store: &[&str]) -> Vec<Daemon> {
    let addresses = fleet.addresses().into_iter().map(|address| address.to_string());
    let agents = addresses.map(|address| {
        let own = ["join", "--advertise", &address, "--heartbeat", "1s", "--ttl", "30s"];
        Daemon::start(&[&own[..], store].concat(), &[])
    });
    agents.collect()
}

/// How many containers of this name there are on all engines, as the engines say.
pub async fn copies(fleet: &Fleet, name: &str) -> usize {
    let mut copies = 0;
    for address in fleet.addresses() {
        let engine = client(&address.to_string());
        let path = "/v1.41/containers/json?all=1";
        let all: Vec<Value> = engine.get_json(path, SOON).await.unwrap();
        let wanted = json!([format!("/{name}")]);
        copies += all.iter().filter(|container| container["Names"] == wanted).count();
    }
    copies
}

fn client(address: &str) -> EngineClient {
    EngineClient::new(address.parse().unwrap(), ClientOptions::default())
}

/// Waits until it holds; how long that took.
pub async fn until(what: &str, daemon: &Daemon, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// The one in the middle, and the worst.
pub fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}
