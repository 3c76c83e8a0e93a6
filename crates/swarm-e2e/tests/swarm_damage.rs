//! Managers whose stores are damaged or gone while they are stopped: one of several is filled again from
//! the others, and no container is touched; where too few are left, and alone, words say what to do.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, ask, exclusive, swarm, until};

const LONG: Duration = Duration::from_mins(1);

fn records(nodes: &Daemons<'_>, host: u8) -> PathBuf {
    nodes.folder(host).join("data/raft/store.redb")
}

fn overwrite(path: &PathBuf) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let quarter = bytes.len() / 4;
    bytes[quarter..3 * quarter].fill(0x5a);
    Ok(fs::write(path, bytes)?)
}

/// Each host's containers, and since when they run.
fn containers(nodes: &Daemons<'_>, hosts: &[u8]) -> Result<Vec<String>> {
    let of = |host: &u8| -> Result<String> {
        let ids = nodes.engine(*host, &["ps", "--quiet", "--no-trunc"]).ok()?;
        let mut inspect = vec!["inspect", "--format", "{{.Id}} {{.State.StartedAt}}"];
        inspect.extend(ids.lines());
        ensure!(inspect.len() > 3, "host {host} runs nothing");
        nodes.engine(*host, &inspect).ok()
    };
    hosts.iter().map(of).collect()
}

/// What is the same on each manager.
fn state(nodes: &Daemons<'_>, host: u8) -> Result<String> {
    let of = |path: &str| Ok::<_, anyhow::Error>(ask(&nodes.sock(host), "GET", path, "")?.text());
    Ok([of("/services")?, of("/secrets")?, of("/swarm")?].join("\n"))
}

/// Waits until all three are managers and no fourth is, as `by` sees them.
fn managers(nodes: &Daemons<'_>, by: u8) -> Result<()> {
    until(LONG, "three managers", || {
        let format = ["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"];
        let Ok(listed) = nodes.docker(by, &format).ok() else { return Ok(None) };
        let well = |line: &&str| matches!(*line, "Ready Leader" | "Ready Reachable");
        Ok((listed.lines().filter(well).count() == 3 && listed.lines().count() == 3).then_some(()))
    })
    .with_context(|| nodes.logs())
}

fn label(nodes: &Daemons<'_>, by: u8, label: &str) -> Result<()> {
    until(LONG, "a write is taken", || {
        let update = ["service", "update", "--detach", "--label-add", label, "web"];
        Ok(nodes.docker(by, &update).ok().ok().map(drop))
    })
    .with_context(|| nodes.logs())
}

/// Waits until so many managers were let count since the swarm began.
fn counts(nodes: &Daemons<'_>, times: usize) -> Result<()> {
    until(LONG, format_args!("{times} managers were let count"), || {
        let told = nodes.logs().matches("a manager counts towards the quorum now").count();
        Ok((told >= times).then_some(()))
    })
    .with_context(|| nodes.logs())
}

/// It counts: with it and one other there is a quorum of three.
fn votes(nodes: &mut Daemons<'_>, host: u8, without: u8) -> Result<()> {
    nodes.stop(without)?;
    label(nodes, host, &format!("without={without}"))?;
    nodes.launch(without, &[])?;
    managers(nodes, host)
}

fn web(nodes: &Daemons<'_>) -> Result<()> {
    nodes.everywhere(1, "web")?;
    ensure!(nodes.client(1).feed(&["secret", "create", "token", "-"], b"hidden").ok().is_ok());
    Ok(())
}

#[test]
fn a_damaged_store_is_filled_again_from_the_others() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    web(&nodes)?;
    managers(&nodes, 1)?;
    let before = containers(&nodes, &[1, 2, 3])?;
    for (round, what) in ["overwritten", "cut off", "deleted"].into_iter().enumerate() {
        let path = records(&nodes, 3);
        nodes.kill(3)?;
        match what {
            "overwritten" => overwrite(&path)?,
            "cut off" => {
                let file = fs::File::options().write(true).open(&path)?;
                file.set_len(file.metadata()?.len() / 2)?;
            }
            _ => fs::remove_file(&path)?,
        }
        label(&nodes, 1, &format!("round={round}"))?;
        nodes.launch(3, &[])?;
        managers(&nodes, 1).context(what)?;
        // Two that joined, and this one once in each round.
        counts(&nodes, 3 + round).context(what)?;
        votes(&mut nodes, 3, 2).context(what)?;
        until(LONG, "all managers have the same", || {
            Ok((state(&nodes, 3)? == state(&nodes, 1)?).then_some(()))
        })
        .with_context(|| format!("{what}: {:?}\n{}", state(&nodes, 3), nodes.logs()))?;
        ensure!(containers(&nodes, &[1, 2, 3])? == before, "{what}: no container was touched");
        // What was damaged is kept, and told.
        let kept = path.with_file_name(format!("store.redb.damaged-{}", round + 1));
        ensure!(kept.exists() == (what != "deleted"), "{what}");
    }
    let told = nodes.info(3)?;
    let warned = told["Warnings"].to_string();
    ensure!(warned.contains("WARNING: swarm: this manager's store was damaged"), "{warned}");
    ensure!(warned.contains("store.redb.damaged-2"), "{warned}");
    let mut status = Command::new(swarm()?);
    let socket = format!("unix://{}", nodes.sock(3).display());
    let said = status.args(["status", "--host", &socket]).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains("store was damaged") && said.contains("look at its disk"), "{said}");
    for number in [1, 2] {
        fs::remove_file(records(&nodes, 3).with_file_name(format!("store.redb.damaged-{number}")))?;
    }
    let told = nodes.info(3)?;
    ensure!(!told["Warnings"].to_string().contains("swarm:"), "{}", told["Warnings"]);
    ensure!(told["Swarm"]["Error"] == "", "{}", told["Swarm"]);

    // Under a lock, its key stays under that.
    let key = nodes.docker(1, &["swarm", "update", "--autolock"]).ok()?;
    let key = key.split_whitespace().find(|word| word.starts_with("SWMKEY-1-"));
    let key = format!("{}\n", key.context("no unlock key")?);
    until(LONG, "the third is locked", || {
        let key = fs::read(records(&nodes, 3).with_file_name("store.key"))?;
        Ok((key.len() > 32).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    nodes.kill(3)?;
    overwrite(&records(&nodes, 3))?;
    nodes.launch(3, &[])?;
    ensure!(nodes.info(3)?["Swarm"]["LocalNodeState"] == "locked");
    ensure!(!records(&nodes, 3).with_file_name("store.redb.damaged-1").exists());
    nodes.client(3).feed(&["swarm", "unlock"], key.as_bytes()).ok()?;
    managers(&nodes, 1)?;
    counts(&nodes, 6)?;
    nodes.stop(2)?;
    label(&nodes, 3, "locked=yes")?;
    ensure!(records(&nodes, 3).with_file_name("store.redb.damaged-1").exists());
    ensure!(fs::read(records(&nodes, 3).with_file_name("store.key"))?.len() > 32, "locked again");
    ensure!(containers(&nodes, &[1, 2, 3])? == before, "no container was touched");
    Ok(())
}

#[test]
fn where_nobody_can_fill_it_again_words_say_what_to_do() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    web(&nodes)?;
    managers(&nodes, 1)?;
    let before = containers(&nodes, &[1, 2, 3])?;
    for host in [2, 3] {
        nodes.kill(host)?;
        overwrite(&records(&nodes, host))?;
    }
    for host in [2, 3] {
        nodes.launch(host, &[])?;
    }
    for host in [2, 3] {
        let told = nodes.info(host)?["Swarm"]["Error"].to_string();
        for words in ["store.redb is damaged", "--force-new-cluster", "swarm restore"] {
            ensure!(told.contains(words), "{told}");
        }
        ensure!(!records(&nodes, host).with_file_name("store.redb.damaged-1").exists());
    }
    ensure!(containers(&nodes, &[1, 2, 3])? == before, "no container was touched");

    // As the words say: the well one goes on alone, and the others come back.
    nodes.docker(1, &["swarm", "init", "--force-new-cluster"]).ok()?;
    nodes.ready(1, 3)?;
    for host in [2, 3] {
        until(LONG, "it is a worker that is well", || {
            let told = nodes.info(host)?;
            let well = told["Swarm"]["ControlAvailable"] == false && told["Swarm"]["Error"] == "";
            Ok(well.then_some(()))
        })
        .with_context(|| nodes.logs())?;
    }
    ensure!(containers(&nodes, &[1, 2, 3])? == before, "no container was touched");

    // A manager that is alone has nobody to ask, and begins nothing anew.
    let path = records(&nodes, 1);
    nodes.stop(1)?;
    let well = fs::read(&path)?;
    fs::remove_file(&path)?;
    nodes.launch(1, &[])?;
    let told = nodes.info(1)?["Swarm"]["Error"].to_string();
    ensure!(told.contains("is gone or empty") && told.contains("swarm restore"), "{told}");
    let told = nodes.docker(1, &["service", "ls"]).fails()?;
    ensure!(told.contains("is gone or empty"), "{told}");
    ensure!(!path.exists(), "nothing was begun");
    // Put back, it goes on by itself.
    fs::write(&path, well)?;
    nodes.ready(1, 3)?;
    ensure!(nodes.docker(1, &["service", "ls", "--format", "{{.Name}}"]).ok()? == "web");
    ensure!(containers(&nodes, &[1, 2, 3])? == before, "no container was touched");
    Ok(())
}
