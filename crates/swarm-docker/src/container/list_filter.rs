//! The query of `GET /containers/json` and its filters, answered from [`ListEntry`]s.
//!
//! Source: the engine's `daemon/list.go` (v20.10 and up) and classic Swarm's `node` filter. What an
//! entry cannot tell is named by [`ListFilter::engine_only`]; the pool asks the engines for it.

use super::list::ListEntry;
use super::state::{Health, State};
use crate::error::ApiError;
use crate::filters::{Filters, Matcher};
use crate::query::Query;

/// Every filter of a container list: Docker's, and `node`.
pub const ACCEPTED: [&str; 16] = [
    "ancestor",
    "before",
    "expose",
    "exited",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "node",
    "publish",
    "since",
    "status",
    "volume",
];

/// The filters that need more than a list entry holds.
pub const ENGINE_ONLY: [&str; 4] = ["ancestor", "expose", "isolation", "publish"];

/// The label every container of a swarm-mode task carries.
const TASK_LABEL: &str = "com.docker.swarm.task";

/// The whole query of a list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Stopped containers too.
    pub all: bool,
    /// At most this many, newest first.
    pub limit: Option<usize>,
    /// With `SizeRw` and `SizeRootFs`, which only an engine can tell.
    pub size: bool,
    /// The filters.
    pub filter: ListFilter,
}

impl ListQuery {
    /// Reads `all`, `limit`, `size`, `filters`, and the `before` and `since` that clients older
    /// than the filters of those names still send.
    pub fn parse(query: &Query) -> Result<Self, ApiError> {
        let mut filters = Filters::from_query(query)?;
        for key in ["before", "since"] {
            if let Some(value) = query.get(key).filter(|value| !value.is_empty()) {
                filters.add(key, value);
            }
        }
        let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|limit| *limit > 0);
        let filter = ListFilter::parse(filters)?;
        // A limit or a wanted state asks for stopped containers as well.
        let all = query.flag("all") || limit.is_some() || filter.filters.contains("status");
        Ok(Self { all, limit, size: query.flag("size"), filter })
    }

    /// Whether `entry` belongs in the list; `before` and `since` must have been resolved with
    /// [`ListFilter::set_bounds`]. A container whose node is down counts as stopped.
    pub fn includes(&self, entry: &ListEntry, node: &str, host_down: bool) -> bool {
        let shown = self.all || (entry.state().state.is_up() && !host_down);
        shown && self.filter.matches(entry, node)
    }

    /// Whether the answer can be given without asking any engine.
    pub fn from_cache(&self) -> bool {
        !self.size && self.filter.engine_only().is_empty()
    }
}

/// Checked filters, compiled once for many entries.
#[derive(Debug, Clone)]
pub struct ListFilter {
    filters: Filters,
    names: Matcher,
    nodes: Matcher,
    exited: Vec<i32>,
    statuses: Vec<State>,
    healths: Vec<Health>,
    is_task: Option<bool>,
    before: Option<Bound>,
    since: Option<Bound>,
}

/// The place of one container in the order of a list.
#[derive(Debug, Clone)]
struct Bound {
    created: i64,
    id: Box<str>,
}

impl Bound {
    fn of(entry: &ListEntry) -> Self {
        Self { created: entry.created().as_nanos(), id: entry.id().into() }
    }

    fn place(&self) -> (std::cmp::Reverse<i64>, &str) {
        (std::cmp::Reverse(self.created), &self.id)
    }
}

impl ListFilter {
    /// Checks keys and values; a wrong one is a 400 in Docker's words.
    pub fn parse(filters: Filters) -> Result<Self, ApiError> {
        filters.accept(&ACCEPTED)?;
        let wrong =
            |key: &str, value: &str| ApiError::invalid(format!("invalid filter '{key}={value}'"));
        let mut exited = Vec::new();
        for value in filters.get("exited") {
            exited.push(value.parse().map_err(|_| wrong("exited", value))?);
        }
        let mut statuses = Vec::new();
        for value in filters.get("status") {
            match State::parse(value) {
                State::Unknown => return Err(wrong("status", value)),
                state => statuses.push(state),
            }
        }
        let mut healths = Vec::new();
        for value in filters.get("health") {
            let known = Health::ALL.into_iter().find(|health| health.as_str() == value);
            healths.push(known.ok_or_else(|| {
                ApiError::invalid(format!("Unrecognised filter value for health: {value}"))
            })?);
        }
        Ok(Self {
            names: filters.matcher("name"),
            nodes: filters.matcher("node"),
            exited,
            statuses,
            healths,
            is_task: filters.flag("is-task")?,
            before: None,
            since: None,
            filters,
        })
    }

    /// The filters as given.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// The container of the `before` filter, by the name or id the client gave.
    pub fn before(&self) -> Option<&str> {
        self.filters.get("before").last().map(String::as_str)
    }

    /// The container of the `since` filter.
    pub fn since(&self) -> Option<&str> {
        self.filters.get("since").last().map(String::as_str)
    }

    /// Says which containers [`Self::before`] and [`Self::since`] turned out to be.
    pub fn set_bounds(&mut self, before: Option<&ListEntry>, since: Option<&ListEntry>) {
        self.before = before.map(Bound::of);
        self.since = since.map(Bound::of);
    }

    /// The filters given that no list entry can answer: the engines must be asked with these (and
    /// `all=1`), and their answer's ids intersected with what [`Self::matches`] admits.
    pub fn engine_only(&self) -> Filters {
        let mut asked = Filters::default();
        for key in ENGINE_ONLY {
            for value in self.filters.get(key) {
                asked.add(key, value.clone());
            }
        }
        asked
    }

    /// Whether the container on `node` passes every filter an entry can answer.
    pub fn matches(&self, entry: &ListEntry, node: &str) -> bool {
        let state = entry.state();
        let exited = || {
            let ran = state.started.is_some() || state.state == State::Exited;
            !state.state.is_up() && ran && self.exited.contains(&state.exit_code)
        };
        self.nodes.matches(node)
            && (self.statuses.is_empty() || self.statuses.contains(&state.state))
            && (self.healths.is_empty() || self.healths.contains(&state.health))
            && (self.exited.is_empty() || exited())
            && self.filters.matches_kv("label", |key| entry.labels().get(key))
            && self.is_task.is_none_or(|task| entry.labels().get(TASK_LABEL).is_some() == task)
            // An id is looked up as a prefix, as the engine's index does.
            && self.filters.fuzzy("id", entry.id())
            && self.name_matches(entry, node)
            && self.volume_matches(entry)
            && self.network_matches(entry)
            && self.before.as_ref().is_none_or(|bound| entry.list_order() > bound.place())
            && self.since.as_ref().is_none_or(|bound| entry.list_order() < bound.place())
    }

    /// With and without the leading slash, as in Docker, and as our own list shows it.
    fn name_matches(&self, entry: &ListEntry, node: &str) -> bool {
        self.names.is_empty()
            || entry.names().iter().any(|name| {
                self.names.matches(name)
                    || self.names.matches(&["/", name].concat())
                    || self.names.matches(&[node, "/", name].concat())
            })
    }

    fn volume_matches(&self, entry: &ListEntry) -> bool {
        let wanted = self.filters.get("volume");
        let mounted = |volume: &String| {
            entry.mounts().iter().any(|(name, path)| name == volume || path == volume)
        };
        wanted.is_empty() || wanted.iter().any(mounted)
    }

    fn network_matches(&self, entry: &ListEntry) -> bool {
        let wanted = self.filters.get("network");
        let on = |network: &String| {
            let is_it =
                |(name, id): (&str, &str)| name == network || id.starts_with(network.as_str());
            entry.networks().iter().any(is_it)
        };
        wanted.is_empty() || wanted.iter().any(on)
    }
}
