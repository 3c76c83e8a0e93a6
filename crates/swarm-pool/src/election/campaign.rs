//! Campaigning for ever: follow whoever has the lock, take it when nobody has, keep it while that
//! works, and begin again.
//!
//! Invariants: the fence is closed before anybody is told that this manager is primary no more; a
//! lease that may still hold the lock is revoked before anything else is tried; no failure of the
//! store ends the campaign, only [`Election::resign`](super::Election::resign) does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use swarm_kv::{Change, Lease, StoreError, Watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::appointed::Appointment;
use super::fence::Fence;
use super::lock::{Lock, Missed, Tenure};
use super::pauses::{Jitter, Pauses};
use super::role::{Holder, Standing};
use super::sight::{Seen, Sight};

/// How long giving the lock back may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// One manager's campaign.
#[derive(Debug)]
pub(super) struct Campaign {
    pub lock: Lock,
    pub fence: Fence,
    pub standing: Arc<Standing>,
    pub resign: CancellationToken,
    pub jitter: Jitter,
    /// Where another election says who may take the lock.
    pub appointment: Option<Appointment>,
}

/// Why a primary is one no more.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Resigned,
    /// The store said so.
    Lost,
    /// It was not renewed in time.
    Lapsed,
    /// The lock is somebody else's, or gone.
    Stolen,
    /// Another manager is to be the primary.
    Dismissed,
}

impl Campaign {
    /// Runs until it is asked to resign.
    pub(super) async fn run(self) {
        let mut watch = self.lock.store.watch(self.lock.directory());
        let mut seen = Seen::nothing();
        let mut told = Told::default();
        loop {
            let Some(tenure) = self.follow(&mut watch, &mut seen, &mut told).await else {
                self.standing.follow(None);
                break;
            };
            let end = self.lead(&tenure, &mut watch, &mut told).await;
            self.fence.close();
            self.standing.follow(None);
            seen = Seen::nothing();
            match end {
                End::Resigned => {
                    self.give_back(&tenure.lease).await;
                    return;
                }
                End::Dismissed => {
                    info!("no longer the primary: another manager is called");
                    self.give_back(&tenure.lease).await;
                }
                End::Lost => warn!("no longer the primary: the store ended the lock's lease"),
                End::Lapsed => {
                    warn!("no longer the primary: the lock could not be renewed in time");
                    seen.stale = Some(tenure.lease);
                }
                End::Stolen => {
                    warn!("no longer the primary: somebody changed the lock in the store");
                    seen.stale = Some(tenure.lease);
                }
            }
        }
        if let Some(lease) = &seen.stale {
            self.give_back(lease).await;
        }
    }

    /// Follows until this manager is the primary; `None` when it is asked to resign.
    async fn follow(&self, watch: &mut Watch, seen: &mut Seen, told: &mut Told) -> Option<Tenure> {
        let mut pauses = Pauses::up_to(self.lock.ttl);
        let mut next_try = Instant::now();
        while !self.resign.is_cancelled() {
            if !self.is_called() {
                self.standing.follow(None);
                tokio::select! {
                    () = self.resign.cancelled() => {}
                    () = self.called(true) => {
                        // What was known of the lock is from another time.
                        (seen.lock, next_try) = (Sight::Unknown, Instant::now());
                        pauses.reset();
                    }
                    change = next(watch) => if change.is_ok() {
                        seen.note(change, &self.lock.leader);
                    }
                }
                continue;
            }
            self.announce(seen, told);
            let due = seen.due();
            if due && next_try <= Instant::now() {
                if let Some(tenure) = self.attempt(seen).await {
                    return Some(tenure);
                }
                self.announce(seen, told);
                self.tell_of_store(seen.failing());
                next_try = Instant::now() + pauses.next(&self.jitter);
            }
            // A watch whose connection died without a word must not leave the pool without a
            // primary: the lock is read once in its time-to-live all the same.
            let second_look = Instant::now() + self.jitter.of(seen.second_look(self.lock.ttl));
            tokio::select! {
                () = self.resign.cancelled() => {}
                () = self.called(false) => {}
                change = next(watch) => {
                    let held = seen.lock.item().is_some();
                    seen.note(change, &self.lock.leader);
                    if held && seen.lock == Sight::Free {
                        // The lock has just become free: at once, whatever failed before.
                        pauses.reset();
                        next_try = Instant::now();
                    }
                }
                () = sleep_until(if due { next_try } else { second_look }) => {
                    if !due {
                        self.look(seen).await;
                    }
                }
            }
            self.tell_of_store(seen.failing());
        }
        None
    }

    /// One attempt to be the primary, after whatever must be given back before.
    async fn attempt(&self, seen: &mut Seen) -> Option<Tenure> {
        if let Some(lease) = &seen.stale {
            match self.lock.store.revoke(lease).await {
                Ok(()) => (seen.stale, seen.lock) = (None, Sight::Unknown),
                Err(error) => {
                    seen.failed(&error);
                    return None;
                }
            }
        }
        if seen.lock == Sight::Unknown {
            self.look(seen).await;
        }
        if seen.lock != Sight::Free {
            return None;
        }
        match self.lock.take().await {
            Ok(tenure) => {
                seen.well();
                Some(tenure)
            }
            Err(Missed::Taken(lease)) => {
                seen.well();
                seen.stale = Some(lease);
                self.drop_stale(seen).await;
                None
            }
            Err(Missed::Failed(lease, error)) => {
                seen.failed(&error);
                seen.stale = lease;
                None
            }
        }
    }

    /// A lease that brought nothing goes at once, so that none piles up in the store.
    async fn drop_stale(&self, seen: &mut Seen) {
        if let Some(lease) = &seen.stale
            && self.lock.store.revoke(lease).await.is_ok()
        {
            seen.stale = None;
        }
        self.look(seen).await;
    }

    /// Reads the lock.
    async fn look(&self, seen: &mut Seen) {
        match self.lock.holder().await {
            Ok(found) => seen.looked(found),
            Err(error) => seen.failed(&error),
        }
    }

    /// Tells who is the primary, as far as this follower knows.
    fn announce(&self, seen: &Seen, told: &mut Told) {
        if seen.lock == Sight::Unknown {
            return;
        }
        if self.appointment.is_some() {
            // Who holds it is on his way out, and nobody is told of him.
            return;
        }
        let holder = seen.lock.item().map(|item| Holder::read(&item.value, &self.lock.value));
        self.standing.follow(holder.as_ref());
        if told.holder != holder {
            match &holder {
                Some(Holder::Replicated(primary)) => info!("the primary manager is {primary}"),
                Some(Holder::Ourselves) => info!(
                    "the lock of this manager's own earlier run has not run out yet; waiting for it"
                ),
                Some(Holder::Lone(_)) | None => {}
            }
            if let Some(warning) = self.standing.in_the_way() {
                warn!("{warning}");
            }
            told.holder = holder;
        }
    }

    /// The primary's life, from the taking of the lock to its end.
    async fn lead(&self, tenure: &Tenure, watch: &mut Watch, told: &mut Told) -> End {
        let lease = &tenure.lease;
        if lease.gone_after > self.lock.ttl && !std::mem::replace(&mut told.minimum, true) {
            warn!(
                "{} keeps a lock for {:?} at least: a primary that is killed is replaced after \
                 that, not after the {:?} of --replication-ttl",
                self.lock.store.describe(),
                lease.gone_after,
                self.lock.ttl
            );
        }
        self.fence.open(tenure.mandate.clone(), tenure.begun, lease.holds);
        if self.fence.left().is_none() {
            return End::Lapsed;
        }
        self.standing.lead(tenure.mandate.epoch);
        told.holder = None;
        info!(epoch = tenure.mandate.epoch.0, "this manager is the primary");
        tokio::select! {
            biased;
            () = self.resign.cancelled() => End::Resigned,
            () = self.called(false) => End::Dismissed,
            () = self.lapse() => End::Lapsed,
            () = self.theft(tenure, watch) => End::Stolen,
            () = self.renewals(tenure) => End::Lost,
        }
    }

    /// Tells whoever asks how the pool's store fails. Where managers are elected elsewhere the store is the
    /// swarm's own, which tells of itself.
    fn tell_of_store(&self, failing: Option<&str>) {
        if self.appointment.is_none() {
            self.standing.store(failing);
        }
    }

    /// Whether this manager may take the lock.
    fn is_called(&self) -> bool {
        self.appointment.as_ref().is_none_or(Appointment::is_called)
    }

    /// Ends when it may, or may not.
    async fn called(&self, is: bool) {
        match &self.appointment {
            Some(appointment) => appointment.called(is).await,
            None => std::future::pending().await,
        }
    }

    /// Ends when the fence has lapsed.
    async fn lapse(&self) {
        while let Some(left) = self.fence.left() {
            sleep(left).await;
        }
    }

    /// Renews for as long as the store has the lease.
    async fn renewals(&self, tenure: &Tenure) {
        let lease = &tenure.lease;
        let period = lease.holds / 3;
        let mut pauses = Pauses::up_to(lease.holds / 12);
        let mut begun = tenure.begun;
        loop {
            let due = begun.saturating_add(self.jitter.of(period));
            sleep(due.saturating_sub(self.lock.clock.now())).await;
            begun = loop {
                let begun = self.lock.clock.now();
                match timeout(period, self.lock.store.renew(lease)).await {
                    Ok(Ok(())) => break begun,
                    Ok(Err(StoreError::LeaseLost { .. })) => return,
                    Ok(Err(error)) => {
                        debug!(%error, "the lock was not renewed; trying again");
                        self.tell_of_store(Some(&error.to_string()));
                    }
                    Err(_) => {
                        debug!("the lock was not renewed within {period:?}; trying again");
                        self.tell_of_store(Some(&format!("no answer within {period:.1?}")));
                    }
                }
                sleep(pauses.next(&self.jitter)).await;
            };
            self.fence.extend(begun, lease.holds);
            self.tell_of_store(None);
            pauses.reset();
        }
    }

    /// Ends when the lock is not ours any more though the lease may be. The watch only says when
    /// to look: it may still tell of earlier primaries.
    async fn theft(&self, tenure: &Tenure, watch: &mut Watch) {
        let mut pauses = Pauses::up_to(tenure.lease.holds / 12);
        loop {
            let change = next(watch).await.ok();
            match change.and_then(|change| Sight::of(change, &self.lock.leader)) {
                Some(lock) if !self.lock.is_ours(lock.item(), tenure) => {}
                _ => continue,
            }
            loop {
                match self.lock.holder().await {
                    Ok(found) if self.lock.is_ours(found.as_ref(), tenure) => break,
                    Ok(_) => return,
                    Err(_) => sleep(pauses.next(&self.jitter)).await,
                }
            }
            pauses.reset();
        }
    }

    async fn give_back(&self, lease: &Lease) {
        let why = match timeout(FAREWELL, self.lock.store.revoke(lease)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {FAREWELL:?}"),
        };
        warn!("the lock is left to run out, within {:?}: {why}", lease.gone_after);
    }
}

/// The watch's next step. A watch never ends; one that does has nothing more to say.
async fn next(watch: &mut Watch) -> Result<Change, StoreError> {
    match watch.next().await {
        Some(step) => step,
        None => std::future::pending().await,
    }
}

/// What the log has been told.
#[derive(Debug, Default)]
struct Told {
    holder: Option<Holder>,
    minimum: bool,
}
