//! A move that a person or a rebalance asks for: the new copy is made first, and with `start_first`
//! it runs before the old one is stopped. The old copy is the next plan's to remove.

use std::rc::Rc;

use swarm_core::reschedule::transition;
use swarm_model::{Desired, Intent, Place};

use super::{Manager, Over};
use crate::world::World;

impl Manager {
    /// Moves some container off its engine, if there is one that may; who asks does not wait.
    pub fn relocate(self: &Rc<Self>, start_first: bool) {
        let term = self.lead.borrow().as_ref().map(|lead| lead.term);
        let (Some(term), Some((intent, to))) = (term, self.one_to_move()) else { return };
        if !self.busy.borrow_mut().insert(intent.id.clone()) {
            return;
        }
        let this = Rc::clone(self);
        self.world.sim.spawn(term, async move {
            let done = this.relocate_to(&intent, to, start_first).await;
            this.world.note(|| format!("m{} moved {}: {done:?}", this.index, intent.name));
            this.busy.borrow_mut().remove(&intent.id);
        });
    }

    fn one_to_move(&self) -> Option<(Intent, usize)> {
        let intents = self.intents.borrow();
        let mut movable = intents.values().filter_map(|(intent, _)| {
            let Place::At { engine, .. } = &intent.place else { return None };
            let data = intent.local_data(|_| false);
            let pinned = intent.config.fields().contains_key("pin");
            let kept = intent.policy == swarm_model::Policy::Off || !data.is_empty() || pinned;
            let healthy = self.readings.borrow()[World::engine_index(engine)].healthy;
            let to = self.choose(intent, std::slice::from_ref(engine))?;
            (!kept && healthy).then(|| (intent.clone(), to))
        });
        movable.next()
    }

    async fn relocate_to(
        &self,
        intent: &Intent,
        index: usize,
        start_first: bool,
    ) -> Result<bool, Over> {
        let engine = World::engine_ref(index);
        let going = transition::moving(intent, &engine, "a person wants it elsewhere", 0);
        self.write(going.clone()).await?;
        let Some(Ok(container)) = self.create(index, &going).await? else { return Ok(false) };
        let there = transition::arrived(&going, &engine, &container);
        self.write(there.clone()).await?;
        if start_first && there.desired == Desired::Running {
            let words = format!("start {container} before the old copy stops");
            let done = self.change(index, words, move |e| e.start(&container)).await?;
            return Ok(matches!(done, Some(Ok(()))));
        }
        Ok(true)
    }
}
