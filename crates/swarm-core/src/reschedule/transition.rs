//! How an intent is rewritten. Every change of place or generation is made here, for plans,
//! for moves that a person or a rebalance asks for, and for clients' creates.
//!
//! Invariants: the generation never falls; it rises whenever a create request may have been sent and
//! another is to follow, so that one request at most carries each generation; a move from an engine
//! that works ([`moved`]) makes its copy with the present one.

use swarm_model::{EngineRef, Intent, Moved, Place};

/// Its engine failed: nowhere now, and whatever comes back is stale. `at` is in seconds since 1970.
#[must_use]
pub fn lost(intent: &Intent, reason: &str, at: i64) -> Intent {
    let mut next = intent.clone();
    next.generation = intent.generation.saturating_add(1);
    if let Some(from) = intent.place.engine() {
        next.note(Moved { at, from: from.clone(), to: None, reason: reason.to_owned() });
    }
    next.place = Place::Nowhere { reason: reason.to_owned() };
    next
}

/// A node was found for an intent that is nowhere. Its generation rose when it was lost.
#[must_use]
pub fn going(intent: &Intent, to: &EngineRef) -> Intent {
    let mut next = intent.clone();
    if let Some(last) = next.moves.last_mut() {
        last.to.get_or_insert_with(|| to.clone());
    }
    next.place = Place::Going { to: to.clone() };
    next
}

/// It moves from an engine that works, because somebody wants it elsewhere: its copy there is stale
/// from this write on, and is removed when the new one is ready.
#[must_use]
pub fn moving(intent: &Intent, to: &EngineRef, reason: &str, at: i64) -> Intent {
    going(&lost(intent, reason, at), to)
}

/// It was moved off an engine that works: the copy that was made beside the old one is the one that
/// is wanted from this write on, and the old one is removed.
///
/// Both carry the same generation, so that until this write the copy is the one too many: whoever
/// leads then removes it and the old one goes on, whatever has become of the move.
#[must_use]
pub fn moved(intent: &Intent, to: &EngineRef, container: &str, reason: &str, at: i64) -> Intent {
    let mut next = arrived(intent, to, container);
    if let Some(from) = intent.place.engine() {
        let (from, to, reason) = (from.clone(), Some(to.clone()), reason.to_owned());
        next.note(Moved { at, from, to, reason });
    }
    next
}

/// It is there.
#[must_use]
pub fn arrived(intent: &Intent, engine: &EngineRef, container: &str) -> Intent {
    let mut next = intent.clone();
    next.place = Place::At { engine: engine.clone(), container: container.to_owned() };
    next
}

/// The create did not happen, or will be taken for stale when it did. `None` when the intent is to
/// be deleted: it never was anywhere, so no client was ever told of a success.
#[must_use]
pub fn abandoned(intent: &Intent, reason: &str) -> Option<Intent> {
    if intent.moves.is_empty() {
        return None;
    }
    let mut next = intent.clone();
    next.generation = intent.generation.saturating_add(1);
    if let Some(last) = next.moves.last_mut() {
        last.to = None;
    }
    next.place = Place::Nowhere { reason: reason.to_owned() };
    Some(next)
}

/// The create failed on one engine and is tried on the next, for a client that waits: the next
/// request has the next generation.
#[must_use]
pub fn retried(intent: &Intent, to: &EngineRef) -> Intent {
    let mut next = going(intent, to);
    next.generation = intent.generation.saturating_add(1);
    next
}

/// Whether engines that are away may hold copies of an earlier generation. An intent that is
/// deleted leaves a `Removed` behind when this is so.
pub fn may_have_copies(intent: &Intent) -> bool {
    intent.generation > 1 || !intent.moves.is_empty()
}

/// The name of a new copy for as long as an old one has the container's own: while a container that
/// works is moved.
pub fn next_name(name: &str) -> String {
    format!("{name}-next")
}

/// The name under which an old copy is set aside ([`swarm_model::StalePolicy::Keep`]). The engine's
/// id of it is in it, for an engine may keep copies of several containers that had one name.
pub fn aside(name: &str, generation: u64, container: &str) -> String {
    format!("{name}{}", aside_ending(generation, container))
}

/// Whether this is the name of such a copy.
pub fn is_aside(name: &str, generation: u64, container: &str) -> bool {
    let ending = aside_ending(generation, container);
    name.strip_suffix(&ending).is_some_and(|name| !name.is_empty())
}

fn aside_ending(generation: u64, container: &str) -> String {
    let short = container.get(..12).unwrap_or(container);
    format!(".stale-{generation}-{short}")
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
