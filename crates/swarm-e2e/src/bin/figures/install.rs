//! How long `swarm up` and `swarm down` take, on hosts with systemd and sshd.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use swarm_e2e::{Machines, Scratch, stripped};

use crate::seconds;

#[derive(Debug, Parser)]
pub struct Options {
    /// How many machines there are, each time anew; one more joins later
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3, 10])]
    hosts: Vec<u8>,
    /// A pool instead of a swarm
    #[arg(long)]
    pool: bool,
    /// Write the table as Markdown to this file
    #[arg(long)]
    pub markdown: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<String> {
    let kind = if options.pool { "pool" } else { "swarm" };
    let mut table = format!(
        "| machines of a {kind} | `swarm up` s | again: nothing to do s | one more s | `swarm down` of all s |\n\
         |---|---|---|---|---|\n"
    );
    for hosts in &options.hosts {
        let times = measured(*hosts, options.pool)?;
        let times = times.map(seconds).join(" | ");
        writeln!(table, "| {hosts} | {times} |")?;
    }
    Ok(table)
}

/// First, again, one more, down.
fn measured(hosts: u8, pool: bool) -> Result<[Duration; 4]> {
    let lab = Scratch::machines(hosts + 1)?;
    let machines = Machines::new(&lab)?;
    let folder = tempfile::tempdir()?;
    let binary = stripped(folder.path(), "swarm", b"")?;
    let certs = folder.path().join("certs").display().to_string();
    let named = |hosts: &[u8]| hosts.iter().map(|host| format!("h{host}")).collect::<Vec<_>>();
    let (all, own): (Vec<u8>, Vec<u8>) = ((1..=hosts + 1).collect(), (1..=hosts).collect());
    let part: &[&str] = if pool { &["--pool", "--certs", &certs] } else { &[] };
    let up = |words: Vec<String>, expected: &str| {
        let begin = ["up", "--name", "prod"].iter().chain(part).map(|word| (*word).to_owned());
        timed(&machines, &binary, &begin.chain(words).collect::<Vec<_>>(), expected)
    };
    let first = up(named(&own), "prod: done, ")?;
    let again = up(named(&own), "nothing to do")?;
    // A manager of it is named, and the machine that is new.
    let more = up(named(&[1, hosts + 1]), "prod: done, ")?;
    let down = [vec!["down".to_owned()], named(&all)].concat();
    let down = timed(&machines, &binary, &down, "done, ")?;
    Ok([first, again, more, down])
}

fn timed(
    machines: &Machines<'_>,
    binary: &Path,
    words: &[String],
    expected: &str,
) -> Result<Duration> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let told = machines.swarm(binary, &words).ok()?;
    let took = begun.elapsed();
    ensure!(told.contains(expected), "{expected:?} is missing in:\n{told}");
    Ok(took)
}
