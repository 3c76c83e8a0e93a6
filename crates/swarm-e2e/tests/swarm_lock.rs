//! What guards a swarm: managers whose disks are locked, and the root that is rotated; with the plain
//! `docker` client on real engines.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, IMAGE, exclusive, until};

const LONG: Duration = Duration::from_mins(1);
const LOCKED: &str = "Swarm is encrypted and needs to be unlocked before it can be used";

fn state(nodes: &Daemons<'_>, host: u8) -> Result<String> {
    nodes.docker(host, &["info", "--format", "{{.Swarm.LocalNodeState}}"]).ok()
}

fn unlock_key(nodes: &Daemons<'_>, more: &[&str]) -> Result<String> {
    nodes.docker(1, &[&["swarm", "unlock-key", "--quiet"], more].concat()).ok()
}

/// `docker swarm unlock`; what it says where it fails.
fn unlock(nodes: &Daemons<'_>, host: u8, key: &str) -> Result<Option<String>> {
    let ran = nodes.client(host).feed(&["swarm", "unlock"], format!("{key}\n").as_bytes());
    let ran = ran.output()?;
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    Ok((!ran.status.success()).then_some(told))
}

/// What a manager's two keys look like on its disk.
fn kept(nodes: &Daemons<'_>, host: u8) -> Result<(Vec<u8>, Vec<u8>)> {
    let folder = nodes.folder(host).join("data");
    let own =
        std::fs::read(folder.join("certificates/swarm-node.pem")).context("the node's key")?;
    Ok((own, std::fs::read(folder.join("raft/store.key")).context("the store's key")?))
}

/// Whether both are sealed, each under one key.
fn is_sealed((own, store): &(Vec<u8>, Vec<u8>)) -> bool {
    own.starts_with(b"-----BEGIN SWARM SEALED PRIVATE KEY") && (33..100).contains(&store.len())
}

fn is_plain((own, store): &(Vec<u8>, Vec<u8>)) -> bool {
    own.starts_with(b"-----BEGIN PRIVATE KEY") && store.len() == 32
}

#[test]
fn managers_are_locked_until_somebody_has_the_key() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[1, 2, 3])?;
    let init = ["swarm", "init", "--autolock", "--advertise-addr", &lab.ip(1)];
    let began = nodes.docker(1, &init).ok()?;
    ensure!(began.contains("SWMKEY-1-"), "{began}");
    ensure!(is_sealed(&kept(&nodes, 1)?), "from the first moment on");
    nodes.join(2, 1, "manager")?.ok()?;
    ensure!(is_sealed(&kept(&nodes, 2)?), "who joins too");
    nodes.join(3, 1, "manager")?.ok()?;
    nodes.ready(1, 3)?;
    let key = unlock_key(&nodes, &[])?;
    ensure!(began.contains(&key), "{began}");
    let told = unlock(&nodes, 1, &key)?.context("it is not locked")?;
    ensure!(told.contains("swarm is not locked"), "{told}");
    let create = ["service", "create", "--name", "web", "--mode", "global"];
    nodes
        .docker(1, &[&create[..], &["--stop-signal", "KILL", IMAGE, "sleep", "1d"]].concat())
        .ok()?;

    // A restart locks it: what runs goes on, and nothing else does.
    let containers = nodes.engine(1, &["ps", "--quiet"]).ok()?;
    ensure!(!containers.is_empty());
    nodes.kill(1)?;
    nodes.launch(1, &[])?;
    ensure!(state(&nodes, 1)? == "locked");
    for arguments in [&["service", "ls"][..], &["node", "ls"], &["swarm", "unlock-key"]] {
        let told = nodes.docker(1, arguments).fails()?;
        ensure!(told.contains(LOCKED), "{told}");
    }
    let told = nodes.docker(1, &["swarm", "leave"]).fails()?;
    ensure!(told.contains("Swarm is encrypted and locked"), "{told}");
    // Its last letter is an A in one of sixteen cases.
    let last = if key.ends_with('A') { "E" } else { "A" };
    let other = format!("{}{last}", &key[..key.len() - 1]);
    for (key, words) in [("nonsense", "invalid"), (&*other, "invalid key")] {
        let told = unlock(&nodes, 1, key)?.context("a wrong key")?;
        ensure!(told.contains(words), "{told}");
        ensure!(state(&nodes, 1)? == "locked");
    }
    ensure!(nodes.engine(1, &["ps", "--quiet"]).ok()? == containers);
    ensure!(unlock(&nodes, 1, &key)?.is_none());
    nodes.docker(1, &["service", "ls"]).ok()?;
    nodes.ready(1, 3)?;
    ensure!(nodes.engine(1, &["ps", "--quiet"]).ok()? == containers, "the same tasks");

    // Rotated while one is off: that one goes by the older key until it has caught up.
    nodes.kill(2)?;
    let next = unlock_key(&nodes, &["--rotate"])?;
    ensure!(next != key && next == unlock_key(&nodes, &[])?);
    let before = kept(&nodes, 2)?;
    nodes.launch(2, &[])?;
    ensure!(unlock(&nodes, 2, &next)?.is_some(), "the new key has not come to it");
    ensure!(unlock(&nodes, 2, &key)?.is_none());
    until(LONG, "it has caught up", || {
        let now = kept(&nodes, 2)?;
        Ok((now.0 != before.0 && now.1 != before.1 && is_sealed(&now)).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    nodes.kill(2)?;
    nodes.launch(2, &[])?;
    ensure!(unlock(&nodes, 2, &key)?.is_some(), "the older key is over");
    ensure!(unlock(&nodes, 2, &next)?.is_none());
    nodes.ready(1, 3)?;

    // A worker's disk is not locked, and a manager's not once locking was turned off.
    nodes.node(1, &["demote", "host-3"])?;
    until(LONG, "the worker's key is plain", || {
        let pem = std::fs::read(nodes.folder(3).join("data/certificates/swarm-node.pem"))?;
        Ok(pem.starts_with(b"-----BEGIN PRIVATE KEY").then_some(()))
    })
    .with_context(|| nodes.logs())?;
    nodes.docker(1, &["swarm", "update", "--autolock=false"]).ok()?;
    until(LONG, "managers' keys are plain", || {
        Ok((is_plain(&kept(&nodes, 1)?) && is_plain(&kept(&nodes, 2)?)).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    let told = nodes.docker(1, &["swarm", "unlock-key"]).fails()?;
    ensure!(told.contains("no unlock key is set"), "{told}");
    nodes.kill(1)?;
    nodes.launch(1, &[])?;
    ensure!(state(&nodes, 1)? == "active");
    nodes.ready(1, 3)?;
    // It may have read what it had before it heard of a leader.
    let turned = until(LONG, "it is turned on again", || {
        let ran = nodes.docker(1, &["swarm", "update", "--autolock"]).output()?;
        let told = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success() || told.contains("update out of sequence"), "{told}");
        Ok(ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).into_owned()))
    })?;
    ensure!(turned.contains("SWMKEY-1-"), "{turned}");
    until(LONG, "managers' keys are sealed again", || {
        Ok((is_sealed(&kept(&nodes, 1)?) && is_sealed(&kept(&nodes, 2)?)).then_some(()))
    })?;
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    let here = ["service", "create", "--name", "here", "--constraint", "node.hostname==host-1"];
    nodes.docker(1, &[&here[..], &sleep].concat()).ok()?;
    nodes.engine(1, &[&["run", "--detach", "--name", "own"], &sleep[..]].concat()).ok()?;
    nodes.stop(1)?;
    nodes.launch(1, &[])?;
    let there = || nodes.engine(1, &["ps", "--all", "--format", "{{.Names}}"]).ok();
    ensure!(state(&nodes, 1)? == "locked" && there()?.contains("here.1."), "{}", there()?);
    nodes.docker(1, &["swarm", "leave", "--force"]).ok()?;
    ensure!(state(&nodes, 1)? == "inactive", "a locked node can be given up");
    ensure!(there()? == "own", "its tasks go with it, and nothing else: {}", there()?);
    Ok(())
}

#[test]
fn the_root_is_rotated_while_everything_goes_on() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 2)?;
    let create = ["service", "create", "--name", "web", "--mode", "global"];
    nodes
        .docker(1, &[&create[..], &["--stop-signal", "KILL", IMAGE, "sleep", "1d"]].concat())
        .ok()?;
    let containers = |host| nodes.engine(host, &["ps", "--quiet"]).ok();
    let running = [containers(1)?, containers(2)?, containers(3)?];
    let root = |host| nodes.docker(host, &["swarm", "ca"]).ok();
    let token = || nodes.docker(1, &["swarm", "join-token", "--quiet", "worker"]).ok();
    let (old_root, old_token) = (root(1)?, token()?);

    // The client follows it to its end, and shows the new root.
    let told = nodes.docker(1, &["swarm", "ca", "--rotate"]).ok().with_context(|| nodes.logs())?;
    let new_root = root(2)?;
    ensure!(new_root != old_root && told.contains(&new_root), "{told}");
    nodes.ready(1, 3)?;
    ensure!(token()? != old_token);
    let info = nodes.docker(
        1,
        &["node", "inspect", "--format", "{{.Description.TLSInfo.TrustRoot}}", "host-3"],
    );
    ensure!(info.ok()?.trim() == new_root.trim(), "a worker trusts the new root alone");

    // Whoever joins needs the token of the new root.
    nodes.docker(3, &["swarm", "leave"]).ok()?;
    let manager = format!("{}:2377", lab.ip(2));
    let refused = nodes.docker(3, &["swarm", "join", "--token", &old_token, &manager]).fails()?;
    ensure!(refused.contains("root was rotated"), "{refused}");
    nodes.join(3, 2, "worker")?.ok()?;
    nodes.ready(2, 3)?;
    until(LONG, "a task runs on it", || Ok((!containers(3)?.is_empty()).then_some(())))?;
    ensure!([containers(1)?, containers(2)?] == running[..2], "no task was stopped elsewhere");

    // One that is away holds it up until it is removed.
    let detached = nodes.docker(2, &["swarm", "ca", "--rotate", "--detach", "--quiet"]);
    detached.ok()?;
    let away = until(LONG, "the one that left is down", || {
        let listed = nodes.docker(1, &["node", "ls", "--format", "{{.Status}} {{.ID}}"]).ok()?;
        Ok(listed.lines().find_map(|line| line.strip_prefix("Down ").map(str::to_owned)))
    })?;
    ensure!(root(1)? == new_root);
    let warned = nodes.docker(1, &["info", "--format", "{{json .Warnings}}"]).ok()?;
    let awaited = "the rotation of the swarm's root waits for node host-3, which is not heard of";
    ensure!(warned.contains(awaited) && warned.contains("docker node rm --force"), "{warned}");
    nodes.docker(1, &["node", "rm", &away]).ok()?;
    until(LONG, "another root", || Ok((root(1)? != new_root).then_some(())))
        .with_context(|| nodes.logs())?;
    nodes.ready(1, 3)
}
