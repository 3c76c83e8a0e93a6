//! What the leading manager does: services to tasks, tasks to nodes, as the planners of `swarm-core`
//! decide it.
//!
//! Reading order: [`run`] (leaderships come and go), [`desk`] (what it remembers, and its pass: pure),
//! [`agenda`], [`orchestrate`], [`schedule`], [`orphans`], [`draft`] (what a pass writes), [`begin`],
//! [`roles`], [`meters`].
//!
//! Invariants: every write depends on the leadership's fence and on the versions that the pass saw; a
//! pass that was not written is planned again from fresh tables; where all is as it should be, nothing
//! is written.

pub mod agenda;
pub mod begin;
pub mod desk;
pub mod draft;
pub mod meters;
pub mod orchestrate;
pub mod orphans;
pub mod roles;
pub mod schedule;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use swarm_kv::StoreError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
use self::draft::Draft;
use self::meters::Meters;
use crate::clock::Clock;
use crate::dispatcher::Dispatcher;
use crate::reign::{Reign, is_end, told};
use crate::replica::{Feed, Replica};

/// Everything is looked at this often, whatever was heard: it would mend what a mark was missed for.
const FULL_PASS: Duration = Duration::from_secs(30);

/// The longest sleep: a wall clock may be set while we sleep.
const LONGEST: Duration = Duration::from_secs(30);

/// After a pass that changed few things, so long a rest as it took, and at most this: while thousands of
/// statuses come in, each plan sees many of them, and planning takes half of one core at most.
const PAUSE: Duration = Duration::from_millis(10);
const FEW: usize = 100;

/// The waits after a write that failed: the first, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// For how long a service is left alone whose plan cannot be written, in nanoseconds.
const PUT_OFF: i64 = 30_000_000_000;

/// Leads whenever this manager is elected, until it is told to stop.
pub async fn run(
    replica: Arc<Replica>,
    dispatcher: Arc<Dispatcher>,
    clock: Clock,
    meters: Meters,
    stop: CancellationToken,
) {
    let mut leadership = replica.store().leadership();
    let mut failed: u32 = 0;
    loop {
        let term = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            gained = leadership.wait_for(|now| now.leads) => match gained {
                Ok(now) => now.term,
                Err(_) => return,
            },
        };
        let over = stop.child_token();
        let mut watch = leadership.clone();
        let lost = async { watch.wait_for(|now| !now.leads || now.term != term).await.is_ok() };
        tracing::info!(term, "this manager leads");
        let begun = Instant::now();
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            _ = lost => Ok(()),
            ended = reign(&replica, &dispatcher, (&clock, &meters), term, &over) => ended,
        };
        over.cancel();
        dispatcher.resign();
        match ended {
            Ok(()) => {
                tracing::info!(term, "this manager leads no longer");
                failed = 0;
            }
            Err(error) => {
                tracing::warn!(term, %error, "this manager cannot lead, and tries again");
                failed = if begun.elapsed() > LONGEST { 0 } else { failed.saturating_add(1) };
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(back_off(failed)) => {}
                }
            }
        }
    }
}

/// One leadership, until it fails.
async fn reign(
    replica: &Arc<Replica>,
    dispatcher: &Arc<Dispatcher>,
    (clock, meters): (&Clock, &Meters),
    term: u64,
    over: &CancellationToken,
) -> Result<(), StoreError> {
    replica.fresh().await?;
    let reign = Reign::claim(&**replica.store(), term, over.clone()).await?;
    replica.fresh().await?;
    let feed = replica.feed();
    begin::wait_for_nodes(replica, clock, &reign).await?;
    let mut parts = JoinSet::new();
    parts.spawn(Arc::clone(dispatcher).serve(reign.clone()));
    parts.spawn(roles::run(Arc::clone(replica), clock.clone(), reign.clone()));
    let work =
        Work { replica: Arc::clone(replica), clock: clock.clone(), meters: meters.clone(), reign };
    parts.spawn(async move { work.run(feed).await });
    // Whichever part ends first ends all of them.
    match parts.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => Err(StoreError::Refused {
            store: "the swarm's store".to_owned(),
            reason: format!("a part of the leader broke off: {error}"),
        }),
        None => Ok(()),
    }
}

/// Short of a millisecond there is nothing to gain by it.
async fn rest(pause: Duration) {
    if pause >= Duration::from_millis(1) {
        sleep(pause).await;
    }
}

fn back_off(failed: u32) -> Duration {
    let (first, longest) = BACK_OFF;
    // By chance less, so that managers that failed together do not come back together.
    let wait = first.saturating_mul(1 << failed.min(10)).min(longest);
    wait.mul_f64(rand::Rng::random_range(&mut rand::rng(), 0.5..1.0))
}

/// The loop of one leadership.
struct Work {
    replica: Arc<Replica>,
    clock: Clock,
    meters: Meters,
    reign: Reign,
}

impl Work {
    async fn run(self, feed: Feed) -> Result<(), StoreError> {
        let mut rng = StdRng::from_os_rng();
        feed.take();
        let mut desk = self.replica.read(|tables| Desk::new(tables, self.clock.now(tables)));
        let mut full = Instant::now() + FULL_PASS;
        let mut failed = 0;
        loop {
            let (begun, touched) = (Instant::now(), feed.take());
            let draft = self.replica.read(|tables| {
                let now = self.clock.now(tables);
                desk.note(tables, &touched, now);
                desk.pass(tables, now, &mut rng)
            });
            self.meters.planned(begun.elapsed());
            let pause = if draft.len() < FEW { begun.elapsed().min(PAUSE) } else { Duration::ZERO };
            if !draft.is_empty() {
                match self.write(&draft).await {
                    Ok(()) => {
                        desk.written();
                        self.meters.written(&draft);
                        failed = 0;
                    }
                    Err(error) if is_end(&error) => return Err(error),
                    Err(error) => {
                        self.replica.fresh().await.ok();
                        self.not_written(&mut desk, &draft, &error);
                        // Somebody was faster once: the next plan sees what he wrote.
                        if failed > 0 || !matches!(error, StoreError::Conflict { .. }) {
                            sleep(back_off(failed)).await;
                        }
                        failed += 1;
                    }
                }
                rest(pause).await;
                continue;
            }
            rest(pause).await;
            if desk.is_busy() {
                // Others may want the tables meanwhile.
                tokio::task::yield_now().await;
                continue;
            }
            let next = desk.moment().map(|at| self.until(at));
            let wake = Instant::now() + next.unwrap_or(LONGEST).min(LONGEST);
            tokio::select! {
                () = feed.wait() => {}
                () = sleep_until(wake.min(full)) => {}
            }
            if Instant::now() >= full {
                full = Instant::now() + FULL_PASS;
                self.replica.read(|tables| desk.mark_all(tables));
            }
        }
    }

    fn until(&self, at: swarm_model::Time) -> Duration {
        let nanos = at.since(self.replica.read(|tables| self.clock.now(tables)));
        // At least a little, should a plan ask again and again for now.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)).max(Duration::from_millis(1))
    }

    async fn write(&self, draft: &Draft) -> Result<(), StoreError> {
        for batch in draft.batches(&self.reign)? {
            self.replica.commit(batch).await.map_err(told)?;
        }
        Ok(())
    }

    fn not_written(&self, desk: &mut Desk, draft: &Draft, error: &StoreError) {
        let is_passing = error.is_passing() || matches!(error, StoreError::Conflict { .. });
        if is_passing {
            tracing::debug!(%error, "a pass is planned again");
        } else {
            tracing::warn!(%error, "a pass cannot be written; it is planned again in smaller parts");
        }
        self.replica.read(|tables| {
            let until = self.clock.now(tables).plus(PUT_OFF);
            desk.failed(tables, draft);
            if !is_passing && desk.put_off(draft, until) {
                tracing::error!(service = ?draft.planned, %error, "it is left alone for 30 s");
            }
        });
    }
}

#[cfg(test)]
mod tests;
