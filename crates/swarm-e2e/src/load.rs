//! Many short requests to one HTTP server in the fabric, side by side, each on a connection of its own or on
//! kept ones, and what became of each.
//!
//! Invariant: the load ends when it is dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use parking_lot::Mutex;
use swarm_testkit::lab::Lab;

use crate::exchange::{Kept, get};

/// Between two requests of one client: the machine is the engines' too.
const PAUSE: Duration = Duration::from_millis(4);

/// How clients ask.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How many there are.
    pub clients: usize,
    /// Each keeps its connection.
    pub kept: bool,
    /// Between two requests of one.
    pub pause: Duration,
}

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
    /// By answer: when it was seen first, and last.
    times: BTreeMap<String, (Instant, Instant)>,
    misses: Vec<Miss>,
    /// How long each answer took.
    took: Vec<Duration>,
    again: u64,
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

/// What a load has to tell besides [`Load::outcome`].
#[derive(Debug, Clone)]
pub struct Tally {
    /// How long each answer took, in order.
    pub took: Vec<Duration>,
    /// Requests that were sent again, since their kept connection had been closed.
    pub again: u64,
    /// When each answer was seen first.
    pub first: BTreeMap<String, Instant>,
}

impl Load {
    /// `count` clients that ask `address` for `/`, as if it were `host`.
    pub fn start(lab: &Lab, address: &str, host: &str, count: usize) -> Result<Self> {
        Self::start_as(lab, address, host, Manner { clients: count, kept: false, pause: PAUSE })
    }

    /// The same in another manner.
    pub fn start_as(lab: &Lab, address: &str, host: &str, manner: Manner) -> Result<Self> {
        let address: SocketAddr = address.parse()?;
        let (seen, over) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let client = || {
            let (seen, over, host) = (Arc::clone(&seen), Arc::clone(&over), host.to_owned());
            let mut kept = manner.kept.then(|| Kept::new(address));
            // A thread is in the network of the one that starts it.
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    match &mut kept {
                        Some(kept) => note(&seen, || kept.get(&host)),
                        None => note(&seen, || get(address, &host)),
                    }
                    std::thread::sleep(manner.pause);
                }
                seen.lock().again += kept.map_or(0, |kept| kept.again);
            })
        };
        let clients = lab.inside(0, || Ok((0..manner.clients).map(|_| client()).collect()))?;
        Ok(Self { seen, over, clients })
    }

    /// Those that answered within the last `span`.
    pub fn answering(&self, span: Duration) -> Vec<String> {
        let seen = self.seen.lock();
        let recent = seen.times.iter().filter(|(_, (_, last))| last.elapsed() < span);
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

    /// Ends it: what failed, and what else there is to tell.
    pub fn tally(mut self) -> (Vec<Miss>, Tally) {
        self.join();
        let seen = self.seen.lock();
        let mut took = seen.took.clone();
        took.sort();
        let first = seen.times.iter().map(|(answer, (first, _))| (answer.clone(), *first));
        (seen.misses.clone(), Tally { took, again: seen.again, first: first.collect() })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}

fn note(seen: &Mutex<Seen>, ask: impl FnOnce() -> Result<String>) {
    let begun = Instant::now();
    let answer = ask();
    let ended = Instant::now();
    let mut seen = seen.lock();
    match answer {
        Ok(answer) => {
            seen.answers += 1;
            seen.slowest = seen.slowest.max(ended - begun);
            seen.took.push(ended - begun);
            seen.times.entry(answer).or_insert((ended, ended)).1 = ended;
        }
        Err(error) => seen.misses.push(Miss { begun, ended, reason: format!("{error:#}") }),
    }
}
