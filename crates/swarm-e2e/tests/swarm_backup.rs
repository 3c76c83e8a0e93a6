//! All managers are lost: a swarm goes on from its backup, with the plain `docker` client on real
//! engines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Client, Daemons, IMAGE, Ran, Scratch, swarm, until};

const LONG: Duration = Duration::from_mins(1);
const MANAGERS: [u8; 3] = [1, 2, 3];
const WORKER: u8 = 4;

/// The `swarm` command, towards a host's daemon.
fn run(nodes: &Daemons<'_>, host: u8, arguments: &[&str]) -> Result<Ran> {
    let endpoint = format!("unix://{}", nodes.sock(host).display());
    Ok(Client::new(swarm()?, &endpoint).run(arguments))
}

/// Containers of a service on a host's engine.
fn containers(nodes: &Daemons<'_>, host: u8, service: &str) -> Result<Vec<String>> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let listed = nodes.engine(host, &["ps", "--quiet", "--no-trunc", "--filter", &filter]).ok()?;
    let mut ids: Vec<_> = listed.lines().map(str::to_owned).collect();
    ids.sort();
    Ok(ids)
}

fn sleepers(nodes: &Daemons<'_>, name: &str, replicas: &str) -> Result<()> {
    let create = ["service", "create", "--name", name, "--replicas", replicas];
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&create[..], &sleep].concat()).ok()?;
    Ok(())
}

/// Waits until so many tasks of `web` run, on the manager `by` and the worker, each once.
fn settled(nodes: &Daemons<'_>, by: u8, hosts: &[u8]) -> Result<()> {
    until(LONG, "web runs four times, and no container more", || {
        let format = "{{.Node}} {{.DesiredState}} {{.CurrentState}}";
        let listed = nodes.docker(by, &["service", "ps", "--format", format, "web"]).ok();
        let Ok(listed) = listed else { return Ok(None) };
        let running = listed.lines().filter(|line| line.contains(" Running Running ")).count();
        let mut all = 0;
        for host in hosts {
            all += containers(nodes, *host, "web")?.len();
        }
        Ok((running == 4 && all == 4).then_some(()))
    })
    .with_context(|| nodes.logs())
}

fn restore(nodes: &Daemons<'_>, host: u8, file: &Path, key: &str, more: &[&str]) -> Result<Ran> {
    let (folder, file) = (nodes.folder(host).join("data"), file.display().to_string());
    let folder = folder.display().to_string();
    let begin = ["restore", "--passphrase-file", key, "--data-dir", &folder];
    run(nodes, host, &[&begin[..], more, &[&file]].concat())
}

#[test]
fn a_swarm_that_lost_all_its_managers_goes_on_from_its_backup() -> Result<()> {
    let lab = Scratch::boot(4, |_| {})?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3, WORKER], 3)?;
    sleepers(&nodes, "web", "4")?;
    nodes.client(1).feed(&["secret", "create", "token", "-"], b"hunter2").ok()?;
    let folder = tempfile::tempdir()?;
    let (file, key) = (folder.path().join("backup"), folder.path().join("key"));
    let (named, key) = (file.display().to_string(), key.display().to_string());
    std::fs::write(&key, "correct horse battery staple\n")?;
    let backup = ["backup", "--passphrase-file", &key, &named];
    let told = run(&nodes, 1, &backup)?.ok()?;
    ensure!(told.contains("swarm "), "{told}");
    ensure!(run(&nodes, 1, &backup)?.fails()?.contains("is there already"));
    let other = folder.path().join("other").display().to_string();
    let told = run(&nodes, WORKER, &["backup", "--passphrase-file", &key, &other])?.fails()?;
    ensure!(told.contains("Worker nodes can't be used"), "{told}");
    ensure!(std::fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600);
    let sealed = std::fs::read(&file)?;
    for plain in [&b"hunter2"[..], b"web", b"PRIVATE KEY", b"SWMTKN"] {
        let begin = sealed.iter().filter(|byte| **byte == b'\n').take(2).count();
        ensure!(begin == 2 && !sealed.windows(plain.len()).any(|part| part == plain));
    }
    let ca = nodes.docker(1, &["swarm", "ca"]).ok()?;
    let token = nodes.docker(1, &["swarm", "join-token", "--quiet", "worker"]).ok()?;
    // What comes after the backup is not in it.
    sleepers(&nodes, "later", "4")?;
    let before = containers(&nodes, WORKER, "web")?;

    for host in MANAGERS {
        nodes.power_cut(host)?;
        std::fs::remove_dir_all(nodes.folder(host).join("data"))?;
    }
    lab.start(2)?;
    let ip = lab.ip(2);
    let more = ["--advertise-addr", &ip];
    std::fs::write(folder.path().join("wrong"), "battery")?;
    let wrong = folder.path().join("wrong").display().to_string();
    let told = restore(&nodes, 2, &file, &wrong, &more)?.fails()?;
    ensure!(told.contains("the passphrase is not the one"), "{told}");
    let damaged = folder.path().join("damaged");
    let mut bytes = sealed.clone();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::write(&damaged, bytes)?;
    let told = restore(&nodes, 2, &damaged, &key, &more)?.fails()?;
    ensure!(told.contains("it is damaged"), "{told}");
    ensure!(!nodes.folder(2).join("data").exists(), "nothing is left of what failed");

    // On another of its managers' addresses, which the worker knows.
    let told = restore(&nodes, 2, &file, &key, &more)?.ok()?;
    ensure!(told.contains("is a manager of swarm"), "{told}");
    let told = restore(&nodes, 2, &file, &key, &more)?.fails()?;
    ensure!(told.contains("is not empty"), "{told}");
    nodes.launch(2, &[])?;
    nodes.ready(2, 2)?;
    settled(&nodes, 2, &[2, WORKER])?;
    let after = containers(&nodes, WORKER, "web")?;
    ensure!(before.iter().all(|id| after.contains(id)), "no container was stopped: {after:?}");
    until(LONG, "what was not in the backup is gone", || {
        Ok(containers(&nodes, WORKER, "later")?.is_empty().then_some(()))
    })?;
    ensure!(nodes.docker(2, &["swarm", "ca"]).ok()? == ca);
    let listed = nodes.docker(2, &["secret", "ls", "--format", "{{.Name}}"]).ok()?;
    ensure!(listed == "token", "{listed}");
    // Who has a token of then joins, and may be a manager.
    lab.start(3)?;
    nodes.launch(3, &[])?;
    let manager = format!("{ip}:2377");
    nodes.docker(3, &["swarm", "join", "--token", &token, &manager]).ok()?;
    nodes.ready(2, 3)?;
    nodes.stop(2)?;
    nodes.launch(2, &[])?;
    nodes.ready(2, 3)?;
    settled(&nodes, 2, &[2, 3, WORKER])?;

    // Under an address that nobody knows: workers are told of it once.
    nodes.kill(2)?;
    nodes.kill(3)?;
    lab.kill(2)?;
    lab.kill(3)?;
    lab.start(1)?;
    let address = format!("{}:2400", lab.ip(1));
    let more = ["--advertise-addr", &address, "--listen-addr", "0.0.0.0:2400"];
    restore(&nodes, 1, &file, &key, &more)?.ok()?;
    nodes.launch(1, &[])?;
    nodes.kill(WORKER)?;
    nodes.launch(WORKER, &["--manager", &address])?;
    nodes.ready(1, 2)?;
    settled(&nodes, 1, &[1, WORKER])?;
    let now = containers(&nodes, WORKER, "web")?;
    ensure!(before.iter().all(|id| now.contains(id)), "no container was stopped: {now:?}");
    Ok(())
}
