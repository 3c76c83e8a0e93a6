//! What clients want of their containers, noted where it is asked for: create, start, stop, rename,
//! update, networks, remove.
//!
//! An intent with a policy is in the store before its container is made, because a promise to move
//! it must not depend on this manager's life; the others are written behind. Nothing is noted by a
//! manager that is not primary: the primary notes what it is asked.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};
use swarm_backend::{ApiError, Result};
use swarm_core::reschedule::transition;
use swarm_docker::container::CreateBody;
use swarm_kv::StoreError;
use swarm_model::intent::LABEL_STALE;
use swarm_model::{Desired, EngineRef, FORMAT, Intent, Place, Policy, Removed, StalePolicy};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::create::Wish;
use crate::Pool;
use crate::clock;
use crate::credentials;
use crate::index::Located;
use crate::keeper::Turn;

/// How long a request waits for a primary that has just taken over to have read the store: some
/// milliseconds, where it answers. Of a swarm's leader that died the lock has to run out first.
const TAKING_OVER: Duration = Duration::from_secs(8);

/// The header with which a client lends its credentials for one registry.
const REGISTRY_AUTH: &str = "x-registry-auth";

impl Pool {
    /// Notes that a container is about to be made on `engine`. One with a policy is kept in the
    /// store before this returns.
    pub(super) async fn intend(
        &self,
        wish: &Wish,
        policy: Policy,
        engine: EngineRef,
    ) -> Result<()> {
        let state = &self.shared.state;
        let refused = |error: StoreError| {
            ApiError::unavailable(format!(
                "{} is to be rescheduled when its engine fails, and that cannot be kept: {error}; \
                 try again, or create it with -e reschedule:off",
                wish.name
            ))
        };
        if policy == Policy::Off || !self.keeps(true).await.map_err(refused)? {
            return Ok(());
        }
        let place = Place::Going { to: engine };
        let version = state.intents.set(&wish.swarm_id, self.intent(wish, policy, place));
        state.intents.stored(&wish.swarm_id, version).await.map_err(|error| {
            state.intents.delete(&wish.swarm_id);
            refused(error)
        })
    }

    /// Whether wishes are this manager's to keep, once it has read what there is to keep; an error
    /// where they are and it could not. `begins`: from now on there is something to keep.
    async fn keeps(&self, begins: bool) -> std::result::Result<bool, StoreError> {
        let state = &self.shared.state;
        if state.is_loaded() {
            return Ok(true);
        }
        let election = &self.shared.config.election;
        let until = Instant::now() + TAKING_OVER;
        if let Some(appointment) = election.appointment() {
            // Who is the primary is known here before the lock is free.
            let needed = timeout_at(until, appointment.is_needed(begins)).await;
            if needed == Ok(false) {
                return Ok(false);
            }
        } else if election.fence().mandate().is_err() {
            return Ok(false);
        }
        if state.loads_within(until - Instant::now()).await {
            return Ok(true);
        }
        let reason = "this manager has taken over and could not read the pool's store yet";
        Err(StoreError::NotPrimary { reason: reason.to_owned() })
    }

    /// Notes that the container was made. It exists whatever the store says, so a failure of the
    /// store is told in the log, and the note is tried again from there.
    pub(super) async fn intended(
        &self,
        wish: &Wish,
        policy: Policy,
        engine: EngineRef,
        container: &str,
    ) {
        let state = &self.shared.state;
        if !state.is_loaded() {
            return;
        }
        let place = Place::At { engine, container: container.to_owned() };
        if policy == Policy::Off {
            // An attempt on another engine may have been given up.
            state.removed.delete(&wish.swarm_id);
            state.intents.set(&wish.swarm_id, self.intent(wish, policy, place));
        } else if let Some(version) =
            state.intents.change(&wish.swarm_id, |intent| intent.place = place)
        {
            // Whoever leads next finds it by its label.
            if let Err(error) = state.intents.stored(&wish.swarm_id, version).await {
                warn!(container = %wish.name, %error, "where it was made is not kept yet");
            }
        }
    }

    fn intent(&self, wish: &Wish, policy: Policy, place: Place) -> Intent {
        let now = clock::now_millis() / 1_000;
        let known = self.shared.state.intents.get(&wish.swarm_id);
        Intent {
            format: FORMAT,
            id: wish.swarm_id.clone(),
            name: wish.name.clone(),
            config: wish.body.map().into(),
            platform: wish.query.get("platform").map(str::to_owned),
            version: wish.version.map(|version| version.to_string()),
            networks: Map::new(),
            credentials: self.sealed(&wish.swarm_id, wish.body.image(), &wish.headers),
            policy,
            stale: match wish.body.label(LABEL_STALE) {
                Some("keep") => StalePolicy::Keep,
                Some("remove") => StalePolicy::Remove,
                _ => self.shared.config.reschedule.stale,
            },
            desired: Desired::Created,
            generation: wish.generation,
            place,
            moves: Vec::new(),
            volumes: Vec::new(),
            created: known.map_or(now, |known| known.created),
        }
    }

    /// The credentials lent with this create, or for the last pull of its image.
    fn sealed(&self, id: &str, image: &str, headers: &HeaderMap) -> Option<String> {
        let key = self.shared.state.key()?;
        let header = headers.get(REGISTRY_AUTH).and_then(|value| value.to_str().ok());
        let header = header.filter(|text| !credentials::is_empty(text));
        let lent = match header {
            Some(header) => zeroize::Zeroizing::new(header.to_owned()),
            None => self.shared.credentials.of(image)?,
        };
        key.seal(id, &lent).ok()
    }

    /// The engine may yet make a container of which the client was told that it failed. Without a
    /// policy no intent tells the next primary of it: it is kept as removed.
    pub(super) fn keep_as_removed(&self, wish: &Wish, policy: Policy, engine: EngineRef) {
        let state = &self.shared.state;
        if policy == Policy::Off && state.is_loaded() {
            state.removed.set(&wish.swarm_id, removed(&wish.swarm_id, &wish.name, engine));
        }
    }

    /// The container is not made after all.
    pub(super) fn unintend(&self, wish: &Wish) {
        self.shared.state.intents.delete(&wish.swarm_id);
    }

    /// Notes what a client asked of a container that its engine just did. A client must not take
    /// for done what the next primary may undo: where that it is wanted has to be kept and is not,
    /// this says so.
    pub(super) async fn asked(
        &self,
        located: &Located,
        change: impl FnOnce(&mut Intent),
    ) -> Result<()> {
        self.keeps(false).await.map_err(|error| unkept(&located.id, &error))?;
        let Some(id) = self.intent_of(located) else { return Ok(()) };
        let intents = &self.shared.state.intents;
        let Some(before) = intents.get(&id) else { return Ok(()) };
        let Some(version) = intents.change(&id, change) else { return Ok(()) };
        let renamed = intents.get(&id).is_none_or(|after| after.name != before.name);
        // Whoever leads next goes by the name, also of what never moves.
        if before.policy == Policy::Off && !renamed {
            return Ok(());
        }
        let kept = intents.stored(&id, version).await;
        kept.map_err(|error| unkept(&before.name, &error))
    }

    /// The id of a container's intent.
    fn intent_of(&self, located: &Located) -> Option<String> {
        let state = &self.shared.state;
        if !state.is_loaded() {
            return None;
        }
        match &located.container {
            Some(container) => container.swarm_id().map(str::to_owned),
            None => state.intent_at(&located.id).map(|intent| intent.id.clone()),
        }
    }

    /// A client's request is at a container: the keeper leaves it alone meanwhile.
    pub(super) fn take_turn(&self, located: &Located) -> Option<Turn> {
        Some(self.shared.keeping.attempts.join(&self.intent_of(located)?))
    }

    /// A client had a container removed. One that was moved may have copies on engines that are
    /// away: that it was removed is kept before its intent goes. As in [`Self::asked`], what has to
    /// be kept and is not is told.
    pub(super) async fn unwanted(&self, located: &Located) -> Result<()> {
        self.keeps(false).await.map_err(|error| unkept(&located.id, &error))?;
        let Some(id) = self.intent_of(located) else { return Ok(()) };
        let state = &self.shared.state;
        let Some(intent) = state.intents.get(&id) else { return Ok(()) };
        let from = intent.place.engine().filter(|_| transition::may_have_copies(&intent));
        let mut kept = Ok(());
        if let Some(engine) = from {
            let removed = removed(&id, &intent.name, engine.clone());
            let version = state.removed.set(&id, removed);
            kept = state.removed.stored(&id, version).await;
        }
        let version = state.intents.delete(&id);
        if intent.policy != Policy::Off {
            kept = kept.and(state.intents.stored(&id, version).await);
        }
        kept.map_err(|error| unkept(&intent.name, &error))
    }

    /// The wanted container that a client means, where no engine that can be asked has it.
    pub(super) fn lost_container(&self, name: &str) -> Option<Arc<Intent>> {
        let intents = &self.shared.state.intents;
        let name = name.trim_start_matches('/');
        let by_name = intents.named(name);
        let found = by_name.or_else(|| {
            let is_prefix = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_prefix.then(|| {
                intents.find(|intent| match &intent.place {
                    Place::At { container, .. } => container.starts_with(name),
                    Place::Going { .. } | Place::Nowhere { .. } => false,
                })
            })?
        })?;
        self.is_lost(&found).then_some(found)
    }

    /// The engine's id of the container that is to have this name and does not yet: it was moved, and
    /// its old copy is being removed.
    pub(super) fn moved_container(&self, name: &str) -> Option<String> {
        let intent = self.shared.state.intents.named(name.trim_start_matches('/'))?;
        match &intent.place {
            Place::At { container, .. } => Some(container.clone()),
            Place::Going { .. } | Place::Nowhere { .. } => None,
        }
    }

    /// The wanted container of this name that is being made at this moment, or whose making was
    /// asked of an engine that has not answered: no engine has it yet, and it has its name.
    pub(super) fn coming_container(&self, name: &str) -> Option<Arc<Intent>> {
        let intent = self.shared.state.intents.named(name.trim_start_matches('/'))?;
        matches!(intent.place, Place::Going { .. }).then_some(intent)
    }

    /// Whether no engine of the pool has been heard of that has this container.
    pub(super) fn is_lost(&self, intent: &Intent) -> bool {
        let Some(at) = intent.place.engine() else { return true };
        if self.shared.keeping.has_departed(&at.id) {
            // With its engine it left the pool.
            return false;
        }
        !self.members.all().iter().any(|engine| {
            engine.view().identity.as_ref().is_some_and(|identity| identity.id == at.id)
        })
    }

    /// What a client is told who asks something of a container that cannot be asked.
    pub(super) fn lost_words(intent: &Intent) -> ApiError {
        let what = match &intent.place {
            Place::At { engine, .. } => format!("its engine {} cannot be reached", engine.name),
            Place::Going { to } => format!("it is being made on {}; try again later", to.name),
            Place::Nowhere { reason } => format!("it has no engine now: {reason}"),
        };
        ApiError::unavailable(format!("container {}: {what}", intent.name))
    }

    /// Removes a container that cannot be asked: nobody wants it any more, and should its engine
    /// come back with it, it goes.
    pub(super) async fn remove_lost(&self, intent: &Intent) -> Result<()> {
        let state = &self.shared.state;
        let refused = |error: StoreError| {
            ApiError::unavailable(format!("{} is not removed: {error}", intent.name))
        };
        let engine = match &intent.place {
            Place::At { engine, .. } | Place::Going { to: engine } => Some(engine.clone()),
            Place::Nowhere { .. } => intent.moves.last().map(|moved| moved.from.clone()),
        };
        if let Some(engine) = engine {
            let removed = removed(&intent.id, &intent.name, engine);
            let version = state.removed.set(&intent.id, removed);
            state.removed.stored(&intent.id, version).await.map_err(refused)?;
        }
        let version = state.intents.delete(&intent.id);
        state.intents.stored(&intent.id, version).await.map_err(refused)
    }

    /// Notes what `POST /containers/{name}/update` changed: its body names fields of `HostConfig`.
    pub(super) fn updated(intent: &mut Intent, update: &[u8]) {
        let Ok(Value::Object(update)) = serde_json::from_slice(update) else { return };
        // Zero and null mean "as it was" (Docker's `UpdateConfig`).
        let given = update.into_iter().filter(|(_, value)| {
            !(value.is_null() || value.as_i64() == Some(0) || value.as_str() == Some(""))
        });
        intent.config.edit(|config| {
            let host = config.entry("HostConfig").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(host) = host {
                host.extend(given);
            }
        });
    }
}

/// What a client is told when its engine did what it asked, and another manager may not hear of it.
fn unkept(name: &str, error: &StoreError) -> ApiError {
    ApiError::unavailable(format!(
        "{name}: its engine has done it, and that it is wanted so is not kept yet: {error}; whether \
         it stays so is not known, look before you try again"
    ))
}

/// What is kept of a container that was removed while a copy of it may be on `engine` or others.
pub(crate) fn removed(id: &str, name: &str, engine: EngineRef) -> Removed {
    Removed {
        format: FORMAT,
        id: id.to_owned(),
        name: name.to_owned(),
        engine,
        at: clock::now_millis() / 1_000,
    }
}

/// The configuration of an intent, as a create's body.
pub(crate) fn body_of(intent: &Intent) -> Result<CreateBody> {
    CreateBody::parse(intent.config.as_str().as_bytes())
}
