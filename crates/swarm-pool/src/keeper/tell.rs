//! What the keeper did, for people: events, log lines, and what waits and why.

use serde_json::json;
use swarm_core::reschedule::{Held, Step};
use swarm_docker::event::Event;
use swarm_model::{EngineRef, Intent};
use tracing::{info, warn};

use super::Cause;
use crate::Pool;
use crate::clock;
use crate::events::PoolEvent;

impl Pool {
    pub(super) fn tell_lost(&self, intent: &Intent, from: &EngineRef, reason: &str) {
        warn!(container = %intent.name, engine = %from.name, reason, "its engine lost it");
        let id = intent.id.clone();
        self.tell("reschedule_lost", &id, intent, Some(from), None, reason);
    }

    pub(super) fn tell_moved(&self, intent: &Intent, container: &str, cause: Cause, reason: &str) {
        self.shared.moves.moved(cause);
        let from = intent.moves.last().map(|moved| moved.from.clone());
        let to = intent.place.engine();
        info!(container = %intent.name, from = from.as_ref().map(|f| f.name.as_str()),
              to = to.map(|to| to.name.as_str()), reason, "rescheduled");
        self.tell("reschedule_moved", container, intent, from.as_ref(), to, reason);
    }

    pub(super) fn tell_failed(&self, intent: &Intent, reason: &str) {
        let to = intent.place.engine();
        self.tell("reschedule_failed", &intent.id, intent, None, to, reason);
    }

    pub(super) fn tell_stale(
        &self,
        step: &Step,
        engine: &EngineRef,
        container: &str,
        action: &'static str,
    ) {
        let attributes = json!({"name": step.name, "reason": step.reason, "from": engine.name});
        self.publish(action, container, "", &attributes, Some(engine));
    }

    fn tell(
        &self,
        action: &'static str,
        id: &str,
        intent: &Intent,
        from: Option<&EngineRef>,
        to: Option<&EngineRef>,
        reason: &str,
    ) {
        let config = intent.config.fields();
        let image = config.get("Image").and_then(|image| image.as_str()).unwrap_or("");
        let mut attributes = json!({"name": intent.name, "image": image, "reason": reason});
        if let Some(from) = from {
            attributes["from"] = from.name.as_str().into();
        }
        if let Some(to) = to {
            attributes["to"] = to.name.as_str().into();
        }
        self.publish(action, id, image, &attributes, to.or(from));
    }

    /// One event of the pool's own, in the form of `GET /events`.
    fn publish(
        &self,
        action: &'static str,
        id: &str,
        image: &str,
        attributes: &serde_json::Value,
        engine: Option<&EngineRef>,
    ) {
        self.shared.moves.count(action);
        if !self.shared.events.is_heard() {
            return;
        }
        let nanos = clock::now_nanos();
        let line = json!({
            "status": action, "id": id, "from": image, "Type": "container", "Action": action,
            "Actor": {"ID": id, "Attributes": attributes},
            "scope": "local", "time": nanos / 1_000_000_000, "timeNano": nanos,
        });
        let Ok(event) = Event::parse(line.to_string().into()) else { return };
        let engines = self.members.all();
        let node = engine.and_then(|engine| {
            let known =
                |member: &&_| crate::engine::Engine::reference(member).as_ref() == Some(engine);
            engines.iter().find(|member| known(&&***member))
        });
        // An event has a node; any engine's will do where its own has never been met.
        let Some(node) = node.or_else(|| engines.first()) else { return };
        let view = node.view();
        let Some(identity) = view.identity.clone() else { return };
        let line = identity.event_line(&event);
        self.shared.events.publish(PoolEvent { node: identity, event, line });
    }

    /// What `docker info` says of it; nothing while there is nothing to say.
    pub(crate) fn kept_rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        let counts = self.shared.moves.all();
        if !counts.is_empty() {
            let texts = counts.iter().map(|(action, count)| {
                format!("{} {count}", action.trim_start_matches("reschedule_").replace('_', " "))
            });
            rows.push(("Rescheduling", texts.collect::<Vec<_>>().join(", ")));
        }
        let held = self.shared.keeping.held();
        if let Some(first) = held.first() {
            let more = match held.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            rows.push(("Waiting", format!("{}: {}{more}", first.name, first.reason)));
        }
        rows
    }

    /// Says once of each container what it waits for.
    pub(super) fn say_what_waits(&self, held: Vec<Held>) {
        let mut known = self.shared.keeping.held.lock();
        for one in &held {
            if !known.contains(one) {
                warn!(container = %one.name, reason = %one.reason, "not rescheduled");
            }
        }
        if *known != held {
            *known = held;
            self.shared.seen();
        }
    }
}
