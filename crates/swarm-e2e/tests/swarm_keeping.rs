//! What a swarm keeps to itself: a registry's password, which reaches the nodes that pull with it, and
//! secrets; neither stands on a manager's disk or in a log in the clear.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use swarm_e2e::{Daemons, IMAGE, RegistryConfig, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// The text as it is, and in base64 at each of the three places where it may begin.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let mut all = vec![text.as_bytes().to_vec()];
    for before in 0..3 {
        let shifted = [&vec![b' '; before], text.as_bytes()].concat();
        for engine in [&STANDARD, &URL_SAFE] {
            let encoded = engine.encode(&shifted);
            // What its neighbours have a part in is left out.
            let (from, to) = (before.div_ceil(3) * 4, encoded.len() / 4 * 4 - 4);
            all.push(encoded.as_bytes()[from..to].to_vec());
        }
    }
    all
}

/// Files below a folder in which one of these stands.
fn holding(folder: &Path, sought: &[Vec<u8>]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    let mut read = 0;
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() {
                let bytes = match std::fs::read(&path) {
                    // A daemon replaces files while they are looked at.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    bytes => bytes?,
                };
                read += 1;
                let has = |one: &Vec<u8>| bytes.windows(one.len()).any(|part| part == one);
                if sought.iter().any(has) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    ensure!(read > 0, "{} has no file", folder.display());
    Ok(found)
}

#[test]
fn a_registry_s_password_reaches_those_that_pull_and_nobody_else() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let auth = Some(("ann".to_owned(), "hushed-word".to_owned()));
    let registry =
        lab.registry(&RegistryConfig { port: 5004, auth, ..RegistryConfig::default() })?;
    let image = format!("{}/team/box:1", registry.address);
    let folder = tempfile::tempdir()?;
    let docker = nodes.client(1).env("DOCKER_CONFIG", folder.path().display().to_string());
    docker.run(&["tag", IMAGE, &image]).ok()?;
    let login = ["login", "--username", "ann", "--password-stdin", &registry.address];
    docker.feed(&login, b"hushed-word").ok()?;
    docker.run(&["push", "--quiet", &image]).ok()?;
    docker.run(&["rmi", &image]).ok()?;

    // Without them every node is refused, and says by whom and why.
    let begin = ["service", "create", "--mode", "global", "--stop-signal", "KILL"];
    let task = [&image, "sleep", "1d"];
    let without = ["--detach", "--name", "without", "--restart-condition", "none"];
    docker.run(&[&begin[..], &without, &task].concat()).ok()?;
    let ps = ["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", "without"];
    let told = until(LONG, "all three are rejected", || {
        let told = docker.run(&ps).ok()?;
        let rejected = told.lines().filter(|line| line.starts_with("Rejected")).count();
        Ok((rejected == 3).then_some(told))
    })?;
    ensure!(told.lines().all(|line| line.contains("no basic auth credentials")), "{told}");

    // With them all three pull it.
    let with = ["--name", "with", "--with-registry-auth"];
    docker.run(&[&begin[..], &with, &task].concat()).ok()?;
    for host in 1..=3 {
        let name = ["ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=with"];
        ensure!(!nodes.engine(host, &name).ok()?.is_empty(), "host {host} runs none");
    }

    let sought = spellings("hushed-word");
    let task = nodes.docker(1, &["service", "ps", "--quiet", "--no-trunc", "with"]).ok()?;
    let task = task.lines().next().context("it has no task")?.to_owned();
    for arguments in [["service", "inspect", "with"], ["inspect", "--type=task", &task]] {
        let shown = nodes.docker(1, &arguments).ok()?;
        ensure!(shown.contains("team/box"), "{shown}");
        let stands = |one: &Vec<u8>| shown.contains(&*String::from_utf8_lossy(one));
        ensure!(!sought.iter().any(stands), "{shown}");
    }
    for host in 1..=3 {
        let found = holding(&nodes.folder(host), &sought)?;
        ensure!(found.is_empty(), "it stands in {found:?}");
    }
    Ok(())
}

#[test]
fn a_secret_is_on_no_disk_in_the_clear_and_has_its_bounds() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let secret = "the-cat-sleeps-at-noon";
    nodes.client(1).feed(&["secret", "create", "key", "-"], secret.as_bytes()).ok()?;
    let create = ["service", "create", "--name", "web", "--mode", "global", "--secret", "key"];
    let task = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&create[..], &task].concat()).ok()?;
    let read = ["service", "create", "--name", "read", "--mode", "replicated-job"];
    let shows = ["--secret", "key", IMAGE, "cat", "/run/secrets/key"];
    nodes.docker(1, &[&read[..], &shows].concat()).ok()?;
    let logs = nodes.docker(1, &["service", "logs", "--raw", "read"]).ok()?;
    ensure!(logs == secret, "its tasks have it: {logs}");

    let sought = spellings(secret);
    // It would be found, also in base64 and in the middle of something.
    let probe = tempfile::tempdir()?;
    for text in [format!("a {secret}"), STANDARD.encode(format!("ab {secret} cd"))] {
        std::fs::write(probe.path().join("probe"), text)?;
        ensure!(holding(probe.path(), &sought)?.len() == 1, "it is not found");
    }
    let clear = |nodes: &Daemons<'_>| -> Result<()> {
        for host in 1..=2 {
            let found = holding(&nodes.folder(host), &sought)?;
            ensure!(found.is_empty(), "it stands in {found:?}");
        }
        Ok(())
    };
    clear(&nodes)?;
    let raft = nodes.folder(1).join("data/raft");
    ensure!(raft.join("store.redb").is_file(), "it is kept in {}", raft.display());
    // Nor after a restart, which reads and writes it all.
    nodes.stop(1)?;
    nodes.launch(1, &[])?;
    nodes.ready(1, 2)?;
    clear(&nodes)?;

    // Where Docker refuses, so does this, in its words.
    for (kind, most) in [("secret", 500 * 1024), ("config", 1000 * 1024)] {
        let create = |name: &str, size: usize| {
            nodes.client(1).feed(&[kind, "create", name, "-"], &vec![b'x'; size])
        };
        create("most", most - 1).ok()?;
        let told = create("more", most).fails()?;
        let words = format!("{kind} data must be larger than 0 and less than {most} bytes");
        ensure!(told.contains(&words), "{told}");
        let listed = nodes.docker(1, &[kind, "ls", "--format", "{{.Name}}"]).ok()?;
        ensure!(listed.contains("most") && !listed.contains("more"), "{listed}");
    }
    Ok(())
}
