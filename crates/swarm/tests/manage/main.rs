//! `swarm manage` as a process over simulated engines: starting, following discovery, TLS,
//! signals, sockets and the service manager. Real engines are the end-to-end tests'.
#![allow(clippy::unwrap_used)] // A test's helpers may fail as its tests may.

mod daemon;
mod metrics;
mod statsd;
mod traces;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use swarm_backend::empty;
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Outgoing, TlsClient, TlsFiles};
use swarm_testkit::fleet::{Fleet, FleetConfig};

use crate::daemon::Daemon;

/// Far more than anything here takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

async fn fleet(engines: usize) -> Fleet {
    Fleet::start(FleetConfig { engines, ..FleetConfig::default() }).await.unwrap()
}

fn client(address: &str, tls: Option<TlsFiles>) -> EngineClient {
    let tls = tls.map(|files| TlsClient::load(files).unwrap());
    let address: EngineAddress = address.parse().unwrap();
    EngineClient::new(address, ClientOptions { tls, ..ClientOptions::default() })
}

/// Waits until `docker info` tells of `count` engines, all healthy.
async fn wait_for_healthy(client: &EngineClient, count: usize) {
    let until = Instant::now() + SOON;
    loop {
        let info = client.get_bytes("/info", 1 << 20, SOON).await.unwrap();
        let text = String::from_utf8_lossy(&info);
        let nodes = format!("[\"Nodes\",\"{count}\"]");
        if text.contains(&nodes) && text.matches("\"Healthy\"").count() == count {
            return;
        }
        assert!(Instant::now() < until, "no {count} healthy engines: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_a_pool_and_follows_its_file() {
    let fleet = fleet(3).await;
    let folder = tempfile::tempdir().unwrap();
    let pool = folder.path().join("pool");
    let socket = folder.path().join("swarm.sock");
    let address = format!("unix://{}", socket.display());
    let addresses: Vec<_> = fleet.addresses().iter().map(|a| format!("{a}\n")).collect();
    std::fs::write(&pool, addresses[..2].concat()).unwrap();

    let discovery = format!("file://{}", pool.display());
    let mut daemon = Daemon::start(&["manage", "-H", &address, &discovery], &[]);
    daemon.wait_for("listening on unix://").await;
    let client = client(&address, None);
    wait_for_healthy(&client, 2).await;
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    std::fs::write(&pool, addresses.concat()).unwrap();
    wait_for_healthy(&client, 3).await;
    // A bad edit costs nothing but a line in the log.
    std::fs::write(&pool, "nonsense here\n").unwrap();
    daemon.wait_for("pool:1: \"nonsense here\" has no valid port").await;
    wait_for_healthy(&client, 3).await;

    daemon.signal("TERM");
    assert_eq!(daemon.wait(SOON), Some(0));
    assert!(!socket.exists(), "the socket goes with the manager");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_in_use_is_refused_and_a_dead_one_replaced() {
    let fleet = fleet(1).await;
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/swarm.sock", folder.path().display());
    let line = ["manage", "-H", &address, &fleet.discovery_url()];

    let mut first = Daemon::start(&line, &[]);
    first.wait_for("listening on").await;
    let mut second = Daemon::start(&line, &[]);
    second.wait_for("another process listens on it").await;
    assert_eq!(second.wait(SOON), Some(1));
    wait_for_healthy(&client(&address, None), 1).await;

    first.signal("KILL");
    first.wait(SOON);
    let third = Daemon::start(&line, &[]);
    third.wait_for("listening on").await;
    wait_for_healthy(&client(&address, None), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_waited_for_until_the_second_signal() {
    let config =
        FleetConfig { engines: 1, containers_per_engine: 1, running: 1, ..FleetConfig::default() };
    let fleet = Fleet::start(config).await.unwrap();
    let line = ["manage", "-H", "tcp://127.0.0.1:0", &fleet.discovery_url()];
    for signal in ["TERM", "INT"] {
        let mut daemon = Daemon::start(&line, &[]);
        let client = client(&daemon.tcp_address().await, None);
        wait_for_healthy(&client, 1).await;
        let list: Vec<Value> = client.get_json("/containers/json", SOON).await.unwrap();
        let id = list[0]["Id"].as_str().unwrap();
        let wait = Outgoing {
            method: Method::POST,
            path_and_query: format!("/containers/{id}/wait"),
            version: None,
            headers: HeaderMap::new(),
            body: empty(),
            upgrade: None,
        };
        let waiting = client.send(wait, Some(SOON)).await.unwrap();
        // Nobody waits for this one.
        let events = client.events(None).await.unwrap();
        daemon.signal(signal);
        daemon.wait_for("send it again to end at once").await;
        daemon.signal(signal);
        assert_eq!(daemon.wait(Duration::from_secs(5)), Some(1), "{signal}");
        drop((waiting, events));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_events_does_not_keep_it() {
    let fleet = fleet(1).await;
    let mut daemon =
        Daemon::start(&["manage", "-H", "tcp://127.0.0.1:0", &fleet.discovery_url()], &[]);
    let client = client(&daemon.tcp_address().await, None);
    wait_for_healthy(&client, 1).await;
    let events = client.events(None).await.unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(5)), Some(0));
    drop(events);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_door_is_warned_of_loudly() {
    let fleet = fleet(1).await;
    let discovery = fleet.discovery_url();
    let open = Daemon::start(&["m", "-H", "tcp://0.0.0.0:0", &discovery], &[]);
    open.wait_for("IS ROOT ON EVERY ENGINE BEHIND IT").await;
    let closed = Daemon::start(&["m", "-H", "tcp://127.0.0.1:0", &discovery], &[]);
    closed.wait_for("starting the pool").await;
    assert!(!closed.log().contains("IS ROOT"), "{}", closed.log());
    let noted = ["m", "-H", "tcp://127.0.0.1:0", "--heartbeat", "5s", "-experimental", &discovery];
    let noted = Daemon::start(&noted, &[("SWARM_ADVERTISE", "a:1")]);
    noted.wait_for("--heartbeat has no effect").await;
    noted.wait_for("SWARM_ADVERTISE has no effect without --replication").await;
    noted.wait_for("--experimental turns nothing on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told() {
    let fleet = fleet(1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let notify = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(SOON)).unwrap();
    let line = ["m", "-H", "tcp://127.0.0.1:0", &fleet.discovery_url()];
    let mut daemon = Daemon::start(&line, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let told = || {
        let mut message = [0; 256];
        let length = notify.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert!(told().contains("READY=1"));
    daemon.signal("INT");
    assert!(told().contains("STOPPING=1"));
    assert_eq!(daemon.wait(SOON), Some(0));
}

/// A CA that writes its own certificate and one pair, good for both sides, into `folder`.
fn certificates(folder: &Path, name: &str) -> TlsFiles {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let pair = params.signed_by(&key, &authority).unwrap();
    let write = |file: &str, pem: String| {
        let path = folder.join(file);
        std::fs::write(&path, pem).unwrap();
        Some(path)
    };
    TlsFiles {
        ca: write("ca.pem", authority.pem()),
        cert: write("cert.pem", pair.pem()),
        key: write("key.pem", key.serialize_pem()),
        verify: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_verified_and_certificates_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mine = tempfile::tempdir().unwrap();
    let first = certificates(path, "first");
    // The client keeps its own copy: the manager's files are replaced below.
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::copy(path.join(file), mine.path().join(file)).unwrap();
    }
    let here = |file: &str| Some(mine.path().join(file));
    let old =
        TlsFiles { ca: here("ca.pem"), cert: here("cert.pem"), key: here("key.pem"), ..first };

    let flag = |name: &str, file: &str| format!("{name}={}", path.join(file).display());
    let daemon = Daemon::start(
        &[
            "m",
            "-H=tcp://127.0.0.1:0",
            "-tlsverify",
            &flag("-tlscacert", "ca.pem"),
            &flag("-tlscert", "cert.pem"),
            &flag("-tlskey", "key.pem"),
            // Nobody listens there: TLS towards clients is what is looked at.
            "127.0.0.1:9",
        ],
        &[],
    );
    let address = daemon.tcp_address().await;
    client(&address, Some(old.clone())).ping(SOON).await.unwrap();
    assert!(client(&address, None).ping(SOON).await.is_err(), "plain HTTP is refused");
    let stranger = TlsFiles { cert: None, key: None, ..old.clone() };
    assert!(client(&address, Some(stranger)).ping(SOON).await.is_err(), "no certificate, no entry");

    std::fs::write(path.join("cert.pem"), "no certificate").unwrap();
    daemon.signal("HUP");
    daemon.wait_for("the old certificates stay in use").await;
    client(&address, Some(old.clone())).ping(SOON).await.unwrap();

    let new = certificates(path, "second");
    daemon.signal("HUP");
    daemon.wait_for("the TLS files are read again").await;
    client(&address, Some(new)).ping(SOON).await.unwrap();
    assert!(client(&address, Some(old)).ping(SOON).await.is_err(), "the old CA is out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_for_programs_is_one_object_per_line() {
    let fleet = fleet(1).await;
    let socket = tempfile::tempdir().unwrap();
    let address = format!("unix://{}", socket.path().join("swarm.sock").display());
    let engine = fleet.addresses()[0].to_string();
    let arguments = ["--log-format", "json", "--debug", "manage", "-H", &address, &engine];
    let daemon = Daemon::start(&arguments, &[]);
    daemon.wait_for("listening on unix://").await;
    wait_for_healthy(&client(&address, None), 1).await;
    daemon.wait_for("answered").await;
    let log = daemon.log();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["message"].is_string() && line["level"].is_string()));
    let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
    assert_eq!(answered["span"]["path"], "/info", "{answered}");
    assert!(answered["span"]["id"].is_u64() && answered["status"] == 200, "{answered}");
}
