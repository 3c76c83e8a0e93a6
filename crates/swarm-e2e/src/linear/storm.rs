//! The faults: one after the other a manager is killed, frozen or cut off from the others, as a seed
//! says; a quorum is left each time, and clients must get on before the next.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::history::History;
use crate::{Daemons, until};

/// How long a fault lasts, in milliseconds: shorter and longer than an election takes.
const LASTING: std::ops::Range<u64> = 300..4_000;
/// Between two faults.
const CALM: std::ops::Range<u64> = 200..2_000;
/// For clients to get on.
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls by which it shows that they do.
const CALLS: usize = 20;

/// What is done to a manager.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Freeze,
    CutOff,
}

/// See the module.
pub(super) struct Storm<'a> {
    rng: StdRng,
    history: &'a History,
    lasting: Duration,
    told: Vec<String>,
}

impl<'a> Storm<'a> {
    pub fn new(rng: StdRng, history: &'a History, lasting: Duration) -> Self {
        Self { rng, history, lasting, told: Vec::new() }
    }

    /// What was done, with times of the history in seconds.
    pub fn told(self) -> Vec<String> {
        self.told
    }

    /// Until the time is over; everything is mended then.
    pub fn rage(&mut self, daemons: &mut Daemons<'_>, managers: &[u8]) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < self.lasting {
            self.wait(CALM);
            // The leader more often than chance alone would have it.
            let chosen = managers[self.rng.random_range(0..managers.len())];
            let leads = leader(daemons, managers).filter(|_| self.rng.random_bool(0.5));
            let victim = leads.unwrap_or(chosen);
            let fault = match self.rng.random_range(0..3) {
                0 => Fault::Kill,
                1 => Fault::Freeze,
                _ => Fault::CutOff,
            };
            let is_leader = if leads.is_some() { ", the leader" } else { "" };
            let mut words = format!("{}: {fault:?} host {victim}{is_leader}", self.history.now());
            self.hit(daemons, managers, victim, fault)
                .with_context(|| format!("{words}; {}", daemons.logs()))?;
            let _ = write!(words, ", until {}", self.history.now());
            self.told.push(words);
            let before = self.history.len();
            until(PATIENCE, "clients get on", || {
                Ok((self.history.len() > before + CALLS).then_some(()))
            })?;
        }
        Ok(())
    }

    fn hit(
        &mut self,
        daemons: &mut Daemons<'_>,
        managers: &[u8],
        victim: u8,
        fault: Fault,
    ) -> Result<()> {
        match fault {
            Fault::Kill => {
                daemons.kill(victim)?;
                self.wait(LASTING);
                daemons.launch(victim, &[])
            }
            Fault::Freeze => {
                daemons.signal(victim, "STOP")?;
                self.wait(LASTING);
                daemons.signal(victim, "CONT")
            }
            Fault::CutOff => {
                let others: Vec<u8> =
                    managers.iter().copied().filter(|other| *other != victim).collect();
                let lab = daemons.lab();
                let history = self.history;
                history.cut(victim, || {
                    others.iter().try_for_each(|other| lab.cut(victim, Some(*other)))?;
                    self.wait(LASTING);
                    others.iter().try_for_each(|other| lab.heal(victim, Some(*other)))
                })
            }
        }
    }

    fn wait(&mut self, range: std::ops::Range<u64>) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(range)));
    }
}

/// Who leads, as the first manager that answers has it.
fn leader(daemons: &Daemons<'_>, managers: &[u8]) -> Option<u8> {
    let format = "{{if eq .ManagerStatus \"Leader\"}}{{.Hostname}}{{end}}";
    managers.iter().find_map(|host| {
        let listed = daemons.docker(*host, &["node", "ls", "--format", format]).ok().ok()?;
        let name = listed.lines().find(|line| !line.is_empty())?;
        name.strip_prefix("host-")?.parse().ok()
    })
}
