//! 20,000 events per second from the engines to a client of the manager's `/events`:
//! each must arrive once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Bench, Pool};
use crate::report::{Row, Target};

/// The rate the manager must carry.
const RATE: usize = 20_000;

/// Marks of the synthetic events: their number in 64 hex digits follows.
const MARK: &[u8] = b"\"execID\":\"";

#[allow(clippy::cast_precision_loss)]
pub async fn run(bench: &mut Bench<'_>, pool: &mut Pool) -> Result<()> {
    let seconds = bench.options.pick(10, 3);
    let count = RATE * seconds;
    eprintln!("== events: {count} at {RATE} per second");
    let mut client = pool.manager.client();
    let reply = client.open(Method::GET, "/events", Bytes::new()).await?;
    ensure!(reply.status() == StatusCode::OK, "/events: {}", reply.status());
    // Stragglers of what ran before must not be taken for what is counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cpu = pool.manager.cpu()?;
    let begun = Instant::now();
    let reader = tokio::spawn(read(reply.into_body(), count, Duration::from_secs(30)));
    let emitted = pool.fleet.emit(count, RATE).await?;
    let Arrived { once, more, last } = reader.await??;
    let used = pool.manager.cpu()?.saturating_sub(cpu).as_secs_f64();
    let took = last.saturating_duration_since(begun).as_secs_f64();
    bench.row(
        Row::new("events per second, emitted", count as f64 / emitted, "per second", Target::None).note(
            format!(
                "{count} in {emitted:.1} s; the last arrived after {took:.2} s; manager CPU {:.0} % of a core",
                used / took.max(emitted) * 100.0
            ),
        ),
    );
    bench.row(Row::new(
        "events per second, delivered",
        once as f64 / took,
        "per second",
        Target::Above(RATE as f64 * 0.95),
    ));
    bench.row(Row::new("events lost", (count - once) as f64, "", Target::Exactly(0.0)));
    bench.row(Row::new("events doubled", more as f64, "", Target::Exactly(0.0)));
    Ok(())
}

/// What came in.
#[derive(Debug)]
struct Arrived {
    once: usize,
    more: usize,
    last: Instant,
}

/// Reads until all of `count` came, or none came for `patience`.
async fn read(mut body: Incoming, count: usize, patience: Duration) -> Result<Arrived> {
    let mut seen = vec![false; count];
    let mut arrived = Arrived { once: 0, more: 0, last: Instant::now() };
    let mut buffer: Vec<u8> = Vec::new();
    // A little longer once all are here, for doubles.
    loop {
        let wait = if arrived.once == count { Duration::from_millis(500) } else { patience };
        let Ok(frame) = tokio::time::timeout(wait, body.frame()).await else { break };
        let frame = frame.context("the manager cut the event stream")??;
        buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        let whole = memchr::memrchr(b'\n', &buffer).map_or(0, |end| end + 1);
        for number in numbers(&buffer[..whole]) {
            match seen.get_mut(number) {
                Some(seen) if !*seen => {
                    *seen = true;
                    arrived.once += 1;
                    arrived.last = Instant::now();
                }
                Some(_) => arrived.more += 1,
                None => {}
            }
        }
        buffer.drain(..whole);
    }
    Ok(arrived)
}

/// The numbers of the synthetic events in `lines`.
fn numbers(lines: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memmem::find_iter(lines, MARK).filter_map(|at| {
        let digits = lines.get(at + MARK.len()..at + MARK.len() + 64)?;
        usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_lines() {
        let line = |n: usize| format!("{{\"Actor\":{{\"execID\":\"{n:064x}\",\"x\":\"y\"}}}}\n");
        let text = [line(7), "{}\n".to_owned(), line(199_999)].concat();
        assert_eq!(numbers(text.as_bytes()).collect::<Vec<_>>(), [7, 199_999]);
    }
}
