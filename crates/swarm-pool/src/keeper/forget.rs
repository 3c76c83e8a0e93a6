//! What was removed while its engine was away is remembered until no engine can have a copy of it.

use std::collections::HashSet;

use crate::Pool;
use crate::clock;

/// How long it is remembered at least, in seconds: an engine may still be at a request of before.
const AT_LEAST: i64 = 600;

impl Pool {
    /// Forgets removed containers of which no engine has a copy, where every engine that the pool
    /// ever had and that was not taken out of it could be looked at.
    pub(super) fn forget_removed(&self) {
        let state = &self.shared.state;
        if state.removed.len() == 0 {
            return;
        }
        let mut settled = HashSet::new();
        let mut copies = HashSet::new();
        for engine in self.members.all().iter() {
            // Asked before the view is taken: what is written meanwhile makes it unsettled.
            let is_settled = engine.is_settled();
            let view = engine.view();
            let Some(identity) = view.identity.as_ref().filter(|_| view.status.is_reachable())
            else {
                continue;
            };
            if is_settled {
                settled.insert(identity.id.clone());
            }
            let ids = view.containers.iter().filter_map(|container| container.swarm_id());
            copies.extend(ids.map(str::to_owned));
        }
        let records = state.engines.all();
        if !records.iter().all(|record| record.gone || settled.contains(&record.engine.id)) {
            return;
        }
        let now = clock::now_millis() / 1_000;
        for removed in state.removed.all() {
            if now - removed.at >= AT_LEAST && !copies.contains(&removed.id) {
                state.removed.delete(&removed.id);
            }
        }
    }
}
