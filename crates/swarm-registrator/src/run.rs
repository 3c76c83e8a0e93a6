//! The loop: events and clocks say when to look; what is read of engine and registry says what to do.
//!
//! Engine and registry fail on their own: while the engine is away, entries are refreshed and none is
//! removed; while the registry is away, what the engine tells is noted. Each is tried again ever more rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_backoff::Trouble;
use swarm_engine::EngineClient;
use swarm_kv::StoreError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::plan::plan;
use crate::registry::{Entry, Observed, Registry};
use crate::service::{Settings, services};
use crate::watcher::{Watcher, host_name};

/// What happens in quick succession is done at once.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long taking everything out may hold up the end.
const FAREWELL: Duration = Duration::from_secs(10);
/// Where nothing is asked for by a clock.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// What becomes of the entries at a clean stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They stay, and with a TTL run out unless a registrator comes back.
    Leave,
    /// They are taken out.
    Deregister,
}

/// How a registrator is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// What services look like.
    pub settings: Settings,
    /// Entries of containers that failed stay until the container is removed.
    pub on_success: bool,
    /// Between two refreshes, where entries have a TTL.
    pub refresh: Option<Duration>,
    /// Between two readings of everything.
    pub resync: Duration,
    /// At a clean stop.
    pub on_stop: OnStop,
}

/// Registers until `stop`.
pub async fn run(
    mut watcher: Watcher,
    mut registry: Box<dyn Registry>,
    config: Config,
    stop: CancellationToken,
) {
    info!(registry = %registry.describe(), host = %config.settings.host, "registering services");
    let mut state = State::new(config);
    let work = state.work(&mut watcher, &mut *registry);
    let _ = stop.run_until_cancelled(work).await;
    if state.config.on_stop == OnStop::Deregister {
        match timeout(FAREWELL, state.leave(&mut *registry)).await {
            Ok(Ok(count)) => info!(count, "took this host's services out"),
            Ok(Err(error)) => warn!(%error, "services are left in the registry"),
            Err(_) => warn!("services are left in the registry: it is silent"),
        }
    }
}

/// The name of the engine's host, asked for until it is told; `None` after `stop`.
pub async fn host_of(engine: &EngineClient, stop: &CancellationToken) -> Option<String> {
    let mut trouble = Trouble::default();
    loop {
        let reason = match stop.run_until_cancelled(host_name(engine)).await? {
            Ok(name) if !name.is_empty() => return Some(name),
            Ok(_) => "it does not tell its host's name; give --hostname".to_owned(),
            Err(error) => error.to_string(),
        };
        if trouble.failed(&reason) {
            warn!(engine = %engine.address(), reason, "waiting for the engine");
        }
        let again = trouble.again().unwrap_or_else(Instant::now);
        stop.run_until_cancelled(sleep_until(again)).await?;
    }
}

struct State {
    config: Config,
    observed: Option<Observed>,
    engine_was_read: bool,
    changed: bool,
    engine: Trouble,
    registry: Trouble,
    refresh_at: Instant,
    resync_at: Instant,
    /// What was said of containers and services that are left out: each thing once.
    told: BTreeSet<String>,
    /// What the registry does not take, with the reason that was told.
    refused: BTreeMap<String, String>,
}

impl State {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        Self {
            refresh_at: now + config.refresh.unwrap_or(NEVER),
            resync_at: now + config.resync,
            config,
            observed: None,
            engine_was_read: false,
            changed: false,
            engine: Trouble::default(),
            registry: Trouble::default(),
            told: BTreeSet::new(),
            refused: BTreeMap::new(),
        }
    }

    async fn work(&mut self, watcher: &mut Watcher, registry: &mut dyn Registry) {
        loop {
            if self.resync_at <= Instant::now() {
                self.resync_at = Instant::now() + self.config.resync;
                watcher.mark_all();
                self.observed = None;
            }
            if self.registry.is_over() {
                if let Err(error) = self.keep(watcher, registry).await {
                    self.observed = None;
                    if self.registry.failed(&error.to_string()) {
                        warn!(%error, "the registry cannot be kept; trying again");
                    }
                } else if self.registry.worked() {
                    info!("the registry is kept again");
                }
            }
            // With the registry away everything waits for its next attempt.
            let wake = self.registry.again().unwrap_or_else(|| {
                let soon = self.resync_at.min(self.refresh_at);
                self.engine.again().map_or(soon, |again| soon.min(again))
            });
            tokio::select! {
                heard = watcher.hear() => match heard {
                    // More of the same is likely on its way.
                    Ok(()) => tokio::time::sleep(TOGETHER).await,
                    Err(reason) => self.engine_is_lost(watcher, &reason),
                },
                () = sleep_until(wake.max(Instant::now() + Duration::from_millis(1))) => {}
            }
        }
    }

    fn engine_is_lost(&mut self, watcher: &mut Watcher, reason: &str) {
        watcher.lose();
        if self.engine.failed(reason) {
            warn!(reason, "the engine is lost: what is registered stays; trying again");
        }
    }

    /// One look at everything that is due.
    async fn keep(
        &mut self,
        watcher: &mut Watcher,
        registry: &mut dyn Registry,
    ) -> Result<(), StoreError> {
        if self.refresh_at <= Instant::now() {
            if !registry.refresh().await? {
                info!("the registry has lost entries: writing them again");
                self.observed = None;
            }
            self.refresh_at = Instant::now() + self.config.refresh.unwrap_or(NEVER);
        }
        if self.observed.is_none() {
            self.observed = Some(registry.observe().await?);
            self.changed = true;
        }
        self.look(watcher).await;
        if self.changed && self.engine_was_read {
            self.reconcile(watcher, registry).await?;
            self.changed = false;
        }
        Ok(())
    }

    /// Reads the engine where something is marked.
    async fn look(&mut self, watcher: &mut Watcher) {
        if !self.engine.is_over() || (watcher.follows() && !watcher.is_marked()) {
            return;
        }
        if !watcher.follows()
            && let Err(error) = watcher.follow().await
        {
            return self.engine_is_lost(watcher, &error.to_string());
        }
        let held = self.observed.iter().flat_map(|observed| observed.held.values());
        let held = held.map(|held| held.container.clone()).collect();
        match watcher.read(&held).await {
            Ok(()) => {
                self.engine_was_read = true;
                self.changed = true;
                if self.engine.worked() {
                    info!("the engine answers again");
                }
            }
            Err(error) => self.engine_is_lost(watcher, &error.to_string()),
        }
    }

    async fn reconcile(
        &mut self,
        watcher: &Watcher,
        registry: &mut dyn Registry,
    ) -> Result<(), StoreError> {
        let wanted = self.wanted(watcher, registry);
        let spared = watcher.spared(self.config.on_success);
        let Some(observed) = &mut self.observed else { return Ok(()) };
        let plan = plan(&wanted, observed, &spared);
        let nothing = plan.is_empty();
        self.refused.retain(|key, _| wanted.contains_key(key) || observed.held.contains_key(key));
        let refused = &mut self.refused;
        let mut refuse = |key: String, reason: String| {
            if refused.get(&key) != Some(&reason) {
                warn!(service = key, reason, "not done; trying again at the next resync");
                refused.insert(key, reason);
            }
        };
        plan.refused.into_iter().for_each(|(key, reason)| refuse(key, reason));
        if nothing {
            return Ok(());
        }
        if !plan.put.is_empty() {
            let entries: Vec<Entry> = plan.put.iter().map(|(entry, _)| entry.clone()).collect();
            registry.announce(&entries).await?;
        }
        for (entry, why) in plan.put {
            match registry.put(&entry).await {
                Ok(()) => {
                    info!(service = entry.key, why, "registered");
                    let Entry { key, form, container, .. } = entry;
                    let held = crate::registry::Held { key: key.clone(), form, container };
                    observed.held.insert(key, held);
                }
                // One that the registry does not take stops no other.
                Err(error) if ends_the_look(&error) => return Err(error),
                Err(error) => refuse(entry.key, error.to_string()),
            }
        }
        for (held, why) in plan.remove {
            match registry.remove(&held).await {
                Ok(()) => {
                    info!(service = held.key, why, "taken out");
                    observed.held.remove(&held.key);
                }
                Err(error) if ends_the_look(&error) => return Err(error),
                Err(error) => refuse(held.key, error.to_string()),
            }
        }
        Ok(())
    }

    /// What is to be in the registry. Of two with one key the first is taken.
    fn wanted(&mut self, watcher: &Watcher, registry: &dyn Registry) -> BTreeMap<String, Entry> {
        let mut wanted: BTreeMap<String, Entry> = BTreeMap::new();
        let mut said = BTreeSet::new();
        for facts in watcher.known() {
            let (found, refused) = services(facts, &self.config.settings);
            let mut tell = |reason: String| {
                let line = format!("{}: {reason}", facts.name);
                if !self.told.contains(&line) {
                    warn!(container = facts.name, reason, "left out");
                }
                said.insert(line);
            };
            refused.into_iter().for_each(&mut tell);
            for service in found {
                match registry.entry(&service) {
                    Ok(entry) if wanted.contains_key(&entry.key) => {
                        tell(format!("{} is another container's already", entry.key));
                    }
                    Ok(entry) => drop(wanted.insert(entry.key.clone(), entry)),
                    Err(reason) => tell(format!("{}: {reason}", service.id)),
                }
            }
        }
        debug!(services = wanted.len(), "looked at the containers");
        self.told = said;
        wanted
    }

    /// Takes out everything of this host.
    async fn leave(&mut self, registry: &mut dyn Registry) -> Result<usize, StoreError> {
        let observed = registry.observe().await?;
        for held in observed.held.values() {
            registry.remove(held).await?;
        }
        Ok(observed.held.len())
    }
}

/// The others would fail as this one did.
fn ends_the_look(error: &StoreError) -> bool {
    error.is_passing() || matches!(error, StoreError::LeaseLost { .. })
}
