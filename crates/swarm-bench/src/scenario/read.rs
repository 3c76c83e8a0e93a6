//! Lists, info and inspect: one client, one connection, every byte read.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Bench, Pool};
use crate::driver::Client;
use crate::quantile::{Samples, millis};
use crate::report::{Row, Target};

pub async fn run(bench: &mut Bench<'_>, pool: &mut Pool) -> Result<()> {
    let containers = bench.options.engines() * bench.options.containers;
    let mut client = pool.manager.client();
    latencies(bench, &mut client, containers).await
}

/// The read latencies of whatever `client` speaks to.
pub async fn latencies(
    bench: &mut Bench<'_>,
    client: &mut Client,
    containers: usize,
) -> Result<()> {
    eprintln!("== read");
    let times = bench.options.pick(100, 50);
    let (list, bytes) = sample(client, &["/containers/json?all=1".to_owned()], times).await?;
    let size = format!(
        "{:.1} MB, {} samples, p50 {:.1} ms",
        megabytes(bytes),
        list.len(),
        millis(list.p50())
    );
    bench.row(
        Row::new(
            format!("list of all {containers} containers, p99"),
            millis(list.p99()),
            "ms",
            Target::Below(60.0),
        )
        .note(size),
    );
    let path = "/containers/json?all=1&filters={%22name%22:[%22billing-7-%22]}".to_owned();
    let (filtered, _) = sample(client, &[path], times).await?;
    bench.row(
        Row::new("list filtered by name, p99", millis(filtered.p99()), "ms", Target::None)
            .note(format!("p50 {:.2} ms", millis(filtered.p50()))),
    );
    let (info, bytes) = sample(client, &["/info".to_owned()], times * 5).await?;
    bench.row(Row::new("info, p99", millis(info.p99()), "ms", Target::Below(10.0)).note(format!(
        "{:.2} MB, p50 {:.2} ms",
        megabytes(bytes),
        millis(info.p50())
    )));
    let names = names(client, 500).await?;
    let paths: Vec<String> = names.iter().map(|name| format!("/containers/{name}/json")).collect();
    let (inspect, bytes) = sample(client, &paths, times * 10).await?;
    bench.row(
        Row::new("inspect by name, p50", millis(inspect.p50()), "ms", Target::Below(1.0)).note(
            format!("{:.1} KB, p99 {:.2} ms", megabytes(bytes) * 1000.0, millis(inspect.p99())),
        ),
    );
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
pub fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// `times` requests over `paths` in turn, after a few that do not count; the size of
/// the last answer besides.
pub async fn sample(
    client: &mut Client,
    paths: &[String],
    times: usize,
) -> Result<(Samples, usize)> {
    let mut samples = Samples::default();
    let mut bytes = 0;
    let warm = 5;
    for (index, path) in paths.iter().cycle().take(times + warm).enumerate() {
        let reply = client.drain(Method::GET, path, Bytes::new()).await?;
        ensure!(reply.status == StatusCode::OK, "{path}: {}", reply.status);
        bytes = reply.bytes;
        if index >= warm {
            samples.push(reply.took);
        }
    }
    Ok((samples, bytes))
}

/// Plain names (without the node) of `count` containers from all over the pool.
async fn names(client: &mut Client, count: usize) -> Result<Vec<String>> {
    let list = client.json("/containers/json?all=1").await?;
    let list = list.as_array().context("the list is not an array")?;
    let step = (list.len() / count).max(1);
    let names: Vec<String> = list
        .iter()
        .step_by(step)
        .filter_map(|entry| entry["Names"][0].as_str()?.rsplit('/').next())
        .map(str::to_owned)
        .collect();
    ensure!(!names.is_empty(), "the list has no names");
    Ok(names)
}
