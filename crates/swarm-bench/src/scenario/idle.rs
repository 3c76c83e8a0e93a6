//! Memory, CPU and requests of a manager that nobody asks anything.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::{Bench, Pool};
use crate::procfs::Memory;
use crate::report::{Row, Target};

#[allow(clippy::cast_precision_loss)]
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What an idle window showed.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    pub memory: Memory,
    /// Percent of one core.
    pub cpu: f64,
    /// Requests per engine and second.
    pub requests: f64,
}

/// Lets it be for `window` and looks.
#[allow(clippy::cast_precision_loss)]
pub async fn observe(pool: &mut Pool, window: Duration) -> Result<Idle> {
    // The work of the start may still echo.
    tokio::time::sleep(Duration::from_secs(2)).await;
    pool.fleet.reset().await?;
    let (before, start) = (pool.manager.cpu()?, Instant::now());
    tokio::time::sleep(window).await;
    let took = start.elapsed().as_secs_f64();
    let used = pool.manager.cpu()?.saturating_sub(before).as_secs_f64();
    let stats = pool.fleet.stats().await?;
    let requests: u64 = stats.requests.values().filter_map(Value::as_u64).sum();
    Ok(Idle {
        memory: pool.manager.memory()?,
        cpu: used / took * 100.0,
        requests: requests as f64 / took / pool.fleet.engines() as f64,
    })
}

pub async fn run(bench: &mut Bench<'_>, pool: &mut Pool) -> Result<()> {
    let window = Duration::from_secs(bench.options.pick(30, 10));
    eprintln!("== idle for {window:?}");
    let idle = observe(pool, window).await?;
    let routes = Value::Object(pool.fleet.stats().await?.requests).to_string();
    bench.row(
        Row::new("manager memory, idle (RSS)", mib(idle.memory.rss), "MiB", Target::Below(120.0))
            .note(format!(
                "PSS {:.0} MiB, peak so far {:.0} MiB, {} descriptors",
                mib(idle.memory.pss),
                mib(idle.memory.peak),
                pool.manager.descriptors()
            )),
    );
    bench.row(
        Row::new("idle CPU", idle.cpu, "% of a core", Target::Below(1.0))
            .note(format!("over {} s", window.as_secs())),
    );
    bench.row(
        Row::new(
            "requests to each engine, idle",
            idle.requests,
            "per second",
            Target::Below(1.000_001),
        )
        .note(format!("in the window: {}", routes.replace('|', "/"))),
    );
    Ok(())
}

/// Memory at the end of everything.
pub fn peak(bench: &mut Bench<'_>, pool: &Pool) -> Result<()> {
    let memory = pool.manager.memory()?;
    bench.row(
        Row::new("manager memory, peak (RSS)", mib(memory.peak), "MiB", Target::Below(120.0)).note(
            format!("at the end RSS {:.0} MiB, PSS {:.0} MiB", mib(memory.rss), mib(memory.pss)),
        ),
    );
    Ok(())
}
