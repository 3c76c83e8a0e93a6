//! Managers as processes of their own: killed at any moment, and with a disk that fills up.
//!
//! The process is this test itself, told by its environment to write until it is killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use swarm_kv::{KeyValue as _, StoreError, Write};
use swarm_raft::{Embedded, EmbeddedOptions};
use swarm_testkit::stores::Server;

/// Where the process writes, and which numbers.
const FOLDER: &str = "SWARM_RAFT_TEST_FOLDER";
const FROM: &str = "SWARM_RAFT_TEST_FROM";
const PATIENCE: Duration = Duration::from_mins(1);

/// Writes one number after another and says each that was answered.
async fn write_numbers(folder: &Path, from: u32, until: u32) {
    let embedded = Embedded::open(EmbeddedOptions::new(folder)).await.unwrap();
    let mut number = from;
    while number < until {
        match embedded.put(Write::new(format!("d/{number:08}"), vec![7; 1500])).await {
            Ok(_) => {
                println!("wrote {number}.");
                number += 1;
            }
            Err(error @ (StoreError::Unwritable { .. } | StoreError::Unknown { .. })) => {
                let is_certain = matches!(error, StoreError::Unwritable { .. });
                println!("{} {number}.", if is_certain { "refused" } else { "unsure" });
                println!("failed: {error}");
                let there = embedded.list("d").await.unwrap().len();
                println!("read {there}");
                number += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => unreachable!("{error}"),
        }
    }
    embedded.shutdown().await;
}

/// The process; without a folder in its environment it writes a few numbers to one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn writer() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let from = std::env::var(FROM).unwrap().parse().unwrap();
        return write_numbers(&PathBuf::from(folder), from, u32::MAX).await;
    }
    let folder = tempfile::tempdir().unwrap();
    write_numbers(folder.path(), 0, 20).await;
    assert_eq!(numbers(folder.path()).await, (0..20).collect());
}

/// What is there.
async fn numbers(folder: &Path) -> BTreeSet<u32> {
    let embedded = Embedded::open(EmbeddedOptions::new(folder)).await.unwrap();
    let items = embedded.list("d").await.unwrap();
    embedded.shutdown().await;
    items.iter().map(|item| item.key[2..].parse().unwrap()).collect()
}

fn command(folder: &Path, from: u32, limited: bool) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut command = if limited {
        // A file may have 3 MiB (in blocks of 512 bytes); more is an error, as on a full disk.
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -S -f 6144; exec \"$0\" \"$@\""]).arg(own);
        shell
    } else {
        Command::new(own)
    };
    command.args(["--exact", "crash::writer", "--nocapture"]).env(FOLDER, folder);
    command.env(FROM, from.to_string());
    command
}

fn log(server: &Server) -> String {
    fs::read_to_string(server.folder().join("server.log")).unwrap_or_default()
}

/// Numbers that were answered.
fn answered(log: &str) -> BTreeSet<u32> {
    told(log, "wrote ")
}

/// Numbers of which that was said.
fn told(log: &str, word: &str) -> BTreeSet<u32> {
    let number = |line: &str| line.split_once(word)?.1.strip_suffix('.')?.parse().ok();
    log.lines().filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_manager_has_everything_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::new("writer", folder.path()).unwrap();
    for round in 0..6_u32 {
        let before = answered(&log(&server)).len();
        let from = round * 1_000_000;
        server.start(&mut command(&data, from, false)).unwrap();
        // Killed at a moment that is not chosen: somewhere within the writes that follow.
        let enough = before + 50 + round as usize * 37;
        let path = server.folder().join("server.log");
        let ready = || answered(&fs::read_to_string(&path).unwrap_or_default()).len() >= enough;
        server.wait(PATIENCE, ready).unwrap();
        server.crash().unwrap();
        let answered = answered(&log(&server));
        let there = numbers(&data).await;
        let lost: Vec<_> = answered.difference(&there).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were answered and are gone");
        println!("round {round}: {} answered, {} there", answered.len(), there.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_work_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::new("writer", folder.path()).unwrap();
    server.start(&mut command(&data, 0, true)).unwrap();
    let path = server.folder().join("server.log");
    let text = || fs::read_to_string(&path).unwrap_or_default();
    server.wait(PATIENCE, || told(&text(), "refused ").len() > 3).unwrap();
    let said = text();
    let refusal = "its disk does not take writes (";
    assert!(said.contains(refusal) && said.contains("nothing was changed"), "{said}");
    // The one in whose midst the disk filled up is in the log, and comes with the room.
    assert_eq!(told(&said, "unsure ").len(), 1, "{said}");
    assert!(said.contains("It may still be applied: look before you try again"), "{said}");
    let before = answered(&said).len();
    assert!(before > 50, "{said}");
    // Reads go on meanwhile, and show nothing that was not answered.
    let read = said.lines().find_map(|line| line.strip_prefix("read ")?.parse::<usize>().ok());
    assert!(read.is_some_and(|read| read >= before), "{said}");
    let raised = Command::new("prlimit")
        .args(["--fsize=unlimited:", "--pid", &server.id().unwrap().to_string()])
        .status()
        .unwrap();
    assert!(raised.success());
    let begun = Instant::now();
    server.wait(PATIENCE, || answered(&text()).len() > before + 50).unwrap();
    println!("it wrote again {:?} after there was room", begun.elapsed());
    server.crash().unwrap();
    let answered = answered(&text());
    let there = numbers(&data).await;
    assert!(answered.is_subset(&there), "what was answered is there");
    let (refused, unsure) = (told(&text(), "refused "), told(&text(), "unsure "));
    assert!(refused.is_disjoint(&there), "what was refused is not: {refused:?}");
    // But for the one in whose midst it was killed.
    let last = answered.last().copied().unwrap_or(u32::MAX);
    let others = there.difference(&answered).filter(|number| **number <= last);
    assert!(
        others.clone().all(|number| unsure.contains(number)),
        "{:?}",
        others.collect::<Vec<_>>()
    );
}
