//! What the pool has to tell of itself in numbers.
//!
//! Two kinds: what happens is counted here when it does, by whoever does it; what is (engines,
//! containers, reservations) is read from the snapshots when somebody asks (`readings`), so that
//! keeping it costs nothing. Publishing is the binary's, see [`Pool::register`].
//!
//! Invariants: labels are words of this program, never names of engines or containers, so that the
//! number of series does not grow with the pool; counting waits for no I/O.

mod readings;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use swarm_core::placement::decision::RESOURCES;
use swarm_core::placement::filter::Filter;
use swarm_docker::ApiError;

use crate::Pool;
use crate::engine::Failures;
use crate::scheduler::NotPlaced;
use readings::{Nodes, Readings};

/// Upper bounds of the times for a placement, in seconds: a decision takes tens of microseconds,
/// one that waits for what others wrote up to some seconds.
const PLACING: [f64; 11] =
    [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

/// Where a refusal is counted that no filter is to blame for.
const NO_ENGINE: &str = "none";

/// How clients' creates end.
const CREATES: [&str; 3] = ["created", "refused", "failed"];

type Label = (&'static str, &'static str);

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    placed: Histogram,
    refused: Histogram,
    placing: Family<[Label; 1], Histogram>,
    refusals: Family<[Label; 1], Counter>,
    creates: Family<[Label; 1], Counter>,
    /// Failed requests to engines.
    pub failures: Failures,
    /// Engines that came back into use.
    pub reconnects: Counter,
    /// Event streams that broke and were opened again.
    pub reopened: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let placing =
            Family::<[Label; 1], Histogram>::new_with_constructor(|| Histogram::new(PLACING));
        // Known words are told from the beginning, so that a first refusal is seen as a rise.
        let (refusals, creates) = (Family::default(), Family::default());
        for filter in Filter::ALL.map(Filter::name).into_iter().chain([RESOURCES, NO_ENGINE]) {
            refusals.get_or_create_owned(&[("filter", filter)]);
        }
        for result in CREATES {
            creates.get_or_create_owned(&[("result", result)]);
        }
        Self {
            placed: placing.get_or_create_owned(&[("result", "placed")]),
            refused: placing.get_or_create_owned(&[("result", "refused")]),
            placing,
            refusals,
            creates,
            failures: Failures::default(),
            reconnects: Counter::default(),
            reopened: Counter::default(),
        }
    }
}

impl Metrics {
    /// A placement was decided, or refused.
    pub fn placed(&self, elapsed: Duration, refused: Option<&NotPlaced>) {
        let Some(refused) = refused else { return self.placed.observe(elapsed.as_secs_f64()) };
        self.refused.observe(elapsed.as_secs_f64());
        let mut filters: Vec<_> = refused.removed.iter().map(|(filter, _)| *filter).collect();
        // A filter may have removed some for one reason and some for another.
        filters.sort_unstable();
        filters.dedup();
        if filters.is_empty() {
            filters.push(NO_ENGINE);
        }
        for filter in filters {
            self.refusals.get_or_create(&[("filter", filter)]).inc();
        }
    }

    /// A client's create was answered.
    pub fn created(&self, error: Option<&ApiError>) {
        let [created, refused, failed] = CREATES;
        let result = match error {
            None => created,
            Some(error) if error.status().is_server_error() => failed,
            Some(_) => refused,
        };
        self.creates.get_or_create(&[("result", result)]).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "scheduling_duration",
            "Time to find an engine for a container or a build, waits for what was just written \
             included, by whether one was found",
            Unit::Seconds,
            self.placing.clone(),
        );
        registry.register(
            "scheduling_refusals",
            "Placements that were refused, counted once for each filter that removed an engine",
            self.refusals.clone(),
        );
        registry.register(
            "container_creates",
            "Clients' creates of containers, by how they were answered: created, refused (4xx), \
             failed (5xx)",
            self.creates.clone(),
        );
        registry.register(
            "engine_failures",
            "Requests to engines that failed, by whose they were (request: a client's or the \
             keeper's; watch: the pool's own probes, readings and event streams) and how",
            self.failures.family(),
        );
        registry.register(
            "engine_reconnects",
            "Engines that were lost and came back into use",
            self.reconnects.clone(),
        );
        registry.register(
            "engine_event_streams_reopened",
            "Event streams of working engines that broke and were opened again",
            self.reopened.clone(),
        );
    }
}

impl Pool {
    /// Has the pool's numbers published. What is read at the time of asking ends with the pool.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        self.shared.metrics.register(registry);
        registry.register_collector(Box::new(Readings::of(self)));
    }

    /// As [`Pool::register`], for a pool that shows a swarm's nodes: without who leads, which the swarm
    /// tells itself; and all that is read only while `leads` says that the nodes are asked from here.
    pub fn register_nodes(
        self: &Arc<Self>,
        registry: &mut Registry,
        leads: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.shared.metrics.register(registry);
        registry.register_collector(Box::new(Nodes::of(self, leads)));
    }
}
