//! Many short requests to one HTTP server in the fabric, side by side, each on a connection of its own,
//! and what became of each.
//!
//! Invariant: the load ends when it is dropped.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use parking_lot::Mutex;
use swarm_testkit::lab::Lab;

/// For connecting, and for each reading.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two requests of one client: the machine is the engines' too.
const PAUSE: Duration = Duration::from_millis(4);

/// A request that failed.
#[derive(Debug, Clone)]
pub struct Miss {
    /// When it was begun.
    pub begun: Instant,
    /// When it had failed.
    pub ended: Instant,
    /// How.
    pub reason: String,
}

#[derive(Debug, Default)]
struct Seen {
    answers: u64,
    slowest: Duration,
    /// By answer: when it was seen last.
    last: BTreeMap<String, Instant>,
    misses: Vec<Miss>,
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// `count` clients that ask `address` for `/`, as if it were `host`.
    pub fn start(lab: &Lab, address: &str, host: &str, count: usize) -> Result<Self> {
        let address: SocketAddr = address.parse()?;
        let (seen, over) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let client = || {
            let (seen, over, host) = (Arc::clone(&seen), Arc::clone(&over), host.to_owned());
            // A thread is in the network of the one that starts it.
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    note(&seen, address, &host);
                    std::thread::sleep(PAUSE);
                }
            })
        };
        let clients = lab.inside(0, || Ok((0..count).map(|_| client()).collect()))?;
        Ok(Self { seen, over, clients })
    }

    /// Those that answered within the last `span`.
    pub fn answering(&self, span: Duration) -> Vec<String> {
        let seen = self.seen.lock();
        let recent = seen.last.iter().filter(|(_, at)| at.elapsed() < span);
        recent.map(|(answer, _)| answer.clone()).collect()
    }

    /// Ends it with the last request under way: how many were answered, the longest that took, and what
    /// failed.
    pub fn end(mut self) -> (u64, Duration, Vec<Miss>) {
        self.join();
        self.outcome()
    }

    fn join(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client's panic is in the output already.
            let _ = client.join();
        }
    }

    /// The same so far.
    pub fn outcome(&self) -> (u64, Duration, Vec<Miss>) {
        let seen = self.seen.lock();
        (seen.answers, seen.slowest, seen.misses.clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}

fn note(seen: &Mutex<Seen>, address: SocketAddr, host: &str) {
    let begun = Instant::now();
    let answer = get(address, host);
    let ended = Instant::now();
    let mut seen = seen.lock();
    match answer {
        Ok(answer) => {
            seen.answers += 1;
            seen.slowest = seen.slowest.max(ended - begun);
            seen.last.insert(answer, ended);
        }
        Err(error) => seen.misses.push(Miss { begun, ended, reason: format!("{error:#}") }),
    }
}

/// One request from the network that the caller is in; the body, if the status is 200.
pub fn get(address: SocketAddr, host: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("write")?;
    let mut raw = String::new();
    stream.read_to_string(&mut raw).context("read")?;
    let (head, body) = raw.split_once("\r\n\r\n").ok_or_else(|| anyhow!("no answer: {raw:?}"))?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("{}", head.lines().next().unwrap_or_default());
    }
    Ok(body.trim().to_owned())
}
