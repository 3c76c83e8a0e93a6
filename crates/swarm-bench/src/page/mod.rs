//! `swarm-bench page`: the page at full size in a real browser, of a pool of simulated engines or of a swarm
//! whose store is filled: how soon all of it is there, how evenly it scrolls, what a filter and a stream of
//! changes cost, and what the manager pays for somebody who looks.
//!
//! Reading order: [`subject`] (what is shown), [`script`] (what is measured in the page).

mod script;
mod subject;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::Browser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::cli::PageOptions;
use crate::machine::Machine;
use crate::report::{self, Row, Target};

use script::Frames;
use subject::Subject;

/// For what has to come at all.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long each kind of scrolling is looked at, seconds.
const SCROLL: u64 = 8;
/// How long CPU is counted, seconds.
const COUNT: u64 = 15;
/// What is asked for of a page that is fast, milliseconds.
const OPEN: f64 = 3_000.0;
const LONGEST_FRAME: f64 = 200.0;
const FRAMES: f64 = 50.0;

/// Measures it and prints the table.
pub async fn run(options: &PageOptions) -> Result<()> {
    let machine = Machine::observe(format!("swarm-bench {}", env!("CARGO_PKG_VERSION")));
    let mut rows = Rows(Vec::new());
    let mut subject = Subject::start(options).await?;
    let before = subject.cpu_over(COUNT, 0).await?;
    rows.add(Row::new("CPU of its process, nobody looks", before, "% of a core", Target::None));
    let alone = subject.cpu_over(COUNT, options.rate).await?;
    let name = format!("CPU of its process, nobody looks, {} change per second", options.rate);
    rows.add(Row::new(name, alone, "% of a core", Target::None));
    let what = format!("{} nodes, {} tiles", options.size.nodes, options.tiles());
    rows.add(Row::new(
        format!("{what}: first answer"),
        beginning(&subject).await?,
        "MB",
        Target::None,
    ));

    let browser = Browser::start(1600, 1000).await?;
    browser.open(&subject.url()).await?;
    let painted = script::number(&browser, script::FIRST_TILES).await?;
    rows.add(Row::new("opened: the first tiles are there", painted, "ms", Target::Below(OPEN)));
    let all = script::number(&browser, &script::all(options.tiles())).await?;
    rows.add(Row::new("opened: all of it is there and live", all, "ms", Target::Below(OPEN)));
    // What the opening left to be done is no part of what follows.
    sleep(Duration::from_secs(3)).await;
    rows.add(Row::new(
        "memory of the page",
        script::number(&browser, script::HEAP).await?,
        "MB",
        Target::None,
    ));
    rows.add(Row::new(
        "its elements",
        script::number(&browser, script::ELEMENTS).await?,
        "",
        Target::None,
    ));
    let idle = subject.cpu_over(COUNT, 0).await?;
    rows.add(Row::new("CPU of its process, one looks", idle, "% of a core", Target::None));

    for dense in [false, true] {
        let size = if dense { "dense" } else { "roomy" };
        browser.run(&script::dense(dense)).await?;
        for step in [40, 200, 2_000] {
            let frames = script::scroll(&browser, SCROLL, step).await?;
            rows.frames(&format!("{size}, scrolling {step} pixels a frame"), &frames);
        }
    }
    browser.run(&script::dense(false)).await?;
    let filters = script::filters(&browser).await?;
    let longest = filters.iter().copied().fold(0.0, f64::max);
    let each: Vec<_> = filters.iter().map(|took| format!("{took:.0}")).collect();
    let row = Row::new(
        "a new filter over all tiles, longest",
        longest,
        "ms",
        Target::Below(LONGEST_FRAME),
    );
    rows.add(row.note(each.join(", ")));

    for tab in ["services", "events"] {
        browser.click(&format!("#tab-{tab}")).await?;
        let seconds = SCROLL * 2;
        let (frames, changed) = tokio::join!(
            script::scroll(&browser, SCROLL, 40),
            subject.change(options.rate, seconds)
        );
        changed?;
        let what = format!("scrolling while {} change per second, {tab} open", options.rate);
        rows.frames(&what, &frames?);
    }
    let busy = subject.cpu_over(COUNT, options.rate).await?;
    let name = format!("CPU of its process, one looks, {} change per second", options.rate);
    rows.add(Row::new(name, busy, "% of a core", Target::None));
    browser.open("about:blank").await?;
    let after = subject.cpu_over(COUNT, options.rate).await?;
    let name =
        format!("CPU of its process, nobody looks any more, {} change per second", options.rate);
    let row = Row::new(name, after, "% of a core", Target::None);
    rows.add(row.note("within the minute in which the picture is kept up"));
    browser.close().await?;
    rows.add(Row::new("memory of its process", subject.memory()?, "MiB", Target::None));
    subject.stop().await?;

    let table = report::markdown(&rows.0, &machine);
    println!("{table}");
    if let Some(path) = &options.measured.markdown {
        std::fs::write(path, &table).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

struct Rows(Vec<Row>);

impl Rows {
    fn add(&mut self, row: Row) {
        eprintln!("{}", row.line());
        self.0.push(row);
    }

    fn frames(&mut self, what: &str, frames: &Frames) {
        let row =
            Row::new(format!("{what}: frames"), frames.rate, "per second", Target::Above(FRAMES));
        let millis = |share| frames.between.quantile(share).as_secs_f64() * 1e3;
        let cpu = frames.cpu.as_secs_f64() * 1e3;
        let (middle, p95) = (millis(0.5), millis(0.95));
        let note =
            format!("middle {middle:.1} ms, p95 {p95:.1} ms; the browser's CPU {cpu:.1} ms each");
        self.add(row.note(note));
        let name = format!("{what}: longest frame");
        self.add(Row::new(name, millis(1.0), "ms", Target::Below(LONGEST_FRAME)));
    }
}

/// The megabytes that a page gets first, until all of it is there.
async fn beginning(subject: &Subject) -> Result<f64> {
    let address = subject.address();
    let asked = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await?;
        let request = b"GET /api/stream HTTP/1.0\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await?;
        let (mut all, mut buffer) = (0, vec![0; 1 << 16]);
        let mut kept = Vec::new();
        loop {
            let count = stream.read(&mut buffer).await?;
            ensure!(count > 0, "the stream ended");
            all += count;
            kept.extend_from_slice(&buffer[..count]);
            if memchr::memmem::find(&kept, b"event: ready").is_some() {
                return Ok(all);
            }
            // The word may lie on a border.
            let keep = kept.len().saturating_sub(32);
            kept.drain(..keep);
        }
    });
    let begun = Instant::now();
    let bytes: usize = asked.await.context("the beginning does not end")??;
    eprintln!("      read at once in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    Ok(f64::from(u32::try_from(bytes)?) / 1e6)
}
