//! One round: a seed decides what goes wrong and what clients want; then all is mended, and after a
//! while of quiet the checkers look at what is left and at all that happened.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use swarm_testkit::lab::LabConfig;

use super::check::{self, Breach, End, Moves, Promises};
use super::clients::Clients;
use super::faults::Breaker;
use super::gates::Gate;
use super::history::{Entry, Recorder, What};
use super::plan::{ENGINES, Plan};
use super::watch::{self, Watchers};
use crate::labs::{IMAGE, Scratch};
use crate::managers::Managers;

/// The hosts of the managers: without engines, with cables of their own.
const PLACES: [u8; 3] = [ENGINES + 1, ENGINES + 2, ENGINES + 3];
/// How long an engine is silent before anything moves.
const GRACE: [&str; 2] = ["--cluster-opt", "swarm.reschedule.grace=1s"];
/// How long the pool has to come to rest when all is mended.
const REST: Duration = Duration::from_mins(1);
/// How long it must be quiet then.
const SILENCE: Duration = Duration::from_secs(3);

/// How a round ended.
#[derive(Debug)]
pub struct Outcome {
    /// What went wrong, and when.
    pub plan: Plan,
    /// What broke a rule.
    pub breach: Option<Breach>,
    /// Containers that moved.
    pub moves: Moves,
    /// Wishes of clients that were fulfilled.
    pub done: usize,
    /// From the mending to rest.
    pub rest: Duration,
    /// All that happened.
    pub history: Vec<Entry>,
    /// What each manager logged, where a rule was broken.
    pub logs: Vec<String>,
}

/// A lab for rounds: three engines, and three hosts for managers.
pub fn lab() -> Result<Scratch> {
    Scratch::boot(ENGINES + 3, |config: &mut LabConfig| {
        for place in PLACES {
            let mut host = config.default.clone();
            host.engine = false;
            config.hosts.insert(place, host);
        }
        // Its port is the gate's.
        config.default.listen = Vec::new();
    })
}

/// Plays the round of `seed`, with a storm of that length, on clean engines.
pub fn play(lab: &Scratch, seed: u64, storm: Duration) -> Result<Outcome> {
    let plan = Plan::of(seed, u64::try_from(storm.as_millis())?);
    lab.reset(IMAGE).context("clean the hosts after the round before")?;
    let recorder = Recorder::default();
    let gate = |i| Ok((i, Gate::open(lab, i, &PLACES, &recorder)?));
    let gates = (1..=ENGINES).map(gate).collect::<Result<_>>()?;
    let started = SystemTime::now();
    let mut managers = Managers::start(lab, PLACES, ENGINES, &GRACE)?;
    recorder.begin();
    let engines: Vec<_> = (1..=ENGINES).map(|i| (i, lab.sock(i))).collect();
    let watchers = Watchers::start(engines, &recorder);
    let stop = AtomicBool::new(false);
    let clients = Clients { socks: managers.socks(), recorder: &recorder, stop };
    let mut breaker = Breaker::new(&mut managers, gates, &recorder);

    let (promises, healed) = thread::scope(|scope| {
        let clients = &clients;
        let seeds = plan.wishes.iter().zip(seed.wrapping_mul(100)..);
        let threads: Vec<_> =
            seeds.map(|(wish, seed)| scope.spawn(move || clients.work(wish, seed))).collect();
        let stormed = breaker.storm(&plan);
        clients.stop.store(true, Ordering::Relaxed);
        let healed = stormed.and_then(|()| breaker.heal(&plan));
        let promises: Vec<Promises> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        (promises, healed)
    });
    let reboots = breaker.reboots;
    if let Err(error) = healed {
        return Err(error.context(format!("seed {seed}: not a breach, the lab itself failed")));
    }
    let begun = Instant::now();
    let unsettled = settle(lab, &managers, &recorder, &promises, reboots)?;
    let rest = begun.elapsed();
    recorder.say("the round ends");
    drop(watchers);
    for (at, manager) in primaries(&managers.logs(), started) {
        recorder.note_at(recorder.at(at), What::Primary(manager));
    }
    let history = recorder.history();
    if unsettled.is_none() {
        witnesses(lab, &history).with_context(|| format!("seed {seed}: not a breach"))?;
    }
    let breach = check::look(&history, &plan.wishes, &promises).or_else(|| {
        let rule = "the pool equals the world";
        unsettled.map(|words| Breach { at: recorder.now(), rule, words })
    });
    let logs = if breach.is_some() { managers.logs() } else { Vec::new() };
    let done = promises.iter().map(|promise| promise.done).sum();
    Ok(Outcome { plan, breach, moves: check::moves(&history), done, rest, history, logs })
}

/// Waits until all is as it must be and stays so; what is not, after a time.
fn settle(
    lab: &Scratch,
    managers: &Managers<'_>,
    recorder: &Recorder,
    promises: &[Promises],
    reboots: bool,
) -> Result<Option<String>> {
    let (begun, mut well) = (Instant::now(), None);
    loop {
        let words = look(lab, managers, promises, reboots)?;
        let since = recorder.history().len();
        well = match (words, well) {
            (Some(words), _) if begun.elapsed() > REST => return Ok(Some(words)),
            (Some(_), _) => None,
            (None, Some((at, count))) if count == since => {
                let at: Instant = at;
                if at.elapsed() > SILENCE {
                    return Ok(None);
                }
                Some((at, count))
            }
            (None, _) if begun.elapsed() > REST => {
                return Ok(Some("it does not come to rest".to_owned()));
            }
            (None, _) => Some((Instant::now(), since)),
        };
        thread::sleep(Duration::from_millis(300));
    }
}

fn look(
    lab: &Scratch,
    managers: &Managers<'_>,
    promises: &[Promises],
    reboots: bool,
) -> Result<Option<String>> {
    let mut engines = Vec::new();
    for engine in 1..=ENGINES {
        engines.extend(watch::list(engine, &lab.sock(engine))?);
    }
    for sock in managers.socks() {
        let pool = match watch::list_pool(&sock) {
            Ok(pool) => pool,
            Err(error) => return Ok(Some(format!("{error:#}"))),
        };
        let end = End { engines: engines.clone(), pool, reboots };
        if let Some(words) = check::unsettled(&end, promises) {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// Whoever looked has seen what there was to see: without that, no breach says nothing.
fn witnesses(lab: &Scratch, history: &[Entry]) -> Result<()> {
    let tells = |what: fn(&What) -> bool| history.iter().any(|entry| what(&entry.what));
    ensure!(tells(|what| matches!(what, What::Primary(_))), "no manager's log tells who leads");
    ensure!(tells(|what| matches!(what, What::Asked(..))), "no change passed an engine's gate");
    let told = check::running(history);
    let mut listed = BTreeSet::new();
    for engine in 1..=ENGINES {
        let all = watch::list(engine, &lab.sock(engine))?;
        listed.extend(all.into_iter().filter(|one| one.running).map(|one| (engine, one.id)));
    }
    ensure!(told == listed, "the events tell that {told:?} run, the lists {listed:?}");
    Ok(())
}

/// When which manager said that it is the primary, in order of time; older words are of other rounds.
fn primaries(logs: &[String], started: SystemTime) -> Vec<(SystemTime, usize)> {
    let mut all = Vec::new();
    for (manager, log) in logs.iter().enumerate() {
        let lines = log.lines().filter(|line| line.contains(" this manager is the primary"));
        let stamps = lines.filter_map(|line| line.split(' ').next()?.parse::<Timestamp>().ok());
        all.extend(stamps.map(|stamp| (SystemTime::from(stamp), manager)));
    }
    all.retain(|(at, _)| *at >= started);
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_are_read_from_logs_in_order_of_time() {
        let stamp = |text: &str| SystemTime::from(text.parse::<Timestamp>().unwrap());
        let logs = [
            "2026-01-02T03:04:05.000001Z  INFO this manager is the primary epoch=1\n\
             2026-01-02T03:04:07.5Z  INFO this manager is the primary epoch=3\nrubbish\n",
            "2026-01-02T03:04:06Z  INFO this manager is the primary epoch=2\n\
             2026-01-02T03:04:08Z  INFO the primary manager is 10.77.0.14:4001\n",
        ];
        let found = primaries(&logs.map(str::to_owned), stamp("2026-01-02T03:04:06Z"));
        let times = ["2026-01-02T03:04:06Z", "2026-01-02T03:04:07.5Z"].map(stamp);
        assert_eq!(found, [(times[0], 1), (times[1], 0)]);
    }
}
