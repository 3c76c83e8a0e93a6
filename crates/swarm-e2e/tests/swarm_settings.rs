//! What a swarm's settings do to its nodes, and an engine that has a swarm of its own; with the plain
//! `docker` client on real engines.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarm_e2e::{Client, Daemons, IMAGE, Scratch, ask, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// When the last certificate that a node was given ends, in seconds from now.
fn life(nodes: &Daemons<'_>, node: &str) -> Result<i64> {
    let listed = ask(&nodes.sock(1), "GET", "/nodes", "")?.json();
    let all = listed.as_array().context("a list")?;
    let one = all.iter().find(|one| one["Description"]["Hostname"] == node).context("the node")?;
    let ends: jiff::Timestamp =
        one["Swarm"]["CertificateEnds"].as_str().context("its certificate's end")?.parse()?;
    Ok(ends.as_second() - jiff::Timestamp::now().as_second())
}

fn state(nodes: &Daemons<'_>, node: &str) -> Result<String> {
    nodes.docker(1, &["node", "inspect", "--format", "{{.Status.State}}", node]).ok()
}

#[test]
fn heartbeats_certificates_and_history_are_as_they_are_set() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let day = 24 * 3600;
    ensure!(life(&nodes, "host-2")? > 89 * day, "Docker's 90 days");
    let settings =
        ["--dispatcher-heartbeat", "3s", "--cert-expiry", "2h", "--task-history-limit", "2"];
    nodes.docker(1, &[&["swarm", "update"], &settings[..]].concat()).ok()?;
    let told = nodes.docker(1, &["swarm", "update", "--cert-expiry", "59m"]).fails()?;
    ensure!(told.contains("minimum certificate expiry time is: 1h0m0s"), "{told}");

    // The next certificate lives so long: who joins now has one, and who is asked to renew.
    nodes.launch(3, &[])?;
    nodes.join(3, 1, "worker")?.ok()?;
    nodes.ready(1, 3)?;
    let lives = life(&nodes, "host-3")?;
    // An hour more, for clocks that are not alike.
    ensure!(lives > 3600 && lives <= 3 * 3600, "{lives} s");
    // The one that it has is young enough for two hours.
    ensure!(life(&nodes, "host-2")? > 89 * day, "the one that it has goes on");

    // So many tasks of a slot are kept.
    let create = ["service", "create", "--quiet", "--name", "web", "--stop-signal", "KILL"];
    nodes
        .docker(1, &[&create[..], &["--update-monitor", "0s", IMAGE, "sleep", "1d"]].concat())
        .ok()?;
    for _ in 0..4 {
        nodes.docker(1, &["service", "update", "--quiet", "--force", "web"]).ok()?;
    }
    let listed = || nodes.docker(1, &["service", "ps", "--quiet", "web"]).ok();
    until(LONG, "two tasks are kept", || Ok((listed()?.lines().count() == 2).then_some(())))?;

    // Silence is borne for three beats of three seconds, not of one.
    let begun = Instant::now();
    nodes.power_cut(3)?;
    until(LONG, "host-3 is down", || Ok((state(&nodes, "host-3")? == "down").then_some(())))?;
    let took = begun.elapsed();
    println!("a power cut, beats of 3 s: down after {took:.1?}");
    ensure!(took > Duration::from_secs(6) && took < Duration::from_secs(20), "{took:?}");
    ensure!(state(&nodes, "host-2")? == "ready");
    Ok(())
}

/// All keys below a value, each with its path.
fn keys(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{at}.{key}");
        keys(&path, value, found);
        found.insert(path);
    }
    for one in value.as_array().into_iter().flatten() {
        keys(&format!("{at}[]"), one, found);
    }
}

#[test]
fn an_engine_with_a_swarm_of_its_own_is_told_apart() -> Result<()> {
    // A lab of its own: a swarm would stay in the others' engines.
    let lab = Scratch::boot(2, |_| {})?;
    let nodes = Daemons::start(&lab, &[1, 2])?;
    let docker = |arguments: &[&str]| {
        Client::new("docker", &format!("unix://{}", lab.sock(1).display())).run(arguments)
    };
    docker(&["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    let manager = format!("{}:2377", lab.ip(2));
    nodes.docker(2, &["swarm", "init", "--advertise-addr", &lab.ip(2)]).ok()?;
    let token = nodes.docker(2, &["swarm", "join-token", "--quiet", "worker"]).ok()?;
    let leave = format!("docker -H unix://{} swarm leave --force", lab.sock(1).display());
    for arguments in [&["swarm", "init"][..], &["swarm", "join", "--token", &token, &manager]] {
        let told = nodes.docker(1, arguments).fails()?;
        ensure!(told.contains("in a swarm of its own"), "{told}");
        ensure!(told.contains(&leave), "{told}");
    }
    let body = format!(r#"{{"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "{}"}}"#, lab.ip(1));
    ensure!(ask(&nodes.sock(1), "POST", "/swarm/init", &body)?.status == 409);

    // A manager says of its swarm what Docker's engine says of its own, key by key.
    let own = ask(lab.sock(1).as_path(), "GET", "/info", "")?.json();
    let ours = ask(&nodes.sock(2), "GET", "/info", "")?.json();
    let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
    keys("", &own["Swarm"], &mut expected);
    keys("", &ours["Swarm"], &mut found);
    let missing: Vec<_> = expected.difference(&found).collect();
    ensure!(missing.is_empty(), "not told: {missing:?}");
    let more: Vec<_> = found.difference(&expected).collect();
    ensure!(more.is_empty(), "Docker's has none of: {more:?}");

    docker(&["swarm", "leave", "--force"]).ok()?;
    nodes.join(1, 2, "worker")?.ok()?;
    nodes.ready(2, 2)?;

    // An engine that is put into its own afterwards is told of, until it has left it again.
    let error = || nodes.docker(1, &["info", "--format", "{{.Swarm.Error}}"]).ok();
    ensure!(error()?.is_empty(), "{}", error()?);
    docker(&["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    ensure!(error()?.contains(&leave), "{}", error()?);
    docker(&["swarm", "leave", "--force"]).ok()?;
    ensure!(error()?.is_empty(), "{}", error()?);
    nodes.ready(2, 2)
}
