//! Clients: each cares for one name, and asks one thing after the other of whatever manager is
//! there.
//!
//! Leaves to the checkers what may be believed. Invariant: a client's choices follow from its seed
//! and from what it heard.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::check::{Promises, Wanted};
use super::history::{Answer, Op, Recorder, What};
use super::plan::Wish;
use super::watch::{self, SLOT};
use crate::ask::{ask_within, connect};
use crate::labs::IMAGE;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long it waits to hear who leads.
const GLANCE: Duration = Duration::from_secs(1);

/// What all clients of a round share.
#[derive(Debug)]
pub struct Clients<'r> {
    /// Where the managers listen.
    pub socks: Vec<PathBuf>,
    /// Who takes down what they hear.
    pub recorder: &'r Recorder,
    /// Set when it is time to stop.
    pub stop: AtomicBool,
}

impl Clients<'_> {
    /// Works on one name until it is time to stop; what it was promised then.
    pub fn work(&self, wish: &Wish, seed: u64) -> Promises {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut promises = Promises::new(wish);
        let mut renamed = 0;
        while self.pause(Duration::from_millis(rng.random_range(100..2_500))) {
            let sock = &self.socks[rng.random_range(0..self.socks.len())];
            if !led(sock) {
                continue;
            }
            let certain = promises.certain();
            let Ok(known) = certain.map_or_else(|| find(sock, &wish.slot), Ok) else { continue };
            let op = match (rng.random_range(0..20), known) {
                // By the name that it may have after all, so that there are never two.
                (_, None) => match promises.names()[..] {
                    [] => Op::Create(wish.slot.clone()),
                    [ref name] => Op::Create(name.clone()),
                    _ => continue,
                },
                // What is made is started, or it would show little.
                (_, Some((name, false))) if rng.random_bool(0.7) => Op::Start(name),
                (0..15, _) => continue,
                (15, Some((name, _))) => Op::Stop(name),
                (16..18, Some((name, _))) => {
                    renamed += 1;
                    Op::Rename(name, format!("{}-{renamed}", wish.slot))
                }
                (18, Some((name, _))) => Op::Remove(name),
                (_, Some((name, _))) => Op::Create(name), // Taken: to be refused.
            };
            let (answer, words) = tell(sock, &op, wish);
            promises.heard(self.recorder.now(), &op, answer);
            self.recorder.note(What::Heard(wish.slot.clone(), op, answer, words));
        }
        promises
    }

    /// Whether to go on after this while.
    fn pause(&self, last: Duration) -> bool {
        let end = Instant::now() + last;
        while Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Whether a manager knows of a primary; one that does not answer may wake with the request.
fn led(sock: &Path) -> bool {
    let Ok(info) = ask_within(GLANCE, sock, "GET", "/info", "") else { return true };
    let info = info.json();
    let rows = info["SystemStatus"].as_array().map(Vec::as_slice).unwrap_or_default();
    let primary = rows.iter().find(|row| row[0] == "Primary").and_then(|row| row[1].as_str());
    primary.is_some_and(|primary| !primary.starts_with("(none"))
}

/// Whoever is not sure looks.
fn find(sock: &Path, slot: &str) -> Result<Wanted> {
    let all = watch::list_pool(sock)?;
    Ok(all.into_iter().find(|one| one.slot == slot).map(|one| (one.name, one.running)))
}

fn tell(sock: &Path, op: &Op, wish: &Wish) -> (Answer, String) {
    let (method, path, body) = match op {
        Op::Create(name) => ("POST", format!("/containers/create?name={name}"), create(wish)),
        Op::Start(name) => ("POST", format!("/containers/{name}/start"), String::new()),
        Op::Stop(name) => ("POST", format!("/containers/{name}/stop"), String::new()),
        Op::Rename(name, to) => {
            ("POST", format!("/containers/{name}/rename?name={to}"), String::new())
        }
        Op::Remove(name) => ("DELETE", format!("/containers/{name}?force=1"), String::new()),
    };
    if let Err(error) = connect(sock) {
        return (Answer::Refused, format!("{:?}: {error:#}", manager(sock)));
    }
    match ask_within(PATIENCE, sock, method, &path, &body) {
        Ok(answer) => {
            let heard = match answer.status {
                200..400 => Answer::Done,
                400..500 => Answer::Refused,
                _ => Answer::Unknown,
            };
            (heard, format!("{}: {} {}", manager(sock), answer.status, answer.message()))
        }
        Err(error) => (Answer::Unknown, format!("{}: {error:#}", manager(sock))),
    }
}

fn manager(sock: &Path) -> String {
    sock.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn create(wish: &Wish) -> String {
    let env = if wish.moves { vec!["reschedule:on-node-failure"] } else { Vec::new() };
    let binds = if wish.volume { vec![format!("{}-data:/data", wish.slot)] } else { Vec::new() };
    json!({
        "Image": IMAGE,
        "Cmd": ["sleep", "86400"],
        // As the first process `sleep` ends by no other signal.
        "StopSignal": "SIGKILL",
        "Env": env,
        "Labels": { SLOT: wish.slot },
        "HostConfig": { "RestartPolicy": { "Name": wish.restart }, "Binds": binds },
    })
    .to_string()
}
