//! What is known of the engine, and telling it: to the index, the scheduler, readers and the log.

use std::sync::Arc;

use swarm_model::Availability;
use tracing::{info, warn};

use super::Worker;
use crate::engine::cache::Change;
use crate::engine::health::Transition;
use crate::engine::marks::Mark;
use crate::engine::observe::Observed;

impl Worker {
    pub(super) fn absorb(&mut self, observed: Observed) {
        let mut change = self.cache.absorb(observed);
        if self.shared.orphans.concern(self.engine.key) {
            // On their way out: what was made in their place must not share its name with them.
            let orphans = self.remove_orphans();
            change.present.retain(|container| !orphans.iter().any(|id| *id == container.id()));
            change.other |= !orphans.is_empty();
        }
        self.hide_stale(&mut change);
        if change.is_empty() {
            return;
        }
        self.shared.index.apply(self.engine.key, &change.gone, &change.present);
        self.publish();
    }

    /// Copies that were replaced while the engine was away: nobody is to find them by their name,
    /// and the keeper is told to remove them.
    fn hide_stale(&self, change: &mut Change) {
        let state = &self.shared.state;
        state.forget_superseded(change.gone.iter().map(|id| &**id));
        let Some(identity) = &self.cache.identity else { return };
        let mut stale = false;
        change.present.retain(|container| {
            let is_stale =
                state.is_superseded(container.id()) || state.is_stale(&identity.id, container);
            if is_stale {
                state.supersede(self.engine.key, container.id());
                self.shared.index.forget(self.engine.key, container.id());
                stale = true;
            }
            !is_stale
        });
        if stale {
            change.other = true;
            self.shared.keeper.notify_one();
        }
    }

    /// What a create of unknown outcome left behind; it may have been read before its create was
    /// given up, so all are looked at.
    fn remove_orphans(&self) -> Vec<String> {
        let mut orphans = Vec::new();
        for container in &*self.cache.containers() {
            if !self.shared.orphans.claim(self.engine.key, container) {
                continue;
            }
            let (engine, id) = (Arc::clone(&self.engine), container.id().to_owned());
            info!(engine = %engine.label(), id, "removing what an unanswered create left");
            self.shared.index.forget(engine.key, &id);
            orphans.push(id.clone());
            tokio::spawn(async move {
                if let Err(error) = engine.remove_fresh(&id).await {
                    warn!(engine = %engine.label(), id, %error, "cannot remove it");
                    // Then it is there for all to see.
                    engine.wrote(Mark::Container(id));
                }
            });
        }
        orphans
    }

    /// What was written up to number `upto` is in the snapshot.
    pub(super) fn read_back(&self, upto: u64) {
        // In this order: who waits for the number finds its reservation settled.
        self.shared.scheduler.read_back(self.engine.key, upto);
        self.engine.marks.done(upto);
    }

    pub(super) fn answered(&mut self) {
        let maintenance = self.cache.identity.as_ref().is_some_and(|known| known.maintenance);
        let doubted = self.health.error().is_some();
        let change = self.health.succeed(maintenance);
        if doubted && change.is_none() {
            self.publish();
        }
        self.tell(change);
    }

    /// Everything on it has been read over a new connection.
    pub(super) fn connected(&mut self) {
        if std::mem::replace(&mut self.was_connected, true) {
            self.shared.metrics.reconnects.inc();
        }
    }

    /// `reason` is the kind of failure, `why` are the words.
    pub(super) fn failed(&mut self, reason: &'static str, why: &str) {
        self.shared.metrics.failures.count("watch", reason);
        let known = self.health.error() == Some(why);
        let change = self.health.fail(why);
        if change.is_none() && !known {
            self.publish();
        }
        self.tell(change);
    }

    /// Another address has this engine's id.
    pub(super) fn refused(&mut self, why: &str) {
        let known = self.health.error() == Some(why);
        let change = self.health.refuse(why);
        if change.is_none() && !known {
            warn!(address = %self.engine.address(), error = why, "engine refused");
            self.publish();
        }
        self.tell(change);
    }

    pub(super) fn tell(&mut self, change: Option<Transition>) {
        let Some(change) = change else { return };
        self.publish();
        self.shared.changes.send_modify(|count| *count += 1);
        let name = self.engine.label();
        if let Some(error) = self.health.error() {
            warn!(engine = %name, address = %self.engine.address(),
                  from = %change.from, to = %change.to, error, "engine status");
        } else {
            info!(engine = %name, address = %self.engine.address(),
                  from = %change.from, to = %change.to, "engine status");
        }
    }

    /// Makes the newest state known to readers and to the scheduler, in that order: whoever is
    /// placed by the new summary finds the new snapshot.
    pub(super) fn publish(&mut self) {
        self.engine.publish(self.cache.view(&self.health));
        // Who is woken by the number finds it at the engine: it is given out in between.
        self.shared.seen_of(|number| self.engine.revise(number));
        let containers = self.cache.containers();
        let has = |name: &str| {
            containers.iter().any(|container| container.names().any(|known| known == name))
        };
        let summary = Arc::new(self.cache.summary(&self.health));
        if self.shared.paused.load().contains(&self.engine.address().to_string()) {
            let id = summary.id.as_str();
            self.shared.scheduler.set_availability(id, Availability::Pause);
        }
        self.shared.scheduler.publish(self.engine.key, summary, has);
    }

    pub(super) fn leave(&mut self) {
        if self.health.disconnect().is_some() {
            // That it leaves was told by who let it go.
            self.publish();
            self.shared.changes.send_modify(|count| *count += 1);
        }
        self.cache.clear();
        self.shared.index.leave(self.engine.key);
        self.shared.scheduler.remove(self.engine.key);
        if let Some(known) = self.cache.identity.take() {
            self.shared.identities.release(&known.id, self.engine.key);
        }
        self.engine.client.sever();
    }
}
