//! `swarm support-bundle`: what somebody who helps needs to see, in one archive, and nothing that is
//! secret. What cannot be asked is in it as the words of the failure, and is told; where no manager can be
//! asked at all, the exit code says so ([`INCOMPLETE`]).

use std::io::{IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::Value;
use swarm_doctor::redact;

use super::doctor;
use super::manager::Manager;
use super::verdict::Unwell;
use crate::cli::{BundleFlags, DoctorFlags};
use crate::config::Env;
use crate::usage::UsageError;

/// The exit code of an archive that no manager's answers are in.
const INCOMPLETE: u8 = 3;
/// Events from so long ago on, in seconds.
const PAST: u64 = 3_600;
/// So many of them at most, the newest.
const EVENTS: usize = 10_000;

const README: &str = "\
What is in this archive:
  doctor.json      what swarm doctor says of the machine that made it
  version.json     the manager's version
  info.json        its pool or its node as docker info shows it
  nodes.json       the nodes
  containers.json  the containers: all of a pool or at a cluster endpoint, a node's own at a node endpoint
  events.jsonl     what happened in the last hour
Of a swarm, from a manager:
  swarm.json       its settings, without the tokens
  services.json    the services
  tasks.json       the tasks
  networks.json    the networks

Left out everywhere: environments, arguments of commands, the values of labels and options, tokens,
the contents of configs, passwords in URLs. Images', containers' and services' names, addresses and
paths are in it. Not in it are logs:
  journalctl --since -1h -u swarm-daemon -u swarm-manage -u swarm-join
";

/// What is asked of every manager: the file, and where.
const ANYBODY: [(&str, &str); 4] = [
    ("version.json", "/version"),
    ("info.json", "/info"),
    ("nodes.json", "/nodes"),
    ("containers.json", "/containers/json?all=1"),
];
/// What is asked of a swarm beside that.
const SWARM: [(&str, &str); 4] = [
    ("swarm.json", "/swarm"),
    ("services.json", "/services"),
    ("tasks.json", "/tasks"),
    ("networks.json", "/networks"),
];

/// Asks, leaves secrets out, and writes the archive.
pub async fn run(flags: BundleFlags, env: Env<'_>) -> anyhow::Result<()> {
    if flags.file == "-" && std::io::stdout().is_terminal() {
        let words = "an archive is nothing for a terminal; name a file, or pipe it on";
        return Err(UsageError::flags(words).into());
    }
    let manager = Manager::new(&flags.manager, env)?;
    let mut parts = vec![("README.txt", README.to_owned())];
    let info = manager.ask(Method::GET, "/info", None).await;
    let nobody = info.as_ref().err().map(in_words);
    let info = info.unwrap_or_default();
    let is_swarm = info["Swarm"]["LocalNodeState"] == "active";
    let of_swarm = if is_swarm { &SWARM[..] } else { &[] };
    let mut missing = Vec::new();
    let mut part = |name, told: Result<String, String>| {
        let text = told.unwrap_or_else(|words| {
            missing.push((name, words.clone()));
            words
        });
        parts.push((name, text));
    };
    for &(name, path) in ANYBODY.iter().chain(of_swarm) {
        // Who does not answer is not asked again and again: each time may take a minute.
        let told = if let Some(words) = &nobody {
            Err(words.clone())
        } else {
            let asked = manager.ask(Method::GET, path, None).await;
            asked.map(|answer| pretty(&redact::answer(answer))).map_err(|error| in_words(&error))
        };
        part(name, told);
    }
    let told = match &nobody {
        Some(words) => Err(words.clone()),
        None => events(&manager).await.map_err(|error| in_words(&error)),
    };
    part("events.jsonl", told);
    let of_machine = DoctorFlags {
        engine: flags.engine,
        data_dir: flags.data_dir,
        json: true,
        manager: flags.manager,
    };
    let verdict = doctor::look(&of_machine, env).await;
    part(
        "doctor.json",
        verdict.map(|verdict| pretty(&verdict.json())).map_err(|error| in_words(&error)),
    );
    let written = if flags.file == "-" {
        archive(&parts, std::io::stdout().lock())
    } else {
        // Who looks into it is its owner's to decide; an older one is not lost.
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&flags.file);
        archive(&parts, file.with_context(|| format!("cannot make {}", flags.file))?)
    };
    written.with_context(|| format!("cannot write {}", flags.file))?;
    if flags.file != "-" {
        eprintln!("{} is written; look into it before you pass it on", flags.file);
    }
    if nobody.is_some() {
        let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
        let words = missing.first().map_or("", |(_, words)| words.trim_end());
        eprintln!("no manager can be asked; missing are {}: {words}", names.join(", "));
        return Err(Unwell(INCOMPLETE).into());
    }
    for (name, words) in &missing {
        eprintln!("{name} is {}", words.trim_end());
    }
    Ok(())
}

/// What could not be asked.
fn in_words(error: &anyhow::Error) -> String {
    format!("not there: {}\n", crate::said_once(error))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The last hour, one event a line.
async fn events(manager: &Manager) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Of the present second too.
    let path = format!("/events?since={}&until={}", now.saturating_sub(PAST), now + 1);
    let mut lines = manager.lines(Method::GET, &path).await?;
    let mut kept = std::collections::VecDeque::new();
    while let Some(event) = lines.next().await? {
        kept.push_back(redact::event(&event).to_string());
        if kept.len() > EVENTS {
            kept.pop_front();
        }
    }
    Ok(kept.into_iter().map(|line| line + "\n").collect())
}

/// A tar archive, compressed; every part in one folder.
fn archive(parts: &[(&str, String)], out: impl Write) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::default()));
    for (name, text) in parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, format!("swarm-support/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()?.flush()
}
