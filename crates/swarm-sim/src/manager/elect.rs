//! Leadership: a lock bound to a lease, an epoch that guards every write, and a fence in time.
//!
//! Invariant: `fence` is the moment at which the last renewal that succeeded was *begun*, plus what
//! the lease holds, so that it never is later than the store's own idea.

use std::collections::BTreeMap;
use std::rc::Rc;

use swarm_model::{Intent, Removed};

use super::{Lead, Manager};
use crate::bug::Bug;
use crate::exec::Millis;
use crate::store::{Expect, Refused, Value};
use crate::world::{Node, TTL};

/// Between two looks at whether the store has intents that the memory has not.
const AUDIT: Millis = 15_000;

impl Manager {
    /// Campaigns for ever.
    pub(super) async fn campaign(self: Rc<Self>) {
        loop {
            let pause = self.world.sim.between(200..1_500);
            self.world.sim.sleep(pause).await;
            if let Some((lease, fence)) = self.lock().await {
                self.reign(lease, fence).await;
            }
        }
    }

    /// Tries for the lock; the answer is the lease and the first fence.
    async fn lock(&self) -> Option<(u64, Millis)> {
        let began = self.now();
        let grant = |world: &crate::world::World| {
            let now = world.sim.now();
            world.store.borrow_mut().grant(now, TTL)
        };
        let lease = self.world.call(self.me(), Node::Store, grant).await?;
        let put = move |world: &crate::world::World| {
            world.store_put("leader", Value::Lock(lease), Expect::Absent, Some(lease), None)
        };
        let taken = self.world.call(self.me(), Node::Store, put).await;
        if matches!(taken, Some(Err(_))) {
            return None;
        }
        if taken.is_none() {
            // It may have been written all the same.
            let (value, _) = self.read("leader").await??;
            if value != Value::Lock(lease) {
                return None;
            }
        }
        Some((lease, began + TTL))
    }

    async fn read(&self, key: &'static str) -> Option<Option<(Value, u64)>> {
        let get = move |world: &crate::world::World| {
            world.store.borrow_mut().expire(world.sim.now());
            world.store.borrow().get(key)
        };
        self.world.call(self.me(), Node::Store, get).await
    }

    /// Counts the epoch up; the answer is its revision, which guards the writes to come.
    async fn open_epoch(&self, lease: u64) -> Option<u64> {
        loop {
            let before = self.read("epoch").await?;
            let (number, expect) = match before {
                Some((Value::Epoch(_, of), revision)) if of == lease => return Some(revision),
                Some((Value::Epoch(number, _), revision)) => (number, Expect::Revision(revision)),
                _ => (0, Expect::Absent),
            };
            let put = move |world: &crate::world::World| {
                let value = Value::Epoch(number + 1, lease);
                world.store_put("epoch", value, expect, None, None)
            };
            match self.world.call(self.me(), Node::Store, put).await {
                Some(Ok(revision)) => return Some(revision),
                Some(Err(Refused::Conflict)) | None => {}
                Some(Err(_)) => return None,
            }
        }
    }

    /// Is primary for as long as the lease can be renewed.
    async fn reign(self: &Rc<Self>, lease: u64, fence: Millis) {
        let Some(revision) = self.open_epoch(lease).await else { return };
        if self.now() >= fence {
            return;
        }
        let term = self.world.sim.term(self.index);
        let guard = ("epoch".to_owned(), revision);
        *self.lead.borrow_mut() = Some(Lead { term, lease, guard, fence, loaded: false });
        self.world.note(|| format!("m{} leads with lease {lease}", self.index));
        self.world.sim.spawn(term, Rc::clone(self).load_and_act());
        loop {
            let due = self.lead.borrow().as_ref().map(|lead| lead.fence);
            let Some(due) = due else { return };
            if self.now() >= due {
                return self.step_down("the fence is reached");
            }
            let began = self.now();
            let renew = move |world: &crate::world::World| {
                let now = world.sim.now();
                let mut store = world.store.borrow_mut();
                store.expire(now);
                store.renew(lease, now)
            };
            match self.world.call(self.me(), Node::Store, renew).await {
                Some(Err(_)) => return self.step_down("the lease is over"),
                Some(Ok(())) => {
                    // A late answer must not bring a fence back that was reached meanwhile.
                    let now = self.now();
                    match self.lead.borrow_mut().as_mut() {
                        Some(lead) if now < lead.fence => lead.fence = began + TTL,
                        _ => {}
                    }
                }
                None => continue,
            }
            let left = TTL / 3;
            self.world.sim.sleep(left).await;
        }
    }

    /// Reads what the store has, then acts.
    async fn load_and_act(self: Rc<Self>) {
        while !self.load().await {
            self.world.sim.sleep(300).await;
        }
        let now = self.now();
        if let Some(lead) = self.lead.borrow_mut().as_mut() {
            lead.loaded = true;
        }
        self.watching_since.set(now);
        for touched in self.touched.borrow_mut().iter_mut() {
            *touched = now;
        }
        self.world.note(|| format!("m{} has read the store", self.index));
        let term = self.lead.borrow().as_ref().map(|lead| lead.term);
        if let Some(term) = term.filter(|_| !self.world.has(Bug::NeverAudit)) {
            self.world.sim.spawn(term, Rc::clone(&self).audit());
        }
        self.act().await;
    }

    async fn list_intents(&self) -> Option<BTreeMap<String, (Intent, u64)>> {
        let list = |world: &crate::world::World| world.store.borrow().list("intents/");
        let rows = self.world.call(self.me(), Node::Store, list).await?;
        let intents = rows.into_iter().filter_map(|(_, value, revision)| match value {
            Value::Intent(intent) => Some((intent.id.clone(), (*intent, revision))),
            _ => None,
        });
        Some(intents.collect())
    }

    /// Finds intents that a late write brought back after they were deleted: such a write depends on
    /// the key's absence only, and the memory knows nothing of it.
    pub(super) async fn audit(self: Rc<Self>) {
        loop {
            self.world.sim.sleep(AUDIT).await;
            let deleted = self.deleted.get();
            let Some(rows) = self.list_intents().await else { continue };
            if self.deleted.get() != deleted {
                continue;
            }
            for (id, row) in rows {
                if !self.busy.borrow().contains(&id) {
                    self.intents.borrow_mut().entry(id).or_insert(row);
                }
            }
        }
    }

    /// Takes over what the store has; what is under way here stays as it is.
    pub(super) async fn load(&self) -> bool {
        let list = |directory: &'static str| {
            move |world: &crate::world::World| world.store.borrow().list(directory)
        };
        let Some(intents) = self.list_intents().await else { return false };
        let removed = self.world.call(self.me(), Node::Store, list("removed/")).await;
        let Some(removed) = removed else { return false };
        *self.intents.borrow_mut() = intents;
        let removed = removed.into_iter().filter_map(|(_, value, _)| match value {
            Value::Removed(removed) => Some((removed.id.clone(), removed)),
            _ => None,
        });
        let removed: BTreeMap<String, Removed> = removed.collect();
        *self.removed.borrow_mut() = removed;
        true
    }
}
