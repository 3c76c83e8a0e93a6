//! What a ping costs: `cargo run --release -p swarm-engine --example ping_cost [ENGINES [ROUNDS
//! [GRID]]]`; GRID (ms, default 50) is what moments are rounded to, so that one wake-up of the process
//! serves several engines; 1 is no rounding.
//!
//! Starts itself a second time as a trivial engine, so that only the client's side is counted, and
//! prints the CPU time (user and system) of one ping and what a manager of 1,000 engines that pings
//! each every 2.5 s would use.

use std::io::{BufRead, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use swarm_engine::{ClientOptions, EngineClient};

const PONG: &[u8] = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nCache-Control: no-cache, no-store, \
must-revalidate\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\
Docker-Experimental: false\r\nOstype: linux\r\nPragma: no-cache\r\n\
Server: Docker/20.10.24 (linux)\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\nOK";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if first.as_deref() == Some("engine") {
        return runtime.block_on(engine());
    }
    let engines = first.map_or(Ok(1000), |text| text.parse())?;
    let rounds = args.next().map_or(Ok(20), |text| text.parse())?;
    let grid = args.next().map_or(Ok(50), |text| text.parse())?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("engine")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().context("the engine's output")?;
    std::io::BufReader::new(output).read_line(&mut line)?;
    let measured = runtime.block_on(measure(line.trim(), engines, rounds, grid));
    drop(child.stdin.take());
    child.wait()?;
    measured
}

/// Answers pings until its standard input ends.
async fn engine() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 512];
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                if stream.write_all(PONG).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn measure(address: &str, engines: u32, rounds: u32, grid: u32) -> Result<()> {
    let clients: Vec<EngineClient> = (0..engines)
        .map(|_| Ok(EngineClient::new(address.parse()?, ClientOptions::default())))
        .collect::<Result<_>>()?;
    for client in &clients {
        client.ping(Duration::from_secs(5)).await?;
    }
    let resident = memory()?;
    // As a pool does it: each engine's task wakes at its own moment of the period.
    let period_ms = 2500;
    let period = Duration::from_millis(period_ms.into());
    let begin = tokio::time::Instant::now();
    let (cpu, wall) = (cpu_time()?, Instant::now());
    let tasks: Vec<_> = clients
        .into_iter()
        .zip(0u32..)
        .map(|(client, number)| {
            tokio::spawn(async move {
                let offset = period_ms * number / engines / grid * grid;
                let start = begin + Duration::from_millis(offset.into());
                let mut ticks = tokio::time::interval_at(start, period);
                for _ in 0..rounds {
                    ticks.tick().await;
                    client.ping(Duration::from_secs(2)).await?;
                }
                Ok::<(), swarm_engine::EngineError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let used = cpu_time()?.saturating_sub(cpu);
    let per_ping = used / (engines * rounds);
    let share = used.as_secs_f64() / wall.elapsed().as_secs_f64() * 100.0;
    println!(
        "{engines} engines x {rounds} pings, one each every {period:?}: {per_ping:?} CPU each"
    );
    println!("{share:.2} % of one core, {} KiB resident", resident / 1024);
    Ok(())
}

/// The process's user and system time; the kernel's tick is 10 ms.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("short stat")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Resident memory, bytes.
fn memory() -> Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_whitespace().nth(1).context("short statm")?.parse()?;
    Ok(pages * 4096)
}
