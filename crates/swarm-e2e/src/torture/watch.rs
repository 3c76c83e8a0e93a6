//! Looks at each engine directly, by its own socket and not through the pool: its events as they
//! come, and lists of what is there.
//!
//! Invariant: an engine that restarts is asked for all it did since, so that nothing is missed;
//! what it tells twice is taken down once.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::history::{Change, Event, Recorder, What};
use crate::ask::ask_within;

/// The label by which a client's container is known whatever its name.
pub const SLOT: &str = "torture.slot";
/// How often it is looked whether to go on.
const TICK: Duration = Duration::from_millis(200);
/// For an engine to list its containers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container on an engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The engine's host.
    pub engine: u8,
    /// The container's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name that its client cares for.
    pub slot: String,
    /// Whether it runs.
    pub running: bool,
}

/// Follows engines until it is dropped.
#[derive(Debug)]
pub struct Watchers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watchers {
    /// Follows the engines at these sockets, which come and go.
    pub fn start(socks: Vec<(u8, PathBuf)>, recorder: &Recorder) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let follow = |(engine, sock): (u8, PathBuf)| {
            let (stop, recorder) = (Arc::clone(&stop), recorder.clone());
            std::thread::spawn(move || {
                let mut told = HashSet::new();
                while !stop.load(Ordering::Relaxed) {
                    // An engine that is off has no socket; one that dies ends its stream.
                    let _ = follow(engine, &sock, &recorder, &mut told, &stop);
                    std::thread::sleep(TICK);
                }
            })
        };
        let threads = socks.into_iter().map(follow).collect();
        Self { stop, threads }
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has no way to fail but a panic, which its own words told.
            let _ = thread.join();
        }
    }
}

fn follow(
    engine: u8,
    sock: &Path,
    recorder: &Recorder,
    told: &mut HashSet<(u64, String, String)>,
    stop: &AtomicBool,
) -> Result<()> {
    let mut stream = UnixStream::connect(sock)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let since = recorder.begun().duration_since(UNIX_EPOCH)?.as_secs();
    let path = format!("/events?since={since}&filters=%7B%22type%22%3A%5B%22container%22%5D%7D");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let (mut lines, mut line) = (BufReader::new(stream), Vec::new());
    loop {
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => {
                take(engine, &line, recorder, told);
                line.clear();
            }
            // What was read of a line stays, and the rest comes later.
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Headers are no JSON, and events of other containers have no slot.
fn take(engine: u8, line: &[u8], recorder: &Recorder, told: &mut HashSet<(u64, String, String)>) {
    let Ok(event) = serde_json::from_slice::<Value>(line) else { return };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attributes = &event["Actor"]["Attributes"];
    let (action, id, slot) =
        (text(&event["Action"]), text(&event["Actor"]["ID"]), text(&attributes[SLOT]));
    let change = match action.as_str() {
        "create" => Change::Created,
        "start" => Change::Started,
        "die" => Change::Died,
        "rename" => Change::Renamed,
        "destroy" => Change::Destroyed,
        _ => return,
    };
    let nanos = event["timeNano"].as_u64().unwrap_or_default();
    if slot.is_empty() || !told.insert((nanos, id.clone(), action)) {
        return;
    }
    let name = text(&attributes["name"]).trim_start_matches('/').to_owned();
    let at = recorder.at(UNIX_EPOCH + Duration::from_nanos(nanos));
    recorder.note_at(at, What::Event(Event { engine, id, name, slot, change }));
}

/// The clients' containers on one engine, by its own word.
pub fn list(engine: u8, sock: &Path) -> Result<Vec<Seen>> {
    let answer = ask_within(PATIENCE, sock, "GET", "/containers/json?all=1", "")?;
    ensure!(answer.status == 200, "host-{engine}: {}", answer.text());
    let rows = answer.json();
    let rows = rows.as_array().context("no list")?;
    Ok(rows.iter().filter_map(|row| seen(engine, row)).collect())
}

/// All that a pool tells, by a manager's word.
pub fn list_pool(sock: &Path) -> Result<Vec<Seen>> {
    let answer = ask_within(PATIENCE, sock, "GET", "/containers/json?all=1", "")?;
    ensure!(answer.status == 200, "the pool's list: {} {}", answer.status, answer.text());
    let rows = answer.json();
    let rows = rows.as_array().context("no list")?;
    let of = |row: &Value| {
        let name = row["Names"][0].as_str()?.trim_start_matches('/').to_owned();
        let (host, name) = name.split_once('/')?;
        let engine = host.trim_start_matches("host-").parse().ok()?;
        let seen = seen(engine, row)?;
        Some(Seen { name: name.to_owned(), ..seen })
    };
    Ok(rows.iter().filter_map(of).collect())
}

fn seen(engine: u8, row: &Value) -> Option<Seen> {
    let slot = row["Labels"][SLOT].as_str()?.to_owned();
    let name = row["Names"][0].as_str()?.trim_start_matches('/').to_owned();
    let id = row["Id"].as_str()?.to_owned();
    Some(Seen { engine, id, name, slot, running: row["State"] == "running" })
}
