//! Whether a member is a manager: as its certificate says, at the pace that the swarm wants, and what is done
//! with a store that is not needed any more.

use std::sync::Arc;
use std::time::Duration;

use swarm_ca::Role;
use tokio::time::{Instant, sleep};

use super::{Member, others};
use crate::manager::{Beginning, Manager, Seat};
use crate::pace::{self, Pace};

/// Pauses between attempts to be a manager.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// How often a manager is asked whether the others still have it.
const LOOK: Duration = Duration::from_millis(500);

impl Member {
    /// Is a manager as long as the certificate says so.
    pub(super) async fn keep_role(self: Arc<Self>, mut seat: Seat) {
        let mut identities = self.own.watch();
        let mut failed = 0_u32;
        let mut turn = None;
        loop {
            let manager = self.manager();
            match (self.role(), manager) {
                (Role::Manager, None) if self.wants_manager() => {
                    let join = others(&self.kept.lock());
                    match Manager::start(&seat, Beginning::join(join)).await {
                        Ok(manager) => {
                            tracing::info!(address = %seat.advertise, "this node is a manager");
                            *self.manager.write() = Some(manager);
                            *self.trouble.write() = None;
                            failed = 0;
                        }
                        Err(error) => {
                            failed += 1;
                            let words = error.to_string();
                            // Once for each reason: it is tried for as long as it takes.
                            if self.trouble.read().as_ref() != Some(&words) {
                                tracing::warn!(%error, "this node cannot be a manager yet");
                            }
                            *self.trouble.write() = Some(words);
                            let pause = PAUSE.0.saturating_mul(1 << failed.min(6)).min(PAUSE.1);
                            sleep(pause.mul_f64(rand::random_range(0.6..1.0))).await;
                        }
                    }
                    continue;
                }
                // The others let it go first: a store that is given up earlier may cost the quorum.
                // A certificate is a worker's only after that; and whoever is promoted again before
                // it was renewed is told by the others' store.
                (role, Some(manager)) if role == Role::Worker || manager.is_removed() => {
                    tracing::info!("this node is a manager no longer");
                    *self.manager.write() = None;
                    manager.stop().await;
                    self.forget_store().await;
                }
                (Role::Manager, Some(manager)) => {
                    let wanted = manager.pace().filter(|wanted| *wanted != seat.pace);
                    match (wanted, turn) {
                        (None, _) => {
                            turn = None;
                            self.pace_waits(None);
                        }
                        (Some(_), None) => turn = Some(pace::turn(&manager).await),
                        (Some(_), Some(due)) if due > Instant::now() => {}
                        (Some(wanted), Some(_)) => {
                            if let Some(silent) = pace::held_by(&manager).await {
                                self.pace_waits(Some(&silent));
                                turn = Some(pace::later());
                                continue;
                            }
                            self.pace_waits(None);
                            tracing::info!(pace = ?wanted, "the store is opened again with another pace");
                            (seat.pace, turn) = (wanted, None);
                            self.keep_pace(wanted);
                            *self.manager.write() = None;
                            manager.stop().await;
                            continue;
                        }
                    }
                }
                // It was made a worker before its store, damaged, could be opened.
                (Role::Worker, None) if self.trouble.read().is_some() => {
                    *self.trouble.write() = None;
                    self.forget_store().await;
                }
                // Only managers are locked; after the store is gone, whose key may be under it.
                (Role::Worker, None) if self.own.lock_key().is_some() => {
                    if let Err(error) = self.own.lock(None).await {
                        tracing::warn!(%error, "this worker's key stays locked");
                    }
                }
                _ => {}
            }
            tokio::select! {
                _ = identities.changed() => {
                    identities.mark_unchanged();
                    // With the new certificate from now on.
                    if let Some(agent) = &*self.agent.read() {
                        agent.reconnect();
                    }
                }
                () = sleep(LOOK) => {}
            }
        }
    }

    async fn forget_store(&self) {
        if let Err(error) = Manager::forget(&self.place.folder).await {
            tracing::warn!(%error, "the store that is not needed any more stays");
        }
    }

    /// Another pace waits for these managers, or for none.
    fn pace_waits(&self, silent: Option<&[String]>) {
        let mut waits = self.pace_waits.write();
        let before = waits.take();
        let Some(warning) = silent.map(pace::waiting) else { return };
        let since = before.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        // Once for each that is silent: it may be so for days.
        if before.is_none_or(|(_, told)| told != warning) {
            tracing::warn!("{}", warning.words());
        }
        *waits = Some((since, warning));
    }

    fn keep_pace(&self, pace: Pace) {
        let mut kept = self.kept.lock();
        kept.pace = pace;
        if let Err(error) = kept.save(&self.place.folder) {
            tracing::warn!(%error, "the store's pace cannot be kept");
        }
    }

    /// Whether the swarm has not said otherwise since the certificate was made.
    fn wants_manager(&self) -> bool {
        let wish = self.wishes.borrow().clone();
        wish.is_none_or(|wish| wish.role == "manager")
    }
}
