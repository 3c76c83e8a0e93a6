//! An engine that goes silent without a FIN or RST: how long until the manager says so,
//! and how long until it says that the engine is back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Bench, Pool};
use crate::driver::Client;
use crate::manager::{HEALTHY, nodes};
use crate::quantile::Samples;
use crate::report::{Row, Target};

/// The original needed 163 s; beyond this the figure no longer matters.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn run(bench: &mut Bench<'_>, pool: &mut Pool) -> Result<()> {
    let rounds = bench.options.pick(5, 2);
    eprintln!("== silence, {rounds} rounds");
    let mut client = pool.manager.client();
    let (mut noticed, mut returned) = (Samples::default(), Samples::default());
    for round in 0..rounds {
        let index = (round * 37 + 3) % pool.fleet.engines();
        let address = pool.fleet.address(index).to_string();
        pool.fleet.fault(index, "silent").await?;
        noticed.push(until(&mut client, &address, false).await.context("silence")?);
        tokio::time::sleep(Duration::from_secs(2)).await;
        pool.fleet.fault(index, "none").await?;
        returned.push(until(&mut client, &address, true).await.context("return")?);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for (name, samples, limit) in [
        ("a silent engine is noticed, slowest", &noticed, 5.0),
        ("its return is noticed, slowest", &returned, 2.0),
    ] {
        let (value, middle) = (samples.max().as_secs_f64(), samples.p50().as_secs_f64());
        bench.row(
            Row::new(name, value, "s", Target::Below(limit))
                .note(format!("of {rounds} rounds; middle {middle:.2} s")),
        );
    }
    Ok(())
}

/// Polls `GET /info` until the node at `address` is (or is no longer) healthy.
async fn until(client: &mut Client, address: &str, healthy: bool) -> Result<Duration> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let nodes = nodes(client).await?;
        let status = nodes.get(address).with_context(|| format!("{address} is not in info"))?;
        if (status == HEALTHY) == healthy {
            return Ok(start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("not noticed within {PATIENCE:?}")
}
