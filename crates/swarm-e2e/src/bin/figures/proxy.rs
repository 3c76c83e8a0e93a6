//! What clients notice of containers that come and go behind `swarm proxy`: requests on new and on kept connections,
//! first while nothing happens, then under churn.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sys::signal::Signal;
use swarm_e2e::{IMAGE, Lab, Load, Manner, Miss, Pool, Proxied, Scratch, Tally, Watch, until};

use crate::{millis, seconds};

const HOSTS: u8 = 3;
const PORT: u16 = 8080;
/// For whatever is waited for.
const LONG: Duration = Duration::from_mins(1);
/// A request that was begun so long before a kill may have been on its container.
const FLIGHT: Duration = Duration::from_millis(500);

#[derive(Debug, Parser)]
pub struct Options {
    /// How long is counted without churn, and how long with it, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Every so many seconds one container comes, and the oldest is killed
    #[arg(long, default_value_t = 2)]
    every: u64,
    /// Clients on new connections, and as many on kept ones
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Write the table as Markdown to this file
    #[arg(long)]
    pub markdown: Option<PathBuf>,
}

/// Two loads side by side.
struct Loads {
    new: Load,
    kept: Load,
    begun: Instant,
}

impl Loads {
    fn start(lab: &Lab, address: &str, clients: usize) -> Result<Self> {
        let manner = |kept| Manner { clients, kept, pause: Duration::from_millis(20) };
        let start = |kept| Load::start_as(lab, address, "shop.test", manner(kept));
        Ok(Self { new: start(false)?, kept: start(true)?, begun: Instant::now() })
    }

    fn end(self) -> [Told; 2] {
        let lasted = self.begun.elapsed();
        [self.new, self.kept].map(|load| {
            let (misses, tally) = load.tally();
            Told { misses, tally, lasted }
        })
    }
}

/// What became of a load.
struct Told {
    misses: Vec<Miss>,
    tally: Tally,
    lasted: Duration,
}

impl Told {
    fn quantile(&self, of: f64) -> Duration {
        quantile(&self.tally.took, of)
    }

    fn rate(&self) -> f64 {
        let count = u32::try_from(self.tally.took.len()).unwrap_or(u32::MAX);
        f64::from(count) / self.lasted.as_secs_f64()
    }

    /// How many failed in flight on a container that was killed, and how many otherwise.
    fn failures(&self, kills: &[(Instant, Instant)]) -> (usize, usize) {
        let is_excused = |miss: &&Miss| {
            // A proxy that finds nobody to ask is no container's end.
            let gateway = miss.reason.contains("502") || miss.reason.contains("503");
            let near =
                |(from, to): &(Instant, Instant)| miss.begun + FLIGHT >= *from && miss.begun <= *to;
            !gateway && kills.iter().any(near)
        };
        let excused = self.misses.iter().filter(is_excused).count();
        (excused, self.misses.len() - excused)
    }
}

fn quantile(sorted: &[Duration], of: f64) -> Duration {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    // An index.
    let at = ((sorted.len() as f64 * of) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// What was done while it was counted.
#[derive(Default)]
struct Churn {
    kills: Vec<(Instant, Instant)>,
    /// When the client that started a container was told that it runs.
    came: BTreeMap<String, Instant>,
}

pub fn run(options: &Options) -> Result<String> {
    let lab = Scratch::boot(HOSTS, |_| {})?;
    let mut table = "| | requests/s | p50 ms | p99 ms | p50 ms under churn | p99 ms under churn | failed in flight on \
                     a killed container | failed otherwise | sent again |\n|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut rest = String::new();
    for kind in ["nginx", "haproxy"] {
        measured(&lab, kind, options, &mut table, &mut rest)?;
    }
    Ok(table + "\n" + &rest)
}

fn measured(
    lab: &Lab,
    kind: &str,
    options: &Options,
    table: &mut String,
    rest: &mut String,
) -> Result<()> {
    let pool = Pool::launch_at(lab, 0, kind, &[&lab.nodes(HOSTS)])?;
    pool.manager().wait_healthy(usize::from(HOSTS), LONG)?;
    let mut names: Vec<_> = (0..4).map(|i| format!("{kind}-{i}")).collect();
    for name in &names {
        come(&pool, name)?;
    }
    let proxied = Proxied::new(lab, kind, PORT)?;
    let endpoint = format!("unix://{}", pool.manager().sock().display());
    let mut proxy = proxied.start(lab, kind, &endpoint, &["--run"])?;
    all_answer(lab, &proxied, &proxy, &names)?;
    let span = Duration::from_secs(options.seconds);
    let quiet = Loads::start(lab, proxied.address(), options.clients)?;
    std::thread::sleep(span);
    let quiet = quiet.end();

    let (loads, before) = (Loads::start(lab, proxied.address(), options.clients)?, reloads(&proxy));
    let (begun, mut churn) = (Instant::now(), Churn::default());
    while begun.elapsed() < span {
        let (step, name) = (Instant::now(), format!("{kind}-{}", names.len()));
        come(&pool, &name)?;
        churn.came.insert(name.clone(), Instant::now());
        names.push(name.clone());
        let answers = || Ok(loads.new.answering(LONG).contains(&name).then_some(()));
        until(LONG, format_args!("{name} answers"), answers)?;
        let kill = Instant::now();
        pool.docker(&["rm", "--force", &names[names.len() - 5]]).ok()?;
        churn.kills.push((kill, Instant::now()));
        std::thread::sleep(Duration::from_secs(options.every).saturating_sub(step.elapsed()));
    }
    let churned = loads.end();
    let told = reloads(&proxy) - before;
    for (at, manner) in ["new connections", "kept connections"].iter().enumerate() {
        let (still, moved) = (&quiet[at], &churned[at]);
        let (excused, other) = moved.failures(&churn.kills);
        let figures =
            [still.quantile(0.5), still.quantile(0.99), moved.quantile(0.5), moved.quantile(0.99)];
        let figures = figures.map(millis).join(" | ");
        let other = other + still.misses.len();
        writeln!(
            table,
            "| {kind}, {manner} | {:.0} | {figures} | {excused} of {} | {other} of {} | {} |",
            moved.rate(),
            churn.kills.len(),
            moved.tally.took.len() + still.tally.took.len(),
            moved.tally.again
        )?;
        for miss in moved.misses.iter().chain(&still.misses) {
            eprintln!("{kind}, {manner}: {} after {:.1?}", miss.reason, miss.ended - miss.begun);
        }
    }
    served(kind, &churn, &churned, told, begun.elapsed(), rest)?;
    let left: Vec<_> = names.iter().rev().take(4).map(String::as_str).collect();
    pool.docker(&[&["rm", "--force"], &left[..]].concat()).ok()?;
    // In order: a child outlives a parent that is killed, and keeps the port.
    proxy.signal(Signal::SIGTERM)?;
    proxy.wait_end(LONG).map(drop)
}

/// How soon the containers that came were served.
fn served(
    kind: &str,
    churn: &Churn,
    loads: &[Told; 2],
    told: usize,
    lasted: Duration,
    rest: &mut String,
) -> Result<()> {
    let first =
        |name: &String| loads.iter().filter_map(|load| load.tally.first.get(name).copied()).min();
    let mut took: Vec<_> = churn
        .came
        .iter()
        .filter_map(|(name, came)| Some(first(name)?.saturating_duration_since(*came)))
        .collect();
    took.sort();
    writeln!(
        rest,
        "- {kind}: {} containers came and {} were killed in {} s; the proxy was told {told} times; from `docker run`'s \
         answer to the first request that was served: median {} s, at most {} s.",
        churn.came.len(),
        churn.kills.len(),
        seconds(lasted),
        seconds(quantile(&took, 0.5)),
        seconds(quantile(&took, 1.0)),
    )?;
    Ok(())
}

/// How often the proxy was told of a configuration.
fn reloads(proxy: &Watch) -> usize {
    let is_told = |line: &&String| line.contains("a new configuration is in place");
    proxy.lines().iter().filter(is_told).count()
}

/// A web server that answers with its name.
fn come(pool: &Pool, name: &str) -> Result<()> {
    let serve = format!("mkdir /www; echo {name} > /www/index.html; exec httpd -f -p 80 -h /www");
    let label = "com.docker.swarm.proxy.host=shop.test";
    let run =
        ["run", "-d", "--init", "--name", name, "-p", "80", "-l", label, IMAGE, "sh", "-c", &serve];
    pool.docker(&run).ok().map(drop)
}

fn all_answer(lab: &Lab, proxied: &Proxied, proxy: &Watch, names: &[String]) -> Result<()> {
    let load = || Loads::start(lab, proxied.address(), 1);
    until(LONG, "the proxy answers", || {
        let address = proxied.address().parse()?;
        Ok(lab.inside(0, || swarm_e2e::get(address, "shop.test")).ok())
    })
    .with_context(|| proxy.lines().join("\n"))?;
    let loads = load()?;
    until(LONG, "all answer", || {
        let seen = loads.new.answering(LONG);
        Ok(names.iter().all(|name| seen.contains(name)).then_some(()))
    })
    .with_context(|| proxy.lines().join("\n"))
}
