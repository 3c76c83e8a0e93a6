//! The loop: events and clocks say when to look; what is seen says what the configuration is to be.
//!
//! Looking, putting in place and telling the proxy fail on their own, and each is tried again ever more
//! rarely; whatever fails, the last good configuration stays.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use swarm_backoff::Trouble;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::place::{NotPlaced, Placed, place};
use crate::reload::Reload;
use crate::shell::shell;
use crate::sight::Sight;
use crate::template::Template;
use crate::watcher::Watcher;

/// A pool tells an event before its lists show it, at times: one more look follows each that an event
/// asked for.
const AFTER: Duration = Duration::from_secs(2);
/// Tasks on other nodes tell nothing of themselves, nor do nodes: with services there is a look this
/// often, and with nodes alone they are asked for, and looked at when one has changed.
const QUIET: Duration = Duration::from_secs(5);
/// Between looks while the endpoint has nodes that it has not read.
const UNREAD: Duration = Duration::from_secs(1);
/// How long such nodes are waited for.
const SETTLED: Duration = Duration::from_mins(1);
/// A child that lived so long ended for another reason than its start.
const STEADY: Duration = Duration::from_mins(1);
/// No loop is quicker.
const BREATH: Duration = Duration::from_millis(1);

/// How the proxy's configuration is kept.
#[derive(Debug)]
pub struct Config {
    /// Where it is.
    pub path: PathBuf,
    /// What must say yes to it; `None`: nobody.
    pub check: Option<String>,
    /// How the proxy is told.
    pub reload: Reload,
    /// So long nothing may happen before a look.
    pub wait: Duration,
    /// So long a look is put off by more that happens.
    pub max_wait: Duration,
    /// Between two looks where nothing happens.
    pub resync: Duration,
}

/// Why one look at a time was not enough.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The endpoint does not answer.
    #[error("cannot look at {address}")]
    Look {
        /// Where it is.
        address: String,
        /// Why.
        #[source]
        source: swarm_engine::EngineError,
    },
    /// The endpoint does not know its own nodes yet.
    #[error("{0}")]
    Unread(String),
    /// The template.
    #[error(transparent)]
    Template(#[from] crate::template::BadTemplate),
    /// The configuration.
    #[error("the configuration is not put in place: {0}")]
    Place(#[from] NotPlaced),
    /// The proxy.
    #[error("the configuration is in place, and the proxy was not told: {0}")]
    Reload(String),
}

/// What the template makes of one look.
pub async fn rendered(watcher: &mut Watcher, template: &Template) -> Result<String, NotDone> {
    let address = watcher.address();
    let seen = watcher.look().await.map_err(|source| NotDone::Look { address, source })?;
    if let Some(reason) = unread(&seen) {
        return Err(NotDone::Unread(reason));
    }
    let (text, refused) = template.render(seen)?;
    tell(&mut BTreeSet::new(), refused);
    Ok(text)
}

/// One look, and what follows from it; the proxy is told only of a change.
pub async fn once(
    watcher: &mut Watcher,
    template: &Template,
    mut config: Config,
) -> Result<Placed, NotDone> {
    let text = rendered(watcher, template).await?;
    let placed = place(&config.path, &text, config.check.as_deref()).await?;
    if placed == Placed::Changed {
        config.reload.reload(&config.path).await.map_err(NotDone::Reload)?;
    }
    Ok(placed)
}

/// Keeps the configuration until `stop`.
pub async fn run(watcher: Watcher, template: Template, config: Config, stop: CancellationToken) {
    info!(endpoint = watcher.address(), config = %config.path.display(), "keeping the configuration");
    let mut state = State::new(watcher, template, config);
    let work = state.work();
    let _ = stop.run_until_cancelled(work).await;
    state.config.reload.stop().await;
}

/// Why what is seen is not all there is.
fn unread(seen: &Sight) -> Option<String> {
    match (seen.nodes.len(), seen.unread()) {
        (0, _) => Some("the endpoint knows no nodes yet".to_owned()),
        (_, 0) => None,
        (all, unread) => Some(format!("the endpoint has not read {unread} of its {all} nodes yet")),
    }
}

/// Tells what is left out, each thing once as long as it is.
fn tell(told: &mut BTreeSet<String>, refused: Vec<(String, String)>) {
    let mut said = BTreeSet::new();
    for (name, reason) in refused {
        let line = format!("{name}: {reason}");
        if !told.contains(&line) {
            warn!(name, reason, "left out");
        }
        said.insert(line);
    }
    *told = said;
}

struct State {
    watcher: Watcher,
    template: Template,
    config: Config,
    endpoint: Trouble,
    placing: Trouble,
    telling: Trouble,
    /// What the file is to hold.
    wanted: Option<String>,
    /// The proxy may not know of the file as it is.
    untold: bool,
    look_at: Instant,
    /// When nodes are asked for.
    nodes_at: Instant,
    /// Since when the endpoint has unread nodes.
    unread_since: Option<Instant>,
    /// Since when a child runs.
    alive_since: Option<Instant>,
    told: BTreeSet<String>,
    bad: Option<String>,
}

impl State {
    fn new(watcher: Watcher, template: Template, config: Config) -> Self {
        Self {
            watcher,
            template,
            config,
            endpoint: Trouble::default(),
            placing: Trouble::default(),
            telling: Trouble::default(),
            wanted: None,
            untold: false,
            look_at: Instant::now(),
            nodes_at: Instant::now() + QUIET,
            unread_since: None,
            alive_since: None,
            told: BTreeSet::new(),
            bad: None,
        }
    }

    async fn work(&mut self) {
        self.begin().await;
        loop {
            if self.endpoint.is_over() {
                if self.nodes_at <= Instant::now() {
                    self.ask_for_nodes().await;
                }
                if self.look_at <= Instant::now() {
                    self.look().await;
                }
            }
            if self.placing.is_over() {
                self.put().await;
            }
            if self.untold && self.telling.is_over() {
                self.tell_proxy().await;
            }
            let look = self.look_at.min(self.nodes_at);
            let look = self.endpoint.again().map_or(look, |again| again.max(look));
            let placing = self.placing.again().filter(|_| self.wanted.is_some());
            let telling = self.telling.again().filter(|_| self.untold);
            let wake = [Some(look), placing, telling].into_iter().flatten().min();
            let wake = wake.unwrap_or(look).max(Instant::now() + BREATH);
            tokio::select! {
                heard = self.watcher.hear() => self.heard(heard).await,
                ended = self.config.reload.ended() => {
                    let lived = self.alive_since.take().map(|since| since.elapsed());
                    if lived.is_some_and(|lived| lived > STEADY) {
                        self.telling.worked();
                    }
                    if self.telling.failed(&ended) {
                        warn!(reason = ended, "the proxy has ended: it is started again");
                    }
                    self.untold = true;
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The configuration of the run before may be newer than the proxy's, and a child can work with it
    /// while the endpoint is away.
    async fn begin(&mut self) {
        if !tokio::fs::try_exists(&self.config.path).await.unwrap_or(false) {
            return;
        }
        if let Some(check) = self.config.check.as_deref().filter(|_| self.config.reload.is_down())
            && let Err(failed) = shell(check, &self.config.path).await
        {
            warn!(%failed, "the configuration that is there is not used");
            return;
        }
        self.untold = true;
    }

    /// Collects what happens in quick succession; then a look is due.
    async fn heard(&mut self, first: Result<(), String>) {
        let until = Instant::now() + self.config.max_wait;
        let mut heard = first;
        loop {
            if let Err(reason) = heard {
                return self.lost(&reason);
            }
            let left = until.saturating_duration_since(Instant::now());
            let wait = self.config.wait.min(left);
            match timeout(wait, self.watcher.hear()).await {
                Ok(more) if !left.is_zero() => heard = more,
                _ => break,
            }
        }
        self.look().await;
        self.look_at = self.look_at.min(Instant::now() + AFTER);
    }

    fn lost(&mut self, reason: &str) {
        self.watcher.lose();
        self.look_at = Instant::now();
        if self.endpoint.failed(reason) {
            warn!(reason, "the endpoint is lost: the configuration stays; trying again");
        }
    }

    async fn ask_for_nodes(&mut self) {
        self.nodes_at = Instant::now() + QUIET;
        match self.watcher.nodes_differ().await {
            Ok(true) => self.look_at = Instant::now(),
            Ok(false) => {}
            Err(error) => self.lost(&error.to_string()),
        }
    }

    async fn look(&mut self) {
        let looked = match self.watcher.follow().await {
            Ok(()) => self.watcher.look().await,
            Err(error) => Err(error),
        };
        let seen = match looked {
            Ok(seen) => seen,
            Err(error) => return self.lost(&error.to_string()),
        };
        if self.endpoint.worked() {
            info!("the endpoint answers again");
        }
        let resync = self.config.resync;
        self.look_at = Instant::now() + if seen.has_services { resync.min(QUIET) } else { resync };
        self.nodes_at = Instant::now() + QUIET;
        if let Some(reason) = unread(&seen) {
            let since = *self.unread_since.get_or_insert_with(|| {
                warn!(reason, "the configuration stays until it has, or for a minute");
                Instant::now()
            });
            if since.elapsed() < SETTLED {
                self.look_at = Instant::now() + UNREAD;
                return;
            }
        } else {
            self.unread_since = None;
        }
        match self.template.render(seen) {
            Ok((text, refused)) => {
                tell(&mut self.told, refused);
                if self.bad.take().is_some() {
                    info!("the template can be rendered again");
                }
                self.wanted = Some(text);
                // What the checker refused may pass now: a file that it names may be there.
                self.placing.hurry();
            }
            Err(error) => {
                let reason = error.to_string();
                if self.bad.as_ref() != Some(&reason) {
                    warn!(reason, "it cannot be rendered: the configuration stays");
                }
                self.bad = Some(reason);
            }
        }
    }

    async fn put(&mut self) {
        let Some(text) = self.wanted.take() else { return };
        match place(&self.config.path, &text, self.config.check.as_deref()).await {
            Ok(Placed::Same) => {
                self.untold |= self.config.reload.is_down();
            }
            Ok(Placed::Changed) => {
                info!(config = %self.config.path.display(), "a new configuration is in place");
                self.untold = true;
                self.telling = Trouble::default();
            }
            Err(error) => {
                if self.placing.failed(&error.to_string()) {
                    warn!(%error, "the configuration that is there stays");
                }
                self.wanted = Some(text);
                return;
            }
        }
        if self.placing.worked() {
            info!("the configuration is kept again");
        }
    }

    async fn tell_proxy(&mut self) {
        match self.config.reload.reload(&self.config.path).await {
            Ok(()) => {
                self.untold = false;
                info!("{}", self.config.reload.words());
                if let Reload::Child(_) = self.config.reload {
                    // Its failures are told by its end.
                    self.alive_since.get_or_insert_with(Instant::now);
                } else {
                    self.telling.worked();
                }
            }
            Err(reason) => {
                if self.telling.failed(&reason) {
                    warn!(reason, "the proxy is not told of its configuration; trying again");
                }
            }
        }
    }
}
