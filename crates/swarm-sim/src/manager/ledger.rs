//! Writes to the store, each dependent on what was written before and on the epoch.
//!
//! Invariant: the memory shows what the store has, or what it had before a write that is under way.

use swarm_model::{EngineRef, FORMAT, Intent, Removed};

use super::{Manager, Over};
use crate::bug::Bug;
use crate::store::{Expect, Guard, Refused, Value};
use crate::world::{Node, World};

impl Manager {
    fn guard(&self) -> Result<(Option<Guard>, bool), Over> {
        let lead = self.lead.borrow();
        let lead = lead.as_ref().ok_or(Over)?;
        let unguarded = self.world.has(Bug::WriteUnguarded);
        Ok(((!unguarded).then(|| lead.guard.clone()), unguarded))
    }

    /// The intent as it is known here.
    pub(super) fn intent(&self, id: &str) -> Option<Intent> {
        self.intents.borrow().get(id).map(|(intent, _)| intent.clone())
    }

    /// Writes an intent, for as long as it takes.
    pub(super) async fn write(&self, next: Intent) -> Result<(), Over> {
        let key = format!("intents/{}", next.id);
        let known = self.intents.borrow().get(&next.id).map(|(_, revision)| *revision);
        if let Some(engine) = next.place.engine() {
            self.touched.borrow_mut()[World::engine_index(engine)] = self.now();
        }
        loop {
            let (guard, unguarded) = self.guard()?;
            let expect = match known {
                _ if unguarded => Expect::Anything,
                Some(revision) => Expect::Revision(revision),
                None => Expect::Absent,
            };
            let (to, value) = (key.clone(), Value::Intent(Box::new(next.clone())));
            let put =
                move |world: &World| world.store_put(&to, value, expect, None, guard.as_ref());
            let mut revision = match self.world.call(self.me(), Node::Store, put).await {
                Some(Ok(revision)) => Some(revision),
                Some(Err(Refused::Conflict)) | None => None,
                Some(Err(_)) => {
                    self.step_down("another manager has taken over");
                    return Err(Over);
                }
            };
            if revision.is_none() {
                // It may have been written all the same: the store tells.
                let to = key.clone();
                let get = move |world: &World| world.store.borrow().get(&to);
                match self.world.call(self.me(), Node::Store, get).await {
                    Some(Some((Value::Intent(there), at))) if *there == next => revision = Some(at),
                    Some(there) if there.as_ref().map(|(_, at)| *at) != known => {
                        self.step_down("somebody else wrote an intent");
                        return Err(Over);
                    }
                    _ => {}
                }
            }
            if let Some(revision) = revision {
                if let Some(engine) = next.place.engine() {
                    self.touched.borrow_mut()[World::engine_index(engine)] = self.now();
                }
                self.intents.borrow_mut().insert(next.id.clone(), (next, revision));
                return Ok(());
            }
            self.world.sim.sleep(200).await;
        }
    }

    /// Deletes an intent, for as long as it takes; with `remember`, keeps first that it was removed.
    pub(super) async fn delete(&self, intent: &Intent, remember: bool) -> Result<(), Over> {
        if remember && !self.world.has(Bug::ForgetRemoved) {
            self.remember(intent).await?;
        }
        let key = format!("intents/{}", intent.id);
        loop {
            let (guard, _) = self.guard()?;
            let known = self.intents.borrow().get(&intent.id).map(|(_, revision)| *revision);
            let Some(known) = known else { return Ok(()) };
            let to = key.clone();
            self.deleted.set(self.deleted.get() + 1);
            let delete = move |world: &World| {
                world.store_delete(&to, Expect::Revision(known), guard.as_ref())
            };
            match self.world.call(self.me(), Node::Store, delete).await {
                Some(Ok(())) => {
                    self.deleted.set(self.deleted.get() + 1);
                    self.intents.borrow_mut().remove(&intent.id);
                    return Ok(());
                }
                Some(Err(_)) => {
                    self.step_down("another manager has taken over");
                    return Err(Over);
                }
                None => self.world.sim.sleep(200).await,
            }
        }
    }

    async fn remember(&self, intent: &Intent) -> Result<(), Over> {
        let nowhere = EngineRef { id: "-".to_owned(), name: "-".to_owned() };
        let removed = Removed {
            format: FORMAT,
            id: intent.id.clone(),
            name: intent.name.clone(),
            engine: intent.place.engine().cloned().unwrap_or(nowhere),
            at: 0,
        };
        loop {
            let (guard, _) = self.guard()?;
            let (key, value) = (format!("removed/{}", intent.id), Value::Removed(removed.clone()));
            let put = move |world: &World| {
                world.store_put(&key, value, Expect::Anything, None, guard.as_ref())
            };
            match self.world.call(self.me(), Node::Store, put).await {
                Some(Ok(_)) => {
                    self.removed.borrow_mut().insert(intent.id.clone(), removed);
                    return Ok(());
                }
                Some(Err(_)) => {
                    self.step_down("another manager has taken over");
                    return Err(Over);
                }
                None => self.world.sim.sleep(200).await,
            }
        }
    }
}
