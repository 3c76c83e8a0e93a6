//! Nothing is given up that answered this manager within the grace; nothing that may not move is.

use swarm_model::{EngineRef, Intent, Policy};

use crate::exec::Millis;
use crate::world::GRACE;

pub(super) fn look(
    now: Millis,
    intent: &Intent,
    from: &EngineRef,
    answered: Millis,
) -> Option<String> {
    let data = intent.local_data(|_| false);
    if intent.policy == Policy::Off || intent.policy == Policy::OnNodeFailure && !data.is_empty() {
        return Some(format!("{} may not move, and is given up", intent.name));
    }
    let silence = now - answered;
    (silence < GRACE && answered > 0).then(|| {
        format!("{} is given up, and {} answered {silence} ms ago", intent.name, from.name)
    })
}
