//! The planner's view of the pool: intents first, then engines, so that an engine that counts as
//! read shows what the intents of this view speak of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use swarm_core::placement::request::Request;
use swarm_core::reschedule::{
    ContainerView, EngineView, Millis, Plan, Registration, Settings, State, View, transition,
};
use swarm_discovery::{DiscoveryBackend, Entry};
use swarm_docker::container::State as Running;
use swarm_model::{EngineRef, Intent};

use crate::Pool;
use crate::backend::intents::body_of;
use crate::engine::{Container, Engine, Objects};

/// How many engines' registrations are asked for at once.
const ASKED_AT_ONCE: usize = 32;
/// How long the store may take to tell of one.
const DEADLINE: Duration = Duration::from_secs(5);

/// One engine, owned.
struct Seen {
    engine: EngineRef,
    state: Is,
    registration: Registration,
    containers: Objects<Container>,
}

enum Is {
    Healthy { settled: bool },
    Silent { since: Millis, error: String },
    Unknown { since: Millis },
    Gone,
}

impl Pool {
    /// Looks, and has `plan` say what to do.
    pub(super) async fn look(
        &self,
        discovery: &Arc<dyn DiscoveryBackend>,
        plan: impl for<'v> Fn(&'v View<'v>) -> Plan,
    ) -> Plan {
        let state = &self.shared.state;
        let keeping = &self.shared.keeping;
        let intents = state.intents.all();
        let mut engines = self.engines_seen(&intents);
        self.ask_registrations(discovery, &mut engines).await;
        let attempts = keeping.attempts.snapshot();

        let known: HashSet<&str> = intents.iter().map(|intent| intent.id.as_str()).collect();
        let any_removed = state.removed.len() > 0;
        let is_kept =
            |id: &str| known.contains(id) || (any_removed && state.removed.get(id).is_some());
        let containers: Vec<Vec<ContainerView<'_>>> = engines
            .iter()
            .map(|seen| {
                seen.containers.iter().filter_map(|c| container_view(c, &is_kept)).collect()
            })
            .collect();
        let views: Vec<EngineView<'_>> = engines
            .iter()
            .zip(&containers)
            .map(|(seen, containers)| EngineView {
                engine: &seen.engine,
                state: match &seen.state {
                    Is::Healthy { settled } => State::Healthy { settled: *settled },
                    Is::Silent { since, error } => State::Silent { since: *since, error },
                    Is::Unknown { since } => State::Unknown { since: *since },
                    Is::Gone => State::Gone,
                },
                registration: seen.registration,
                containers,
            })
            .collect();
        let wanted: Vec<&Intent> = intents.iter().map(|intent| &**intent).collect();
        let view = View {
            now: keeping.now(),
            watching_since: *keeping.watching_since.lock(),
            settings: Settings {
                grace: self.shared.config.reschedule.grace,
                ..Settings::default()
            },
            intents: &wanted,
            engines: &views,
            attempt: &|id| attempts.of(id),
            removed: &|id| any_removed && state.removed.get(id).is_some(),
            shared_volume: &|name| self.is_shared_volume(name),
            suitable: &|intent| self.would_fit(intent),
        };
        plan(&view)
    }

    /// All engines of the pool that are known by their id, and those that intents name.
    fn engines_seen(&self, intents: &[Arc<Intent>]) -> Vec<Seen> {
        let keeping = &self.shared.keeping;
        let now = keeping.now();
        let mut silent = keeping.silent.lock();
        let mut seen = Vec::new();
        let mut known = HashSet::new();
        for engine in self.members.all().iter() {
            // What is written while this is looked at makes it unsettled: asked first.
            let settled = engine.is_settled();
            let view = engine.view();
            let Some(reference) = engine.reference() else { continue };
            known.insert(reference.id.clone());
            let is = if view.status.is_reachable() {
                silent.remove(&reference.id);
                Is::Healthy { settled }
            } else {
                let since = *silent.entry(reference.id.clone()).or_insert(now);
                let error = view.error.as_deref().unwrap_or("no answer").to_owned();
                Is::Silent { since, error }
            };
            let containers = Arc::clone(&view.containers);
            let registration = Registration::NotApplicable;
            seen.push(Seen { engine: reference, state: is, registration, containers });
        }
        let mut away: HashMap<&str, &EngineRef> = HashMap::new();
        for engine in intents.iter().filter_map(|intent| intent.place.engine()) {
            if !known.contains(&engine.id) {
                away.insert(&engine.id, engine);
            }
        }
        for engine in away.into_values() {
            let since = *silent.entry(engine.id.clone()).or_insert(now);
            let gone = self.shared.state.engines.get(&engine.id).is_some_and(|record| record.gone);
            seen.push(Seen {
                engine: engine.clone(),
                state: if gone { Is::Gone } else { Is::Unknown { since } },
                registration: Registration::NotApplicable,
                containers: Objects::default(),
            });
        }
        seen.sort_by(|a, b| a.engine.id.cmp(&b.engine.id));
        seen
    }

    /// What discovery says of the engines that do not answer.
    async fn ask_registrations(&self, discovery: &Arc<dyn DiscoveryBackend>, engines: &mut [Seen]) {
        let addresses: HashMap<String, Arc<Engine>> = self
            .members
            .all()
            .iter()
            .filter_map(|engine| Some((engine.reference()?.id, Arc::clone(engine))))
            .collect();
        let asked = engines.iter_mut().filter_map(|seen| {
            if matches!(seen.state, Is::Healthy { .. } | Is::Gone) {
                return None;
            }
            let address = match addresses.get(&seen.engine.id) {
                Some(engine) => engine.view().address.to_string(),
                None => self.shared.state.engines.get(&seen.engine.id)?.address.clone(),
            };
            Some((seen, Entry::kept(&address).ok()?))
        });
        let departed = parking_lot::Mutex::new(HashSet::new());
        futures_util::stream::iter(asked)
            .for_each_concurrent(ASKED_AT_ONCE, async |(seen, entry)| {
                if matches!(seen.state, Is::Unknown { .. })
                    && !self.members.is_named(&entry.to_string())
                    && matches!(
                        tokio::time::timeout(DEADLINE, discovery.has_left(&entry)).await,
                        Ok(Ok(true))
                    )
                {
                    // It was taken out of the pool with what is on it: nobody knows how that is,
                    // and nothing is done about it until it is back.
                    departed.lock().insert(seen.engine.id.clone());
                    seen.state = Is::Healthy { settled: false };
                    return;
                }
                let answer = tokio::time::timeout(DEADLINE, discovery.registration(&entry)).await;
                seen.registration = match answer {
                    Ok(Ok(known)) => registration(known),
                    Ok(Err(_)) | Err(_) => Registration::StoreUnavailable,
                };
            })
            .await;
        let departed = departed.into_inner();
        let mut known = self.shared.keeping.departed.lock();
        // Seen to leave, or said to have left; whoever is back is neither.
        let back = |id: &String| {
            engines.iter().any(|seen| seen.engine.id == *id && addresses.contains_key(id))
        };
        known.retain(|id| !back(id));
        known.extend(departed);
        for seen in engines.iter_mut().filter(|seen| known.contains(&seen.engine.id)) {
            seen.state = Is::Healthy { settled: false };
        }
    }

    /// Whether placement would find a node for it now.
    fn would_fit(&self, intent: &Intent) -> Result<(), String> {
        let fits = || {
            let mut body = body_of(intent)?;
            let mut request = Request::default();
            body.edit(|body| {
                request = Request::from_create_body(&intent.name, body)
                    .map_err(|error| swarm_backend::ApiError::invalid(error.to_string()))?;
                Ok::<_, swarm_backend::ApiError>(())
            })?;
            self.shared.scheduler.would_fit(&self.shared.index, &request)
        };
        fits().map_err(|error| error.message)
    }

    /// Whether a volume is a plugin's, and so the same data on every engine.
    pub(super) fn is_shared_volume(&self, name: &str) -> bool {
        self.members.all().iter().any(|engine| {
            engine.view().volumes.iter().any(|volume| *volume.name == *name && !volume.is_local())
        })
    }
}

fn container_view<'c>(
    container: &'c Container,
    is_kept: &impl Fn(&str) -> bool,
) -> Option<ContainerView<'c>> {
    let intent = container.swarm_id().filter(|id| is_kept(id))?;
    let name = container.names().next().unwrap_or_default();
    if transition::is_aside(name, container.generation(), container.id()) {
        return None;
    }
    let state = container.entry.state().state;
    Some(ContainerView {
        id: container.id(),
        name,
        intent,
        generation: container.generation(),
        running: matches!(state, Running::Running | Running::Restarting | Running::Paused),
        ever_started: !container.is_fresh(),
    })
}

fn registration(known: swarm_discovery::Registration) -> Registration {
    match known {
        swarm_discovery::Registration::Fixed => Registration::NotApplicable,
        swarm_discovery::Registration::Absent => Registration::Absent,
        swarm_discovery::Registration::Renewed(ago) => Registration::Renewed { ago, ttl: None },
        swarm_discovery::Registration::Present => Registration::Present,
        swarm_discovery::Registration::Down => Registration::Down,
    }
}
