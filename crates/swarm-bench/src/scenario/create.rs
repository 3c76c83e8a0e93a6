//! Create and start: alone, with 64 clients, and again when the pool is fuller.
//!
//! The engines' own time is measured in the same loop, straight against one engine of
//! the fleet, turn by turn with the manager: what is reported is the difference.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Bench, Pool};
use crate::driver::{Client, Endpoint};
use crate::quantile::{Samples, millis};
use crate::report::{Row, Target};

/// Clients of the parallel part.
const CLIENTS: usize = 64;

pub async fn run(bench: &mut Bench<'_>, pool: &mut Pool) -> Result<()> {
    let pairs = bench.options.pick(500, 200);
    eprintln!("== create and start, one client");
    let direct = Endpoint::Tcp(pool.fleet.address(pool.fleet.engines() / 2));
    let (through, alone) =
        one_client(&mut pool.manager.client(), direct.clone(), "a", pairs).await?;
    let added =
        |quantile: fn(&Samples) -> Duration| millis(quantile(&through)) - millis(quantile(&alone));
    bench.row(
        Row::new(
            "create+start, one client, added by the manager, p50",
            added(Samples::p50),
            "ms",
            Target::Below(2.0),
        )
        .note(note(&through, &alone, Samples::p50)),
    );
    bench.row(
        Row::new(
            "create+start, one client, added by the manager, p99",
            added(Samples::p99),
            "ms",
            Target::Below(10.0),
        )
        .note(note(&through, &alone, Samples::p99)),
    );
    let endpoint = pool.manager.endpoint();
    many(bench, &endpoint, "manager").await?;

    eprintln!("== create and start, one client, in a fuller pool");
    let stats = pool.fleet.stats().await?;
    let (later, alone) = one_client(&mut pool.manager.client(), direct, "z", pairs).await?;
    let flat = later.p50().as_secs_f64() / through.p50().as_secs_f64().max(1e-9);
    bench.row(
        Row::new(
            "create+start p50 in the fuller pool against before",
            flat,
            "times",
            Target::Below(1.5),
        )
        .note(format!(
            "{} containers; p50 {:.2} ms, p99 {:.2} ms, engine alone p50 {:.2} ms",
            stats.containers,
            millis(later.p50()),
            millis(later.p99()),
            millis(alone.p50())
        )),
    );
    Ok(())
}

/// One client over a fleet of another size, for comparison.
pub async fn alone(bench: &mut Bench<'_>, pool: &mut Pool, engines: usize) -> Result<()> {
    let direct = Endpoint::Tcp(pool.fleet.address(engines / 2));
    let pairs = bench.options.pick(200, 50);
    let (through, alone) = one_client(&mut pool.manager.client(), direct, "l", pairs).await?;
    let added = millis(through.p50()) - millis(alone.p50());
    bench.row(
        Row::new(
            format!("create+start over {engines} engines, added by the manager, p50"),
            added,
            "ms",
            Target::None,
        )
        .note(format!("p99 {:.2} ms through the manager", millis(through.p99()))),
    );
    Ok(())
}

fn note(through: &Samples, alone: &Samples, quantile: fn(&Samples) -> Duration) -> String {
    format!(
        "{:.2} ms through the manager, {:.2} ms straight to an engine, {} pairs",
        millis(quantile(through)),
        millis(quantile(alone)),
        through.len()
    )
}

/// `pairs` create+start through the manager and as many straight to an engine, in turn.
async fn one_client(
    manager: &mut Client,
    direct: Endpoint,
    mark: &str,
    pairs: usize,
) -> Result<(Samples, Samples)> {
    let mut engine = Client::new(direct);
    let (mut through, mut alone) = (Samples::default(), Samples::default());
    let warm = 10;
    for number in 0..pairs + warm {
        let took = manager.run(&format!("bench-{mark}-m-{number}")).await?;
        let own = engine.run(&format!("bench-{mark}-d-{number}")).await?;
        if number >= warm {
            through.push(took);
            alone.push(own);
        }
    }
    Ok((through, alone))
}

/// 64 clients at once; the rate and the errors.
#[allow(clippy::cast_precision_loss)]
pub async fn many(bench: &mut Bench<'_>, endpoint: &Endpoint, what: &str) -> Result<()> {
    let each = bench.options.pick(60, 10);
    eprintln!("== create and start, {CLIENTS} clients, {each} each");
    let start = Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = Client::new(endpoint.clone());
            tokio::spawn(async move {
                let mut samples = Samples::default();
                let mut errors = Vec::new();
                for turn in 0..each {
                    match client.run(&format!("bench-c-{number}-{turn}")).await {
                        Ok(took) => samples.push(took),
                        Err(error) => errors.push(format!("{error:#}")),
                    }
                }
                (samples, errors)
            })
        })
        .collect();
    let (mut samples, mut errors) = (Samples::default(), Vec::new());
    for task in tasks {
        let (own, failed) = task.await?;
        samples.extend(own);
        errors.extend(failed);
    }
    let rate = samples.len() as f64 / start.elapsed().as_secs_f64();
    ensure!(samples.len() > 0, "none of them worked: {}", errors.first().map_or("", |e| e));
    bench.row(
        Row::new(
            format!("create+start, {CLIENTS} clients ({what})"),
            rate,
            "per second",
            Target::Above(300.0),
        )
        .note(format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            millis(samples.p50()),
            millis(samples.p99())
        )),
    );
    bench.row(
        Row::new(
            format!("errors of {} create+start ({what})", CLIENTS * each),
            errors.len() as f64,
            "",
            Target::Exactly(0.0),
        )
        .note(errors.first().cloned().unwrap_or_default()),
    );
    Ok(())
}
