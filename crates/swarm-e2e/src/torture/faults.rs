//! Does what the plan says: breaks things, and mends them.
//!
//! Leaves the choice to `plan`. Invariant: what is broken is in the history before it is done, what
//! is mended after it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::gates::Gate;
use super::history::{Recorder, What};
use super::plan::{ENGINES, Fault, Plan, Step};
use crate::ask::ask_within;
use crate::managers::Managers;

/// For a manager to change a node: some may be cut off or stopped.
const PATIENCE: Duration = Duration::from_secs(4);

/// Breaks and mends.
#[derive(Debug)]
pub struct Breaker<'m, 'l> {
    managers: &'m mut Managers<'l>,
    recorder: &'m Recorder,
    /// What each step that is under way hit.
    hit: BTreeMap<usize, Vec<usize>>,
    paused: BTreeSet<usize>,
    gates: BTreeMap<u8, Gate>,
    /// Whether an engine lost power.
    pub reboots: bool,
}

impl<'m, 'l> Breaker<'m, 'l> {
    /// Nothing is broken yet; the engines' gates are these.
    pub fn new(
        managers: &'m mut Managers<'l>,
        gates: BTreeMap<u8, Gate>,
        recorder: &'m Recorder,
    ) -> Self {
        let (hit, paused) = (BTreeMap::new(), BTreeSet::new());
        Self { managers, recorder, hit, paused, gates, reboots: false }
    }

    /// Goes through a plan, in its own time.
    pub fn storm(&mut self, plan: &Plan) -> Result<()> {
        let mut moments: Vec<_> = Vec::new();
        for (number, step) in plan.steps.iter().enumerate() {
            moments.push((step.at, number, true));
            moments.push((step.at + step.last, number, false));
        }
        moments.sort_unstable();
        for (at, number, begins) in moments {
            // What would end after the storm is mended with the rest.
            if at < plan.storm {
                self.wait(at);
                let step = &plan.steps[number];
                let done = if begins { self.begin(number, step) } else { self.end(number, step) };
                done.with_context(|| format!("{:?}, begin: {begins}", step.fault))?;
            }
        }
        self.wait(plan.storm);
        Ok(())
    }

    fn wait(&self, until: u64) {
        std::thread::sleep(Duration::from_millis(until.saturating_sub(self.recorder.now())));
    }

    /// Mends everything that is broken still.
    pub fn heal(&mut self, plan: &Plan) -> Result<()> {
        for number in self.hit.keys().copied().collect::<Vec<_>>() {
            let step = &plan.steps[number];
            self.end(number, step).with_context(|| format!("mend {:?}", step.fault))?;
        }
        for engine in 1..=ENGINES {
            // A drain that no manager heard of being over.
            self.availability(engine, "active", 10)?;
        }
        self.recorder.say("all is mended");
        Ok(())
    }

    fn begin(&mut self, number: usize, step: &Step) -> Result<()> {
        let lab = self.managers.lab();
        let primary = self.one(step.instead);
        let hit = match (step.fault, primary) {
            (Fault::PowerCut(i) | Fault::Crash(i), _) => {
                self.recorder.note(What::Out(i));
                self.reboots = true;
                if matches!(step.fault, Fault::Crash(_)) {
                    self.gates.remove(&i);
                }
                match step.fault {
                    Fault::Crash(_) => lab.crash(i)?,
                    _ => lab.kill(i)?,
                }
                // Without power nobody hears that it closes.
                self.gates.remove(&i);
                self.recorder.note(What::Off(i));
                Vec::new()
            }
            (Fault::CutNode(i), _) => {
                self.recorder.note(What::Out(i));
                (0..3).try_for_each(|m| lab.cut(i, Some(self.managers.place(m))))?;
                vec![0, 1, 2]
            }
            (Fault::CutFromPrimary(i), Some(m)) => {
                self.recorder.note(What::Out(i));
                self.recorder.say(format!("host-{i} is cut from manager {}", m + 1));
                lab.cut(i, Some(self.managers.place(m)))?;
                vec![m]
            }
            (Fault::Cordon(i), _) => {
                self.availability(i, "pause", 1)?;
                Vec::new()
            }
            (Fault::Drain(i), _) => {
                self.recorder.note(What::Drained(i));
                self.availability(i, "drain", 1)?;
                Vec::new()
            }
            (Fault::KillAll, _) => {
                let all: Vec<usize> = (0..3).filter(|m| self.free(*m)).collect();
                for m in &all {
                    self.shake(*m, "is killed");
                    self.managers.kill(*m)?;
                }
                all
            }
            (_, None) => {
                self.recorder.say(format!("no manager is left for {:?}", step.fault));
                return Ok(());
            }
            (Fault::KillPrimary, Some(m)) => {
                self.shake(m, "is killed");
                self.managers.kill(m)?;
                vec![m]
            }
            (Fault::StopPrimary, Some(m)) => {
                self.shake(m, "is asked to end");
                self.managers.stop(m)?;
                vec![m]
            }
            (Fault::PausePrimary, Some(m)) => {
                self.shake(m, "is stopped in its tracks");
                self.managers.pause(m)?;
                self.recorder.note(What::Paused(m));
                self.paused.insert(m);
                vec![m]
            }
            (Fault::IsolatePrimary, Some(m)) => {
                self.shake(m, "is cut from the other managers");
                self.isolate(m, true)?;
                vec![m]
            }
        };
        self.hit.insert(number, hit);
        Ok(())
    }

    fn end(&mut self, number: usize, step: &Step) -> Result<()> {
        let lab = self.managers.lab();
        let Some(hit) = self.hit.remove(&number) else { return Ok(()) };
        match step.fault {
            Fault::PowerCut(i) | Fault::Crash(i) => {
                self.recorder.say(format!("host-{i} boots"));
                lab.start(i)?;
                let places = [0, 1, 2].map(|m| self.managers.place(m));
                self.gates.insert(i, Gate::open(lab, i, &places, self.recorder)?);
                self.recorder.note(What::Back(i));
            }
            Fault::CutNode(i) | Fault::CutFromPrimary(i) => {
                hit.iter().try_for_each(|m| lab.heal(i, Some(self.managers.place(*m))))?;
                self.recorder.note(What::Back(i));
            }
            Fault::Cordon(i) | Fault::Drain(i) => self.availability(i, "active", 1)?,
            Fault::KillPrimary | Fault::StopPrimary | Fault::KillAll => {
                for m in hit {
                    self.managers.restart(m)?;
                    self.shake(m, "is there again");
                }
            }
            Fault::PausePrimary => {
                for m in hit {
                    self.recorder.note(What::Woken(m));
                    self.managers.resume(m)?;
                    self.paused.remove(&m);
                    self.shake(m, "goes on");
                }
            }
            Fault::IsolatePrimary => {
                for m in hit {
                    self.isolate(m, false)?;
                    self.shake(m, "is connected again");
                }
            }
        }
        Ok(())
    }

    fn shake(&self, manager: usize, words: &str) {
        self.recorder.note(What::Shaken);
        self.recorder.say(format!("manager {} {words}", manager + 1));
    }

    /// Runs, is not stopped in its tracks, and is not isolated.
    fn free(&self, manager: usize) -> bool {
        self.managers.runs(manager) && !self.paused.contains(&manager)
    }

    /// The primary, or the manager to take instead.
    fn one(&self, instead: usize) -> Option<usize> {
        let free: Vec<usize> = (0..3).filter(|m| self.free(*m)).collect();
        let instead = (instead..3).chain(0..instead).find(|m| free.contains(m));
        self.managers.primary_now(&free).or(instead)
    }

    fn isolate(&self, manager: usize, cut: bool) -> Result<()> {
        let place = self.managers.place(manager);
        (0..3).filter(|other| *other != manager).try_for_each(|other| {
            let other = Some(self.managers.place(other));
            if cut {
                self.managers.lab().cut(place, other)
            } else {
                self.managers.lab().heal(place, other)
            }
        })
    }

    /// Tells whichever manager hears it; a person who is refused tries again, or not.
    fn availability(&self, engine: u8, to: &str, tries: usize) -> Result<()> {
        let mut last = None;
        for round in 0..tries * 3 {
            let m = round % 3;
            if !self.free(m) {
                continue;
            }
            match self.update(m, engine, to) {
                Ok(()) => {
                    self.recorder.say(format!("host-{engine} is set to {to} by manager {}", m + 1));
                    return Ok(());
                }
                Err(error) => {
                    self.recorder.say(format!("host-{engine} is not set to {to}: {error:#}"));
                    last = Some(error);
                }
            }
            if tries > 1 {
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        // In the storm it is luck; afterwards somebody has to hear it.
        last.filter(|_| tries > 1).map_or(Ok(()), Err)
    }

    fn update(&self, manager: usize, engine: u8, to: &str) -> Result<()> {
        let sock = self.managers.pool(manager)?.manager().sock();
        let path = format!("/nodes/host-{engine}");
        let node = ask_within(PATIENCE, sock, "GET", &path, "")?;
        ensure!(node.status == 200, "{} {}", node.status, node.message());
        let (version, mut spec) = (&node.json()["Version"]["Index"], node.json()["Spec"].clone());
        if spec["Availability"] == to {
            return Ok(());
        }
        spec["Availability"] = json!(to);
        let path = format!("{path}/update?version={version}");
        let done = ask_within(PATIENCE, sock, "POST", &path, &spec.to_string())?;
        ensure!(done.status == 200, "{} {}", done.status, done.message());
        Ok(())
    }
}
