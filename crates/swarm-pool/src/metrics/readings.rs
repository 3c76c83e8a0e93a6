//! What is, read from the snapshots when somebody asks: engines, containers, reservations, this
//! manager's role, what the store is to keep, and moves.
//!
//! One pass over engines and containers, with no lock held but those of single tables.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use swarm_core::placement::node::Resources;
use swarm_docker::container::State;

use super::Label;
use crate::engine::Status;
use crate::keeper::Cause;
use crate::{Pool, Role};

/// Engines' states, with their words.
const ENGINES: [(Status, &str); 5] = [
    (Status::Pending, "pending"),
    (Status::Healthy, "healthy"),
    (Status::Unhealthy, "unhealthy"),
    (Status::Disconnected, "disconnected"),
    (Status::Maintenance, "maintenance"),
];
/// Containers' states.
const CONTAINERS: [State; 8] = [
    State::Created,
    State::Running,
    State::Paused,
    State::Restarting,
    State::Removing,
    State::Exited,
    State::Dead,
    State::Unknown,
];
/// The state of containers whose engine does not answer: what they do is not known.
const HOST_DOWN: &str = "host_down";

/// Billionths in one CPU.
const NANO: f64 = 1e9;

/// Reads the pool when asked.
#[derive(Debug)]
pub(super) struct Readings(Weak<Pool>);

impl Readings {
    pub(super) fn of(pool: &Arc<Pool>) -> Self {
        Self(Arc::downgrade(pool))
    }
}

impl Collector for Readings {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(pool) = self.0.upgrade() else { return Ok(()) };
        let mut out = Out(encoder);
        pool.tell_engines(&mut out)?;
        pool.tell_reservations(&mut out)?;
        pool.tell_role(&mut out)?;
        pool.tell_kept(&mut out)?;
        pool.tell_moves(&mut out)
    }
}

/// Reads a pool of a swarm's nodes when asked, while they are asked from here.
pub(super) struct Nodes {
    pool: Weak<Pool>,
    leads: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Nodes {
    pub(super) fn of(pool: &Arc<Pool>, leads: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { pool: Arc::downgrade(pool), leads: Box::new(leads) }
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nodes")
    }
}

impl Collector for Nodes {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(pool) = self.pool.upgrade().filter(|_| (self.leads)()) else { return Ok(()) };
        let mut out = Out(encoder);
        pool.tell_engines(&mut out)?;
        pool.tell_reservations(&mut out)?;
        pool.tell_kept(&mut out)?;
        pool.tell_moves(&mut out)
    }
}

/// One metric after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauge_in(name, None, help, value)
    }

    fn gauge_in(&mut self, name: &str, unit: Option<&Unit>, help: &str, value: f64) -> fmt::Result {
        let metric = ConstGauge::new(value);
        metric.encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([Label; N], usize)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(number(value)).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([Label; N], u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Counts are far below where a double loses ones.
#[allow(clippy::cast_precision_loss)]
fn number(count: usize) -> f64 {
    count as f64
}

impl Pool {
    fn tell_engines(&self, out: &mut Out<'_>) -> fmt::Result {
        let mut engines = ENGINES.map(|(_, word)| ([("state", word)], 0));
        let mut containers = CONTAINERS.map(|state| ([("state", state.as_str())], 0));
        let mut host_down = 0;
        for engine in self.members.all().iter() {
            let view = engine.view();
            let known = ENGINES.iter().zip(&mut engines);
            for (_, (_, count)) in known.filter(|((status, _), _)| *status == view.status) {
                *count += 1;
            }
            if !view.status.is_reachable() {
                host_down += view.containers.len();
                continue;
            }
            for container in view.containers.iter() {
                let state = container.entry.state().state;
                let known = CONTAINERS.iter().zip(&mut containers);
                for (_, (_, count)) in known.filter(|(known, _)| **known == state) {
                    *count += 1;
                }
            }
        }
        out.gauges("engines", "Engines of the pool by state.", engines)?;
        out.gauges(
            "containers",
            "Containers in every state, as last read; host_down are those of engines that do not \
             answer.",
            containers.into_iter().chain([([("state", HOST_DOWN)], host_down)]),
        )
    }

    fn tell_reservations(&self, out: &mut Out<'_>) -> fmt::Result {
        let (mut capacity, mut reserved) = (Resources::default(), Resources::default());
        let nodes = self.shared.scheduler.nodes();
        for node in nodes.iter().filter(|node| node.health.is_healthy()) {
            capacity = capacity.plus(node.total);
            reserved = reserved.plus(node.reserved);
        }
        #[allow(clippy::cast_precision_loss)] // Exact enough for amounts of CPU and memory.
        let (cpus, bytes) =
            (|of: Resources| of.nano_cpus as f64 / NANO, |of: Resources| of.memory as f64);
        out.gauge(
            "cpus_capacity",
            "CPUs of the healthy engines that may be reserved, overcommit included.",
            cpus(capacity),
        )?;
        out.gauge(
            "cpus_reserved",
            "CPUs of the healthy engines that are reserved, by containers and by creates under \
             way.",
            cpus(reserved),
        )?;
        out.gauge_in(
            "memory_capacity",
            Some(&Unit::Bytes),
            "Memory of the healthy engines that may be reserved, overcommit included.",
            bytes(capacity),
        )?;
        out.gauge_in(
            "memory_reserved",
            Some(&Unit::Bytes),
            "Memory of the healthy engines that is reserved, by containers and by creates under \
             way.",
            bytes(reserved),
        )
    }

    fn tell_role(&self, out: &mut Out<'_>) -> fmt::Result {
        let election = &self.shared.config.election;
        let leads = election.fence().mandate().is_ok();
        out.gauge(
            "primary",
            "1 when this manager may change the pool of its own accord: it holds the lock, or there \
             is nobody to elect from.",
            f64::from(u8::from(leads)),
        )?;
        let epoch = match &*election.role().borrow() {
            Role::Primary { epoch } => epoch.0,
            Role::Replica { .. } | Role::Alone => 0,
        };
        #[allow(clippy::cast_precision_loss)] // Nobody is elected that often.
        out.gauge(
            "primary_epoch",
            "Which primary of the pool this manager is, counted from the first; 0 when it is none.",
            epoch as f64,
        )?;
        let (gained, lost) = election.turns();
        out.counters(
            "primary_changes",
            "How often this manager became the primary, and ceased to be it.",
            [([("change", "gained")], gained), ([("change", "lost")], lost)],
        )
    }

    fn tell_kept(&self, out: &mut Out<'_>) -> fmt::Result {
        let state = &self.shared.state;
        let kind = |kind| [("kind", kind)];
        out.gauges(
            "store_objects",
            "Objects that this manager keeps in the pool's store, by kind; 0 when it is not the \
             primary.",
            [
                (kind("intent"), state.intents.len()),
                (kind("engine"), state.engines.len()),
                (kind("removed"), state.removed.len()),
            ],
        )?;
        out.gauges(
            "store_changes_pending",
            "Changed objects that the pool's store does not have yet, by kind.",
            [
                (kind("intent"), state.intents.pending()),
                (kind("engine"), state.engines.pending()),
                (kind("removed"), state.removed.pending()),
            ],
        )?;
        out.gauge(
            "event_subscribers",
            "Clients that follow the pool's events.",
            number(self.shared.events.listeners()),
        )
    }

    fn tell_moves(&self, out: &mut Out<'_>) -> fmt::Result {
        let moves = &self.shared.moves;
        out.counters(
            "moves",
            "Attempts to move a container to another engine, by cause and result.",
            Cause::ALL.into_iter().flat_map(|cause| {
                let (moved, failed) = moves.ended(cause);
                let labels = |result| [("cause", cause.word()), ("result", result)];
                [(labels("moved"), moved), (labels("failed"), failed)]
            }),
        )?;
        let told = moves.all();
        let count = |action| told.get(action).copied().unwrap_or_default();
        out.counters::<0>(
            "containers_lost",
            "Containers whose engine failed and that were given up there, to be made elsewhere.",
            [([], count("reschedule_lost"))],
        )?;
        out.counters(
            "stale_copies",
            "Copies that were replaced and that their engine brought back, by what was done with \
             them.",
            [
                ([("action", "removed")], count("reschedule_stale_removed")),
                ([("action", "kept")], count("reschedule_stale_kept")),
            ],
        )?;
        out.gauge(
            "moves_waiting",
            "Containers that would be moved and wait; the log and docker info say for what.",
            number(self.shared.keeping.held().len()),
        )
    }
}
