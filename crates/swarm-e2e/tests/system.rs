//! The pool as one system: ping, version, info; and a pool of one on an engine's socket.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use swarm_e2e::{Client, IMAGE, Pool, Watch, ask, exclusive, shared, until};

const SOON: Duration = Duration::from_mins(1);

#[test]
fn ping_and_version_tell_what_every_engine_can_serve() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    let newest = lab.sh(1, "docker version --format '{{.Server.APIVersion}}'")?;
    for method in ["GET", "HEAD"] {
        let ping = pool.ask(method, "/_ping", "")?;
        let head = ping.head.to_lowercase();
        assert_eq!(
            (ping.status, ping.text().as_str()),
            (200, if method == "GET" { "OK" } else { "" })
        );
        for header in [
            format!("api-version: {newest}"),
            "ostype: linux".into(),
            "server: swarm/".into(),
            "builder-version: 1".into(),
            "cache-control: no-cache".into(),
        ] {
            assert!(head.contains(&header), "{header}: {head}");
        }
    }
    let version = pool.manager().get("/version")?;
    assert_eq!(version["ApiVersion"], newest);
    assert_eq!(version["MinAPIVersion"], "1.24");
    assert!(
        version["Version"].as_str().is_some_and(|text| text.starts_with("swarm/")),
        "{version}"
    );
    let shown = pool.docker(&["version", "--format", "{{.Server.Version}} {{.Server.Os}}"]).ok()?;
    assert!(shown.starts_with("swarm/") && shown.ends_with(" linux"), "{shown}");
    Ok(())
}

#[test]
fn info_adds_up_the_engines_and_tells_each() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--strategy", "binpack"])?;
    let on = |i: u8| format!("constraint:node==host-{i}");
    pool.sleeper("runs", &["-e", &on(1), "--memory", "64m", "--cpus", "0.5"]).ok()?;
    pool.sleeper("rests", &["-e", &on(2)]).ok()?;
    pool.docker(&["pause", "rests"]).ok()?;
    pool.docker(&["create", "--name", "new", "-e", &on(2), IMAGE]).ok()?;
    let info = pool.manager().get("/info")?;
    let engine =
        lab.sh(1, "docker info --format '{{.NCPU}} {{.MemTotal}} {{.ServerVersion}} {{.ID}}'")?;
    let [cpus, memory, version, id] = engine.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{engine}")
    };
    for (field, number) in [
        ("Containers", 3),
        ("ContainersRunning", 1),
        ("ContainersPaused", 1),
        ("ContainersStopped", 1),
        ("Images", 3),
        ("NCPU", 3 * cpus.parse::<i64>()?),
        ("MemTotal", 3 * memory.parse::<i64>()?),
    ] {
        assert_eq!(info[field], number, "{field}");
    }
    let output = pool.docker(&["info"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let block = |i: u8| {
        let rest =
            text.split(&format!("host-{i}: {}:2375\n", lab.ip(i))).nth(1).unwrap_or_default();
        rest.split("host-").next().unwrap_or_default().to_owned()
    };
    for row in ["Role: primary", "Strategy: binpack", "Filters: health, port,", "Nodes: 3"] {
        assert!(text.contains(row), "{row}: {text}");
    }
    for row in [
        format!("ID: {id}"),
        "Status: Healthy".into(),
        "Containers: 1 (1 Running, 0 Paused, 0 Stopped)".into(),
        format!("Reserved CPUs: 0.5 / {cpus}"),
        "Reserved Memory: 64 MiB / ".into(),
        "ostype=linux".into(),
        format!("ServerVersion: {version}"),
        "UpdatedAt: 20".into(),
        "Error: (none)".into(),
    ] {
        assert!(block(1).contains(&row), "{row}: {text}");
    }
    assert!(block(2).contains("Containers: 2 (0 Running, 1 Paused, 1 Stopped)"), "{text}");
    assert!(block(3).contains("Containers: 0 (0 Running, 0 Paused, 0 Stopped)"), "{text}");
    pool.docker(&["rm", "--force", "runs", "rests", "new"]).ok()?;
    assert_eq!(pool.manager().get("/info")?["Containers"], 0);
    Ok(())
}

#[test]
fn without_arguments_the_local_engine_is_a_pool_of_one() -> Result<()> {
    let lab = exclusive()?;
    let folder = tempfile::tempdir()?;
    let sock = folder.path().join("pool.sock");
    let host = format!("unix://{}", sock.display());
    let swarm = Client::new(swarm_e2e::swarm()?, &format!("unix://{}", lab.sock(1).display()));
    let mut manage = swarm.command(&["manage", "--host", &host]);
    manage.env("SWARM_DATA_DIR", folder.path().join("state"));
    let mut manager = Watch::start(manage)?;
    until(SOON, "it is healthy", || {
        anyhow::ensure!(manager.runs()?, "it ended: {:?}", manager.lines());
        let info = ask(&sock, "GET", "/info", "").map(|answer| answer.text());
        Ok(info.is_ok_and(|text| text.contains("Healthy")).then_some(()))
    })?;
    let docker = Client::new("docker", &host);
    let said = docker
        .run(&["run", "--rm", "--publish", "8080:80", "--name", "alone", IMAGE, "echo", "hello"])
        .ok()?;
    assert_eq!(said, "hello");
    docker.run(&["create", "--name", "one", "-e", "constraint:node==host-1", IMAGE]).ok()?;
    assert_eq!(docker.run(&["ps", "--all", "--format", "{{.Names}}"]).ok()?, "host-1/one");
    assert_eq!(docker.feed(&["run", "-i", "--rm", IMAGE, "cat"], b"through").ok()?, "through");
    let inspected = ask(&sock, "GET", "/containers/one/json", "")?.json();
    assert!(
        inspected["Node"]["Addr"].as_str().context("no Addr")?.starts_with("unix://"),
        "{}",
        inspected["Node"]
    );
    assert_eq!(fs::metadata(&sock)?.permissions().mode() & 0o777, 0o660, "root on every engine");
    lab.kill_dockerd(1)?;
    until(SOON, "the loss is seen", || {
        Ok(ask(&sock, "GET", "/info", "")?.text().contains("Unhealthy").then_some(()))
    })?;
    lab.start_dockerd(1)?;
    until(SOON, "the return is seen", || {
        Ok(docker.run(&["start", "one"]).ok().is_ok().then_some(()))
    })
}
