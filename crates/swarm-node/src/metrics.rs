//! What there is to tell of a node and its swarm in numbers, read when somebody asks.
//!
//! The names are those that an engine's own swarm mode gives its metrics, where it has them, so that
//! ready dashboards fit; that some gauges end in `_total` is part of that.
//!
//! Invariant: labels are words of this program, but for the ids of this node and its swarm: the number
//! of series does not grow with the swarm.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use swarm_manager::is_short;
use swarm_manager::leader::meters::Meters;
use swarm_manager::replica::Tables;
use swarm_model::node::NodeState;
use swarm_model::task::TaskState;

use crate::node::{Node, Standing};

/// Nodes' states.
const NODES: [NodeState; 4] =
    [NodeState::Unknown, NodeState::Down, NodeState::Ready, NodeState::Disconnected];

impl Node {
    /// Registers what there is to tell, below the prefix `swarm`.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Readings(Arc::downgrade(self))));
    }
}

/// Reads the node when asked.
#[derive(Debug)]
struct Readings(Weak<Node>);

impl Collector for Readings {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let Some(node) = self.0.upgrade() else { return Ok(()) };
        let mut out = Out(encoder);
        let Standing::Member(member) = node.standing() else {
            return out.gauge("node_manager", MANAGES, 0);
        };
        let manager = member.manager();
        out.gauge("node_manager", MANAGES, usize::from(manager.is_some()))?;
        let ids =
            vec![("node_id", member.node_id().to_string()), ("swarm_id", member.cluster_id())];
        out.gauges("node_info", "This node's id and its swarm's", [(ids, 1)])?;
        let identity = member.own.identity();
        out.time("node_certificate_issued", ISSUED, identity.not_before)?;
        out.time("node_certificate_expiry", EXPIRY, identity.not_after)?;
        let Some(manager) = manager else { return Ok(()) };
        let leads = manager.replica().store().leadership().borrow().leads;
        out.gauge("manager_leader", "1: this manager leads", usize::from(leads))?;
        let writable = usize::from(manager.store().disk_trouble().is_none());
        out.gauge("manager_store_writable", WRITABLE, writable)?;
        let counts = manager.replica().read(Counts::of);
        counts.tell(&mut out)?;
        tell_meters(&mut out, manager.meters())?;
        out.gauge("raft_store_bytes", SIZE, usize::try_from(manager.store_size()).unwrap_or(0))?;
        out.seconds("raft_transaction_latency", LATENCY, &manager.replica().latency())
    }
}

fn tell_meters(out: &mut Out<'_>, meters: &Meters) -> fmt::Result {
    out.seconds("manager_pass_duration", "Time to plan what changes ask for", &meters.passes)?;
    let delay = "Time from a task's making until it has a node";
    out.seconds("manager_placement_delay", delay, &meters.delays)?;
    let refusals = "Tasks that were told that no node suits them, by filter";
    let encoder = out.0.encode_descriptor(
        "manager_placement_refusals",
        refusals,
        None,
        MetricType::Counter,
    )?;
    meters.refusals.encode(encoder)
}

const WRITABLE: &str = "0: the disk of this manager's store does not take writes";
const MANAGES: &str = "1: this node is a manager";
const ISSUED: &str = "From when on this node's certificate is good; an hour before it was issued";
const EXPIRY: &str = "When this node's certificate ends; it is renewed long before";
const SIZE: &str = "What the store takes on this manager's disk";
const LATENCY: &str = "Time until a write is in the store of a majority of the managers";

/// What is counted of the swarm's objects.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    nodes: BTreeMap<&'static str, usize>,
    managers: usize,
    managers_ready: usize,
    clocks_off: usize,
    failures: u64,
    services: usize,
    short: usize,
    tasks: BTreeMap<&'static str, usize>,
    secrets: usize,
    configs: usize,
    networks: usize,
    revision: u64,
}

impl Counts {
    fn of(tables: &Tables) -> Self {
        // Known words are told from the beginning, so that the first one is seen as a rise.
        let mut counts = Self {
            nodes: NODES.iter().map(|state| (state.as_str(), 0)).collect(),
            tasks: TaskState::ALL.iter().map(|state| (state.as_str(), 0)).collect(),
            managers: tables.nodes.values().filter(|node| node.member != 0).count(),
            managers_ready: tables.nodes.values().filter(|node| serves(node)).count(),
            clocks_off: tables.nodes.values().filter(|node| is_off(node)).count(),
            failures: tables.failures,
            services: tables.services.len(),
            secrets: tables.secrets.len(),
            configs: tables.configs.len(),
            networks: tables.networks.len(),
            revision: tables.revision,
            ..Self::default()
        };
        for node in tables.nodes.values() {
            *counts.nodes.entry(node.status.state.as_str()).or_default() += 1;
        }
        let mut states = [0; TaskState::ALL.len()];
        for task in tables.tasks.values() {
            if let Some(count) = states.get_mut(task.status.state as usize) {
                *count += 1;
            }
        }
        counts.tasks.extend(TaskState::ALL.iter().map(|state| state.as_str()).zip(states));
        counts.short = tables.services.values().filter(|one| is_short(one, tables)).count();
        counts
    }

    fn tell(&self, out: &mut Out<'_>) -> fmt::Result {
        let by_state = |counts: &BTreeMap<&str, usize>| {
            let labels =
                |(state, count): (&&str, &usize)| (vec![("state", (*state).to_owned())], *count);
            counts.iter().map(labels).collect::<Vec<_>>()
        };
        out.gauges("manager_nodes", "Nodes of the swarm", by_state(&self.nodes))?;
        out.gauge("manager_managers_total", "Managers that hold the store", self.managers)?;
        let ready = "Managers whose node the leader hears of; more than half have to be there";
        out.gauge("manager_managers_ready", ready, self.managers_ready)?;
        let off = "Nodes that are ready and whose clock is not in step with the leader's";
        out.gauge("manager_nodes_clock_off", off, self.clocks_off)?;
        out.gauge("manager_services_total", "Services", self.services)?;
        let short = "Services that have fewer running tasks than they should; jobs are not counted";
        out.gauge("manager_services_short", short, self.short)?;
        out.gauges("manager_tasks_total", "Tasks, ended ones too", by_state(&self.tasks))?;
        let failures = "Tasks that failed or were rejected by their node, since this manager began";
        out.counter("manager_task_failures", failures, self.failures)?;
        out.gauge("manager_secrets_total", "Secrets", self.secrets)?;
        out.gauge("manager_configs_total", "Configs", self.configs)?;
        out.gauge("manager_networks_total", "Networks of the swarm", self.networks)?;
        let revision = "The revision of the store that this manager has applied";
        out.gauge("manager_store_revision", revision, usize::try_from(self.revision).unwrap_or(0))
    }
}

/// Whether it is a manager that is heard of.
fn serves(node: &swarm_model::Node) -> bool {
    node.member != 0 && node.status.state == NodeState::Ready
}

/// Whether it is heard of, and its clock is off.
fn is_off(node: &swarm_model::Node) -> bool {
    node.clock_ahead != 0 && node.status.state == NodeState::Ready
}

/// One metric after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(number(value)).encode(encoder)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    /// A moment, as Prometheus has them.
    fn time(&mut self, name: &str, help: &str, at: SystemTime) -> fmt::Result {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let unit = Unit::Other("timestamp_seconds".to_owned());
        let encoder = self.0.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
        ConstGauge::new(since.as_secs_f64()).encode(encoder)
    }

    fn seconds(&mut self, name: &str, help: &str, times: &Histogram) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        times.encode(self.0.encode_descriptor(name, help, unit, MetricType::Histogram)?)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, String)>, usize)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(number(value)).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Counts are far below where a double loses ones.
#[expect(clippy::cast_precision_loss)]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use swarm_manager::replica::memory::Memory;
    use swarm_manager::{Batch, Replica};
    use swarm_model::service::ServiceMode;
    use swarm_model::{Service, ServiceSpec, Task};

    use super::*;

    /// Counts, as they are told.
    #[derive(Debug)]
    struct Fixed(Counts);

    impl Collector for Fixed {
        fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
            let mut out = Out(encoder);
            self.0.tell(&mut out)?;
            let meters = Meters::default();
            meters.refusals.get_or_create(&[("filter", "none")]).inc();
            tell_meters(&mut out, &meters)
        }
    }

    /// The dashboard and whoever reads the page rely on its names.
    #[test]
    fn the_page_has_what_is_told() {
        let mut registry = Registry::with_prefix("swarm");
        registry.register_collector(Box::new(Fixed(Counts::of(&Tables::default()))));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let mut told = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"];
            let name = of_histogram.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let row = page.lines().find(|row| row.contains(&format!("`{name}`")));
            let row = row.unwrap_or_else(|| panic!("{name} is not on the page"));
            if let (Some(word), false) = (line.split('"').nth(1), line.contains("{le=")) {
                let label = line.split(['{', '=']).nth(1).unwrap();
                let is_there = row.contains(&format!("`{label}`:")) && row.contains(word);
                assert!(is_there, "{line}: {row}");
            }
            told += 1;
        }
        assert!(told > 20, "{text}");
        let rows = page.lines().filter(|row| row.starts_with("| `swarm_manager_"));
        for name in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
            let is_told =
                ["{", " ", "_sum "].iter().any(|end| text.contains(&format!("{name}{end}")));
            let of_the_node = ["swarm_manager_leader", "swarm_manager_store_writable"]
                .contains(&name)
                || !name.starts_with("swarm_");
            assert!(is_told || of_the_node, "{name} is on the page and nobody tells it");
        }
    }

    #[tokio::test]
    async fn a_service_is_short_until_all_its_tasks_run() {
        let mode = ServiceMode::replicated(2);
        let spec = ServiceSpec { name: "web".into(), mode, ..ServiceSpec::default() };
        let service = Service { id: "s".into(), spec, ..Service::default() };
        let task = |id: &str, state| {
            let mut task = Task {
                id: id.into(),
                service_id: "s".into(),
                node_id: "n".into(),
                desired_state: TaskState::Running,
                ..Task::default()
            };
            task.status.state = state;
            task
        };
        let replica = Replica::new(Memory::new() as _);
        let mut batch = Batch::default();
        batch.put(&swarm_model::Node { id: "n".into(), ..swarm_model::Node::default() }).unwrap();
        batch.put(&service).unwrap();
        batch.put(&task("a", TaskState::Running)).unwrap();
        batch.put(&task("b", TaskState::Preparing)).unwrap();
        replica.commit(batch).await.unwrap();
        let counts = replica.read(Counts::of);
        assert_eq!((counts.services, counts.short), (1, 1));
        assert_eq!((counts.tasks["running"], counts.tasks["preparing"]), (1, 1));
        assert_eq!(counts.tasks["failed"], 0, "known states are told from the beginning");
        let mut batch = Batch::default();
        let mut second = replica.read(|tables| Task::clone(&tables.tasks["b"]));
        second.status.state = TaskState::Running;
        batch.put(&second).unwrap();
        replica.commit(batch).await.unwrap();
        assert_eq!(replica.read(Counts::of).short, 0);
        assert_eq!(replica.read(Counts::of).nodes["ready"], 0);
    }

    #[tokio::test]
    async fn tasks_that_fail_are_counted_once_and_not_those_of_before() {
        let store = Memory::new();
        let replica = Replica::new(Arc::clone(&store) as _);
        let write = async |replica: &Replica, id: &str, state| {
            let known = replica.read(|tables| tables.tasks.get(id).map(|task| Task::clone(task)));
            let mut task = known.unwrap_or_else(|| Task { id: id.into(), ..Task::default() });
            task.status.state = state;
            let mut batch = Batch::default();
            batch.put(&task).unwrap();
            replica.commit(batch).await.unwrap();
        };
        for (id, state, failures) in [
            ("a", TaskState::Running, 0),
            ("a", TaskState::Failed, 1),
            ("a", TaskState::Failed, 1),
            ("b", TaskState::Preparing, 1),
            ("b", TaskState::Rejected, 2),
            ("c", TaskState::Running, 2),
            ("c", TaskState::Shutdown, 2),
        ] {
            write(&replica, id, state).await;
            assert_eq!(replica.read(Counts::of).failures, failures, "{id} {state:?}");
        }
        let later = Replica::new(store as _);
        assert_eq!(later.read(Counts::of).failures, 0, "they failed before this manager began");
        assert_eq!(later.read(Counts::of).tasks["failed"], 1);
    }

    #[test]
    fn managers_that_are_heard_of_are_ready() {
        let mut tables = Tables::default();
        for (id, member, state) in
            [("m", 1, NodeState::Ready), ("n", 2, NodeState::Down), ("w", 0, NodeState::Ready)]
        {
            let mut node = swarm_model::Node { id: id.into(), member, ..Default::default() };
            node.status.state = state;
            // One that is silent tells no time.
            node.clock_ahead = if member == 1 { 0 } else { -3_000_000_000 };
            tables.nodes.insert(id.into(), Arc::new(node));
        }
        let counts = Counts::of(&tables);
        assert_eq!((counts.managers, counts.managers_ready, counts.clocks_off), (2, 1, 1));
    }
}
