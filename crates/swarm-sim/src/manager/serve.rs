//! What clients ask of the primary. It is written down before it is done, and the client hears of a
//! success when both are.

use std::rc::Rc;

use serde_json::{Map, json};
use swarm_core::reschedule::transition;
use swarm_model::{Desired, EngineRef, FORMAT, Intent, Place, Policy, StalePolicy};

use super::{Manager, Over};
use crate::bug::Bug;
use crate::exec::Slot;
use crate::world::World;

/// A client's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Make a container.
    Create {
        /// Its name.
        name: String,
        /// When it moves.
        policy: Policy,
        /// Whether it has data on its engine.
        data: bool,
        /// The only engine that will do.
        pin: Option<usize>,
        /// What becomes of old copies.
        stale: StalePolicy,
    },
    /// Start it.
    Start(String),
    /// Stop it.
    Stop(String),
    /// Remove it.
    Remove(String),
    /// Give it another name.
    Rename(String, String),
}

impl Op {
    fn name(&self) -> &str {
        match self {
            Self::Create { name, .. }
            | Self::Start(name)
            | Self::Stop(name)
            | Self::Remove(name)
            | Self::Rename(name, _) => name,
        }
    }
}

/// What a client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Done,
    /// Nothing was changed.
    Refused,
    /// It may be so, or become so.
    Unknown,
}

impl Manager {
    /// Takes a client's wish; the slot stays empty when this manager ends before the answer.
    pub fn submit(self: &Rc<Self>, op: Op) -> Slot<Answer> {
        let slot = Slot::default();
        let term = self.lead.borrow().as_ref().map(|lead| lead.term);
        let Some(term) = term else {
            slot.fill(Answer::Refused);
            return slot;
        };
        let (answer, this) = (slot.clone(), Rc::clone(self));
        self.world.sim.spawn(term, async move {
            let done = this.serve(&op).await;
            this.world.note(|| format!("m{} answers {op:?}: {done:?}", this.index));
            answer.fill(done.unwrap_or(Answer::Unknown));
        });
        slot
    }

    /// What a client that lists containers finds of a name.
    pub fn find(&self, slot: &str) -> Option<String> {
        let intents = self.intents.borrow();
        let mut names = intents.values().map(|(intent, _)| &intent.name);
        names.find(|name| crate::check::slot(name) == slot).cloned()
    }

    async fn serve(&self, op: &Op) -> Result<Answer, Over> {
        let named = |intent: &&(Intent, u64)| intent.0.name == op.name();
        let known = self.intents.borrow().values().find(named).map(|(intent, _)| intent.clone());
        if let Op::Create { name, .. } = op {
            if known.is_some() || !self.busy.borrow_mut().insert(name.clone()) {
                return Ok(Answer::Refused);
            }
            let done = self.create_for(op).await;
            self.busy.borrow_mut().remove(name);
            return done;
        }
        let Some(intent) = known else { return Ok(Answer::Refused) };
        if !self.busy.borrow_mut().insert(intent.id.clone()) {
            return Ok(Answer::Refused);
        }
        let done = self.ask(op, &intent).await;
        self.busy.borrow_mut().remove(&intent.id);
        done
    }

    async fn create_for(&self, op: &Op) -> Result<Answer, Over> {
        let Op::Create { name, policy, data, pin, stale } = op else { return Ok(Answer::Refused) };
        let mut config = Map::new();
        if *data {
            config.insert("HostConfig".to_owned(), json!({"Binds": ["data:/data"]}));
        }
        if let Some(pin) = pin {
            config.insert("pin".to_owned(), json!(pin));
        }
        let mut intent = Intent {
            format: FORMAT,
            id: format!("i{}", self.world.sim.term(self.index).number),
            name: name.clone(),
            config: (&config).into(),
            platform: None,
            version: None,
            networks: Map::new(),
            credentials: None,
            policy: *policy,
            stale: *stale,
            desired: Desired::Created,
            generation: 1,
            place: Place::Nowhere { reason: String::new() },
            moves: Vec::new(),
            volumes: Vec::new(),
            created: 0,
        };
        let Some(index) = self.choose(&intent, &[]) else { return Ok(Answer::Refused) };
        let engine = World::engine_ref(index);
        intent.place = Place::Going { to: engine.clone() };
        self.busy.borrow_mut().insert(intent.id.clone());
        let done = self.make(index, &engine, &intent).await;
        self.busy.borrow_mut().remove(&intent.id);
        done
    }

    async fn make(
        &self,
        index: usize,
        engine: &EngineRef,
        intent: &Intent,
    ) -> Result<Answer, Over> {
        if !self.world.has(Bug::CreateUnannounced) {
            self.write(intent.clone()).await?;
        }
        match self.create(index, intent).await? {
            Some(Ok(container)) => {
                self.write(transition::arrived(intent, engine, &container)).await?;
                Ok(Answer::Done)
            }
            Some(Err(_)) => {
                self.delete(intent, false).await?;
                Ok(Answer::Refused)
            }
            None => Ok(Answer::Unknown),
        }
    }

    async fn ask(&self, op: &Op, intent: &Intent) -> Result<Answer, Over> {
        let Place::At { engine, container } = intent.place.clone() else {
            if matches!(op, Op::Remove(_)) && matches!(intent.place, Place::Nowhere { .. }) {
                self.delete(intent, true).await?;
                return Ok(Answer::Done);
            }
            return Ok(Answer::Refused);
        };
        let index = World::engine_index(&engine);
        let healthy = self.readings.borrow()[index].healthy;
        let mut next = intent.clone();
        let id = container.clone();
        let asked = match op {
            Op::Remove(_) if !healthy => {
                self.delete(intent, true).await?;
                return Ok(Answer::Done);
            }
            _ if !healthy => return Ok(Answer::Refused),
            Op::Start(_) if self.other_runs(intent, &container).is_some() => {
                return Ok(Answer::Refused);
            }
            Op::Start(_) => {
                next.desired = Desired::Running;
                self.write(next.clone()).await?;
                return Ok(if self.start_container(&next, &engine, &container).await? {
                    Answer::Done
                } else {
                    Answer::Unknown
                });
            }
            Op::Stop(_) => {
                next.desired = Desired::Stopped;
                let late = self.world.has(Bug::AckBeforeWrite);
                if !late {
                    self.write(next.clone()).await?;
                }
                self.change(index, format!("stop {container}"), move |e| e.stop(&id)).await?
            }
            Op::Rename(_, to) => {
                next.name.clone_from(to);
                self.write(next.clone()).await?;
                let (words, to) = (format!("rename {container} to {to}"), to.clone());
                self.change(index, words, move |e| e.rename(&id, &to)).await?
            }
            Op::Remove(_) => {
                let words = format!("remove {container}");
                let done = self.change(index, words, move |e| e.remove(&id)).await?;
                if matches!(done, Some(Ok(()))) {
                    self.delete(intent, transition::may_have_copies(intent)).await?;
                }
                done
            }
            Op::Create { .. } => return Ok(Answer::Refused),
        };
        Ok(if matches!(asked, Some(Ok(()))) { Answer::Done } else { Answer::Unknown })
    }
}
