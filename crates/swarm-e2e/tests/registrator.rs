//! `swarm registrator` over real engines, a real Consul and a real etcd: containers come and go, registrators are
//! killed and stopped, engine and Consul restart, and two hosts share one catalogue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use swarm_e2e::{Client, IMAGE, Lab, Watch, exclusive, until};
use swarm_testkit::stores::consul::{Config, ConsulServer};
use swarm_testkit::stores::{EtcdOptions, EtcdServer};

/// Consul keeps a session for up to twice its time.
const SOON: Duration = Duration::from_mins(1);
/// Consul takes out what is critical for a minute, and looks each half a minute.
const REAPED: Duration = Duration::from_secs(60 + 30);

struct Rig<'a> {
    lab: &'a Lab,
    consul: ConsulServer,
}

fn registrator(lab: &Lab, host: u8, backend: &str, more: &[&str]) -> Result<Watch> {
    let mut command = lab.fabric_command(&swarm_e2e::swarm()?.display().to_string());
    let engine = format!("unix://{}", lab.sock(host).display());
    command.args(["registrator", "--engine", &engine, "--ip", &lab.ip(host)]);
    command.args(more).arg(backend);
    let registrator = Watch::start(command)?;
    registrator.wait_for("registering services", SOON)?;
    Ok(registrator)
}

fn docker(lab: &Lab, host: u8, arguments: &[&str]) -> Result<String> {
    let at = format!("unix://{}", lab.sock(host).display());
    Client::new("docker", &at).run(arguments).ok()
}

/// A container that publishes port 80.
fn web(lab: &Lab, host: u8, name: &str, port: u16, more: &[&str]) -> Result<()> {
    let publish = format!("{port}:80");
    let head = ["run", "-d", "--init", "--name", name, "-p", &publish];
    let all = [&head[..], more, &[IMAGE, "sleep", "600"]].concat();
    docker(lab, host, &all).map(drop)
}

impl Rig<'_> {
    fn registrator(&self, host: u8, more: &[&str]) -> Result<Watch> {
        registrator(self.lab, host, &format!("consul://{}", self.consul.address(0)), more)
    }

    fn docker(&self, host: u8, arguments: &[&str]) -> Result<String> {
        docker(self.lab, host, arguments)
    }

    fn web(&self, host: u8, name: &str, port: u16, more: &[&str]) -> Result<()> {
        web(self.lab, host, name, port, more)
    }

    fn services(&self) -> Result<Value> {
        let ask = || self.consul.ask(0, "GET", "/v1/agent/services", "");
        Ok(serde_json::from_str(&self.lab.inside(0, ask)?)?)
    }

    /// Waits until exactly these are registered; how long that took.
    fn has(&self, ids: &[String]) -> Result<Duration> {
        self.has_within(SOON, ids)
    }

    fn has_within(&self, limit: Duration, ids: &[String]) -> Result<Duration> {
        let begun = Instant::now();
        let mut last = Vec::new();
        until(limit, format_args!("the catalogue has {ids:?}"), || {
            let services = self.services()?;
            last = services.as_object().context("no object")?.keys().cloned().collect();
            last.sort();
            Ok((last == ids).then_some(()))
        })
        .with_context(|| format!("it has {last:?}"))?;
        Ok(begun.elapsed())
    }
}

/// A host that is lost with all that is on it and never comes back, and a Consul that is left alone meanwhile: it
/// takes its time to take out what nobody refreshes.
struct Lost<'a> {
    rig: Rig<'a>,
    since: Instant,
}

impl<'a> Lost<'a> {
    fn host_3(lab: &'a Lab) -> Result<Self> {
        let consul = lab.inside(0, || ConsulServer::start(Config::default()))?;
        let rig = Rig { lab, consul };
        let mut registrator = rig.registrator(3, &["--ttl", "3s"])?;
        rig.web(3, "web", 8001, &[])?;
        rig.has(&[format!("{}:web:80", lab.hostname(3))])?;
        lab.kill(3)?;
        registrator.signal(Signal::SIGKILL)?;
        registrator.wait_end(SOON)?;
        Ok(Self { rig, since: Instant::now() })
    }

    fn is_taken_out(&self) -> Result<()> {
        self.rig.has_within((REAPED + SOON).saturating_sub(self.since.elapsed()), &[])?;
        println!("a lost host's entry was taken out after {:?}", self.since.elapsed());
        Ok(())
    }
}

#[test]
fn a_catalogue_of_two_hosts_follows_their_containers() -> Result<()> {
    let lab = exclusive()?;
    let consul = lab.inside(0, || ConsulServer::start(Config::default()))?;
    let mut rig = Rig { lab: &lab, consul };
    let lost = Lost::host_3(&lab)?;
    let id = |host: u8, name: &str| format!("{}:{name}:80", lab.hostname(host));
    let mut one = rig.registrator(1, &[])?;
    let mut two = rig.registrator(2, &["--on-stop", "deregister"])?;

    // They come, with what they say of themselves.
    let said = ["-l", "SERVICE_NAME=front", "-e", "SERVICE_TAGS=a,b", "-e", "SERVICE_CHECK_TCP=1"];
    rig.web(1, "web", 8001, &said)?;
    rig.web(2, "web", 8001, &["-e", "SERVICE_80_NAME=front"])?;
    // One that asks for what is refused stops no other, and one that publishes nothing is none.
    rig.web(1, "bad", 8009, &["-e", "SERVICE_CHECK_SCRIPT=true"])?;
    rig.docker(1, &["run", "-d", "--init", "--name", "quiet", IMAGE, "sleep", "600"])?;
    let both = [id(1, "web"), id(2, "web")];
    println!("registered after {:?}", rig.has(&both)?);
    one.wait_for("SERVICE_CHECK_SCRIPT would run a command", SOON)?;
    let services = rig.services()?;
    let front = &services[&both[0]];
    ensure!(front["Service"] == "front" && front["Port"] == 8001, "{front}");
    ensure!(front["Address"] == lab.ip(1).as_str(), "{front}");
    ensure!(front["Tags"] == serde_json::json!(["a", "b"]), "{front}");

    // They go, and come again.
    rig.docker(1, &["stop", "web"])?;
    println!("taken out after {:?}", rig.has(&both[1..])?);
    rig.docker(1, &["start", "web"])?;
    rig.has(&both)?;

    // A killed registrator's successor takes out what went meanwhile, and nobody else's.
    one.signal(Signal::SIGKILL)?;
    one.wait_end(SOON)?;
    rig.docker(1, &["rm", "-f", "web", "bad"])?;
    rig.web(1, "next", 8002, &[])?;
    let mut one = rig.registrator(1, &["--ttl", "9s", "--ttl-refresh", "1s"])?;
    let now = [id(1, "next"), id(2, "web")];
    println!("in order after a kill: {:?}", rig.has(&now)?);

    // The engine's restart ends its containers, which is seen, and so is their return.
    lab.kill_dockerd(1)?;
    one.wait_for("the engine is lost", SOON)?;
    rig.has(&now)?;
    lab.start_dockerd(1)?;
    println!("in order after the engine's restart: {:?}", rig.has(&now[1..])?);
    rig.docker(1, &["start", "next"])?;
    rig.has(&now)?;

    // What happens while Consul is away is made good when it is back.
    rig.consul.server(0).stop()?;
    one.wait_for("the registry cannot be kept", SOON)?;
    rig.docker(1, &["rm", "-f", "next"])?;
    rig.web(1, "late", 8003, &[])?;
    lab.inside(0, || rig.consul.restart(0))?;
    let now = [id(1, "late"), id(2, "web")];
    println!("in order after the registry's return: {:?}", rig.has(&now)?);

    // A clean stop leaves the entries, or takes them out, as it was told.
    for (registrator, left) in [(&mut one, &now[..]), (&mut two, &now[..1])] {
        registrator.signal(Signal::SIGTERM)?;
        ensure!(registrator.wait_end(SOON)?.success(), "{:?}", registrator.lines());
        rig.has(left)?;
    }
    lost.is_taken_out()
}

#[test]
fn agents_register_the_services_of_their_engine_beside_their_work() -> Result<()> {
    let lab = exclusive()?;
    let consul = lab.inside(0, || ConsulServer::start(Config::default()))?;
    let rig = Rig { lab: &lab, consul };
    let backend = format!("consul://{}", rig.consul.address(0));
    let sock = |host: u8| format!("unix://{}", lab.sock(host).display());
    let start = |arguments: &[&str]| {
        let mut command = lab.fabric_command(&swarm_e2e::swarm()?.display().to_string());
        command.args(arguments).args(["--register", &backend]);
        Watch::start(command)
    };
    let id = |host: u8| format!("{}:web:80", lab.hostname(host));

    let (engine, pool) = (format!("{}:2375", lab.ip(1)), rig.consul.url("pool"));
    let join = ["join", "--advertise", &engine, "--register-engine", &sock(1), &pool];
    let mut agent = start(&join)?;
    agent.wait_for(" registered ", SOON)?;
    agent.wait_for("registering services", SOON)?;
    let folder = tempfile::tempdir()?;
    let (node, data) = (folder.path().join("docker.sock"), folder.path().join("data"));
    let (node, data) = (format!("unix://{}", node.display()), data.display().to_string());
    let daemon = ["daemon", "--engine", &sock(2), "--node-host", &node, "--data-dir", &data];
    let own = ["--register-ip", &lab.ip(2), "--register-on-stop", "deregister"];
    let mut daemon = start(&[&daemon[..], &own].concat())?;
    daemon.wait_for("registering services", SOON)?;

    rig.web(1, "web", 8001, &[])?;
    rig.web(2, "web", 8002, &[])?;
    rig.has(&[id(1), id(2)])?;
    let services = rig.services()?;
    for (host, port) in [(1, 8001), (2, 8002)] {
        let service = &services[&id(host)];
        ensure!(service["Port"] == port, "{service}");
        ensure!(service["Address"] == lab.ip(host).as_str(), "{service}");
    }

    // Each ends in order, and does with the entries what it was told.
    daemon.signal(Signal::SIGTERM)?;
    ensure!(daemon.wait_end(SOON)?.success(), "{:?}", daemon.lines());
    rig.has(&[id(1)])?;
    agent.signal(Signal::SIGTERM)?;
    ensure!(agent.wait_end(SOON)?.success(), "{:?}", agent.lines());
    rig.has(&[id(1)])?;

    // What cannot be is told by the flag that was given.
    let mut refused = start(&[&join[..], &["--register-ttl", "1s"]].concat())?;
    ensure!(refused.wait_end(SOON)?.code() == Some(2), "{:?}", refused.lines());
    refused.wait_for("--register-ttl \"1s\": expected 3s or more", SOON).map(drop)
}

/// A store's keys below `services/`, with their values, by its own tools.
type Keys = BTreeMap<String, String>;

/// Two hosts whose services are keys of a store.
fn keys_follow(lab: &Lab, backend: &str, read: impl Fn() -> Result<Keys>) -> Result<()> {
    let address = |host: u8, port: u16| format!("{}:{port}", lab.ip(host));
    let has = |what: &str, expected: &[(&str, String)]| {
        let expected: Keys =
            expected.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let (begun, mut last) = (Instant::now(), Keys::new());
        until(SOON, format_args!("{backend} has {expected:?}"), || {
            last = read()?;
            Ok((last == expected).then_some(()))
        })
        .with_context(|| format!("it has {last:?}"))?;
        println!("{backend}: {what} after {:.1?}", begun.elapsed());
        anyhow::Ok(())
    };
    let lease = ["--ttl", "9s", "--ttl-refresh", "1s"];
    let mut one = registrator(lab, 1, backend, &lease)?;
    let mut two = registrator(lab, 2, backend, &["--on-stop", "deregister"])?;
    web(lab, 1, "web", 8001, &["-l", "SERVICE_NAME=front"])?;
    web(lab, 2, "web", 8002, &["-e", "SERVICE_80_NAME=front"])?;
    web(lab, 2, "bare", 8003, &[])?;
    let first = ("front/host-1:web:80", address(1, 8001));
    let second = ("front/host-2:web:80", address(2, 8002));
    let third = ("busybox/host-2:bare:80", address(2, 8003));
    has("registered", &[first.clone(), second.clone(), third.clone()])?;
    docker(lab, 2, &["rm", "-f", "bare"])?;
    has("taken out", &[first.clone(), second.clone()])?;

    // A killed registrator's successor takes out what went meanwhile, and nobody else's.
    one.signal(Signal::SIGKILL)?;
    one.wait_end(SOON)?;
    docker(lab, 1, &["rm", "-f", "web"])?;
    web(lab, 1, "next", 8004, &["-l", "SERVICE_NAME=front"])?;
    let mut one = registrator(lab, 1, backend, &lease)?;
    has("in order after a kill", &[("front/host-1:next:80", address(1, 8004)), second.clone()])?;

    // A host loses its power and all that is on it: its keys run out, the others' stay.
    lab.kill(1)?;
    one.signal(Signal::SIGKILL)?;
    one.wait_end(SOON)?;
    has("run out", std::slice::from_ref(&second))?;
    two.signal(Signal::SIGTERM)?;
    ensure!(two.wait_end(SOON)?.success(), "{:?}", two.lines());
    has("taken out at the end", &[])
}

#[test]
fn keys_of_etcd_follow_the_containers_of_two_hosts() -> Result<()> {
    let lab = exclusive()?;
    let etcd = lab.inside(0, || EtcdServer::start(&EtcdOptions::default()))?;
    let backend = format!("etcd://{}/services", etcd.hosts().join(","));
    keys_follow(&lab, &backend, || {
        let text = lab.inside(0, || etcd.control(&["get", "--prefix", "/services/"]))?;
        let lines: Vec<_> = text.lines().collect();
        let key = |key: &str| key.trim_start_matches("/services/").to_owned();
        Ok(lines.chunks_exact(2).map(|pair| (key(pair[0]), pair[1].to_owned())).collect())
    })
}

#[test]
fn keys_of_consul_follow_the_containers_of_two_hosts() -> Result<()> {
    let lab = exclusive()?;
    let consul = lab.inside(0, || ConsulServer::start(Config::default()))?;
    let backend = format!("consulkv://{}/services", consul.address(0));
    keys_follow(&lab, &backend, || {
        let ask = |path: &str| lab.inside(0, || consul.ask(0, "GET", path, ""));
        let keys = match ask("/v1/kv/services/?keys") {
            // None has been written, or all are gone.
            Err(error) if error.to_string().contains(" 404 ") => return Ok(Keys::new()),
            keys => serde_json::from_str::<Vec<String>>(&keys?)?,
        };
        let mut found = Keys::new();
        for key in keys {
            // One may go between the two requests.
            if let Ok(value) = ask(&format!("/v1/kv/{key}?raw")) {
                found.insert(key.trim_start_matches("services/").to_owned(), value);
            }
        }
        Ok(found)
    })
}
