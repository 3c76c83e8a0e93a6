//! Linearizable writes and reads of swarm mode, on real managers: clients at every manager change a few
//! configs at once while managers are killed, frozen and cut off, and the history is judged
//! (`swarm_testkit::linear`).
//!
//! Reading order: `history` (what is taken down), `client`, `storm` (the faults, from one seed).
//!
//! What is promised (docs/swarm-api.md): every answer is linearizable, but reads at a manager that
//! finds no quorum for 2 s, which then tells what it had. So reads are left out of the judgement where
//! a manager is cut off, and where one took that long; never those of others, and no write ever.

mod client;
mod history;
mod storm;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use swarm_testkit::linear::{Op, Outcome, check};

use crate::{Daemons, until};

use self::client::Client;
use self::history::History;
use self::storm::Storm;

/// Hosts with a manager.
const MANAGERS: [u8; 3] = [1, 2, 3];
/// Clients of each manager.
const CLIENTS: usize = 2;
/// For a manager to answer when all is over.
const LAST: Duration = Duration::from_mins(1);
/// The configs: each is judged by itself.
const NAMES: [&str; 2] = ["one", "other"];

/// What was done and judged.
#[derive(Debug)]
pub struct Judged {
    /// Calls in all.
    pub calls: usize,
    /// Writes that were done.
    pub written: usize,
    /// Calls of which nobody knows what came of them.
    pub unknown: usize,
    /// Reads that were left out.
    pub excused: usize,
    /// The faults, in order.
    pub faults: Vec<String>,
}

/// Plays for so long, and judges. The managers are the swarm's three.
pub fn play(daemons: &mut Daemons<'_>, seed: u64, lasting: Duration) -> Result<Judged> {
    let history = History::default();
    let socks: Vec<_> = MANAGERS.iter().map(|host| daemons.sock(*host)).collect();
    let over = AtomicBool::new(false);
    let mut storm = Storm::new(StdRng::seed_from_u64(seed), &history, lasting);
    let stormed = std::thread::scope(|scope| {
        for number in 0..socks.len() * CLIENTS {
            let place = number % socks.len();
            let rng = StdRng::seed_from_u64(seed ^ (0x51_u64 << 32) ^ number as u64);
            let client = Client::new(number, MANAGERS[place], &socks[place], &history, rng);
            let over = &over;
            scope.spawn(move || client.run(over));
        }
        let stormed = storm.rage(daemons, &MANAGERS);
        over.store(true, Ordering::SeqCst);
        stormed
    });
    stormed?;
    let faults = storm.told();
    daemons.ready(MANAGERS[0], MANAGERS.len())?;
    // What each manager tells at last belongs to the history.
    for (place, sock) in socks.iter().enumerate() {
        let rng = StdRng::seed_from_u64(seed);
        let client = Client::new(100 + place, MANAGERS[place], sock, &history, rng);
        for name in NAMES {
            until(LAST, format_args!("host {} answers at last", MANAGERS[place]), || {
                Ok(client.read(name).ok())
            })?;
        }
    }
    judge(&history, faults)
}

fn judge(history: &History, faults: Vec<String>) -> Result<Judged> {
    let (calls, excused) = history.judged();
    let mut judged = Judged { calls: 0, written: 0, unknown: 0, excused, faults };
    for name in NAMES {
        let calls = calls.get(name).map(Vec::as_slice).unwrap_or_default();
        judged.calls += calls.len();
        let is_write = |op: Op| !matches!(op, Op::Read(_));
        let done = calls.iter().filter(|call| call.outcome == Outcome::Done && is_write(call.op));
        judged.written += done.count();
        judged.unknown += calls.iter().filter(|call| call.outcome == Outcome::Unknown).count();
        if let Err(breach) = check(calls) {
            let faults = judged.faults.join("\n  ");
            bail!("config {name}: {breach}\nfaults:\n  {faults}");
        }
    }
    for (version, values) in history.versions() {
        ensure!(values.len() == 1, "version {version:?} is of several values: {values:?}");
    }
    Ok(judged)
}

/// Calls by the config that they are on.
type ByName = BTreeMap<&'static str, Vec<swarm_testkit::linear::Call>>;
