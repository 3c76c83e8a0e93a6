//! Five times the engines: everything must grow in proportion and nothing worse.

use std::time::Duration;

use anyhow::Result;

use super::idle::{mib, observe};
use super::{Bench, create, start};
use crate::report::{Row, Target};

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let engines = bench.options.large_engines();
    let mut pool = start::pool(bench, engines, false, "large").await?;
    let window = Duration::from_secs(bench.options.pick(20, 5));
    let idle = observe(&mut pool, window).await?;
    bench.row(
        Row::new(
            format!("manager memory over {engines} engines, idle (RSS)"),
            mib(idle.memory.rss),
            "MiB",
            Target::None,
        )
        .note(format!(
            "PSS {:.0} MiB, peak {:.0} MiB",
            mib(idle.memory.pss),
            mib(idle.memory.peak)
        )),
    );
    bench.row(
        Row::new(format!("idle CPU over {engines} engines"), idle.cpu, "% of a core", Target::None)
            .note(format!("{:.2} requests per engine and second", idle.requests)),
    );
    create::alone(bench, &mut pool, engines).await?;
    pool.stop().await
}
