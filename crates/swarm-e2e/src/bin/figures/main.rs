//! Figures of what is around pools and swarms, on real hosts: how long installing takes (`install`), and what
//! clients of nginx and HAProxy behind `swarm proxy` notice of containers that come and go (`proxy`).
//!
//! `cargo xtask bench --install` and `--proxy` run it. It judges nothing: a shared machine would fail a limit at
//! random.

mod install;
mod proxy;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// `swarm up`, again, with one machine more, and `swarm down`
    Install(install::Options),
    /// Nginx and HAProxy behind `swarm proxy`, while containers come and go
    Proxy(proxy::Options),
}

fn main() -> Result<()> {
    let before = load();
    let (table, markdown) = match Cli::parse().part {
        Part::Install(options) => (install::run(&options)?, options.markdown),
        Part::Proxy(options) => (proxy::run(&options)?, options.markdown),
    };
    let text = head(&before)? + "\n" + &table;
    println!("{text}");
    save(markdown, &text)
}

fn save(file: Option<PathBuf>, text: &str) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(&file, text).with_context(|| file.display().to_string())
}

/// The machine, the binary, the load.
fn head(before: &str) -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let size = std::fs::metadata(swarm_e2e::swarm()?)?.len();
    let mut text = String::new();
    write!(text, "Machine: {}, {cores} cores", model.unwrap_or("unknown").trim())?;
    write!(text, ". Load average (1, 5, 15 min) before: {before}; after: {}", load())?;
    writeln!(text, ". The binary has {} MB.", size / 1_000_000)?;
    Ok(text)
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Seconds as a person writes them.
fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

/// Milliseconds as a person writes them.
fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}
