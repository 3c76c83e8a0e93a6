//! A client of one manager: reads a config, changes its label by the version that it read, makes and
//! removes it. The label's value is written once in the whole history.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use swarm_testkit::linear::{Call, Op, Outcome};

use super::NAMES;
use super::history::{History, Told};
use crate::{Answered, ask_within, connect};

/// For an answer; a manager that cannot write says so in 5 s, so some are given up before.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two calls: each is judged against all that overlap with it.
const PAUSE: Duration = Duration::from_millis(15);
/// After a manager that is not there.
const GONE: Duration = Duration::from_millis(100);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// See the module.
pub(super) struct Client<'a> {
    number: usize,
    manager: u8,
    sock: &'a Path,
    history: &'a History,
    rng: Mutex<StdRng>,
}

/// A config as it was read.
struct Seen {
    version: u64,
    value: u64,
    spec: Value,
}

impl<'a> Client<'a> {
    pub fn new(
        number: usize,
        manager: u8,
        sock: &'a Path,
        history: &'a History,
        rng: StdRng,
    ) -> Self {
        Self { number, manager, sock, history, rng: Mutex::new(rng) }
    }

    /// Works until it is over. What goes wrong is part of the history.
    pub fn run(&self, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let (name, choice) = {
                let mut rng = self.rng.lock();
                (NAMES[rng.random_range(0..NAMES.len())], rng.random_range(0..100))
            };
            // Without a connection nothing was asked.
            if connect(self.sock).is_err() {
                std::thread::sleep(GONE);
                continue;
            }
            let done = match choice {
                0..6 => self.write(name, Op::Remove, "DELETE", &format!("/configs/{name}"), ""),
                6..16 => self.create(name),
                16..60 => self.read(name).map(drop),
                _ => self.swap(name),
            };
            std::thread::sleep(if done.is_ok() { PAUSE } else { GONE });
        }
    }

    /// Reads it; an error where nobody answers.
    pub fn read(&self, name: &'static str) -> Result<()> {
        self.seen(name).map(drop)
    }

    fn seen(&self, name: &'static str) -> Result<Option<Seen>> {
        let begun = self.history.now();
        let answer = self.ask("GET", &format!("/configs/{name}"), "")?;
        let seen = match answer.status {
            404 => None,
            200 => {
                let mut config = answer.json();
                let label = config["Spec"]["Labels"]["value"].as_str();
                let value = label.and_then(|label| label.parse().ok()).context("no value")?;
                let version = config["Version"]["Index"].as_u64().context("no version")?;
                self.history.version(name, version, value);
                Some(Seen { version, value, spec: config["Spec"].take() })
            }
            other => bail!("{other}: {}", answer.message()),
        };
        self.tell(name, begun, Op::Read(seen.as_ref().map(|seen| seen.value)), Outcome::Done);
        Ok(seen)
    }

    fn create(&self, name: &'static str) -> Result<()> {
        let value = NEXT.fetch_add(1, Ordering::SeqCst);
        let spec =
            json!({ "Name": name, "Data": "eA==", "Labels": { "value": value.to_string() } });
        self.write(name, Op::Create(value), "POST", "/configs/create", &spec.to_string())
    }

    fn swap(&self, name: &'static str) -> Result<()> {
        let Some(mut seen) = self.seen(name)? else { return self.create(name) };
        let value = NEXT.fetch_add(1, Ordering::SeqCst);
        seen.spec["Labels"]["value"] = value.to_string().into();
        let path = format!("/configs/{name}/update?version={}", seen.version);
        self.write(name, Op::Swap(seen.value, value), "POST", &path, &seen.spec.to_string())
    }

    fn write(
        &self,
        name: &'static str,
        op: Op,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<()> {
        let begun = self.history.now();
        let answer = self.ask(method, path, body);
        let outcome = answer.as_ref().map_or(Outcome::Unknown, outcome);
        self.tell(name, begun, op, outcome);
        answer.map(drop)
    }

    fn tell(&self, name: &'static str, begun: u64, op: Op, outcome: Outcome) {
        let call = Call { client: self.number, op, outcome, begun, ended: self.history.now() };
        self.history.tell(Told { manager: self.manager, name, call });
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answered> {
        ask_within(PATIENCE, self.sock, method, path, body)
    }
}

/// What an answer says of a write. Anything but a clear word is none.
fn outcome(answer: &Answered) -> Outcome {
    match answer.status {
        200..300 => Outcome::Done,
        404 | 409 => Outcome::Refused,
        500 if answer.message().contains("out of sequence") => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}
