//! What a leader's work comes to in numbers, counted where it is done and read when somebody asks.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::draft::Draft;

/// Upper bounds in seconds of a pass: from a task of a small swarm to thousands at once.
const PASSES: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Upper bounds in seconds of the time until a task has a node; the last ones waited for room.
const DELAYS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 60.0, 600.0];

/// Label of a refusal: the filter that removed nodes, `none` where there are no nodes.
type ByFilter = [(&'static str, &'static str); 1];

/// The numbers of one manager, since it began. Copies count together.
#[derive(Debug, Clone)]
pub struct Meters {
    /// How long a pass over what has changed takes to plan.
    pub passes: Histogram,
    /// From a task's making until it has a node.
    pub delays: Histogram,
    /// Tasks that were told of no suitable node, once for each filter that removed one.
    pub refusals: Family<ByFilter, Counter>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            passes: Histogram::new(PASSES),
            delays: Histogram::new(DELAYS),
            refusals: Family::default(),
        }
    }
}

impl Meters {
    /// A pass was planned.
    pub(super) fn planned(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    /// What it came to was written.
    pub(super) fn written(&self, draft: &Draft) {
        for task in draft.assigned.iter().filter_map(|id| draft.tasks.get(id)) {
            let nanos = task.status.timestamp.since(task.created_at).max(0);
            let waited = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
            self.delays.observe(waited.as_secs_f64());
        }
        for refusal in &draft.refused {
            let filters = refusal.counts.iter().map(|(filter, _)| filter.word());
            let none = refusal.counts.is_empty().then_some("none");
            for filter in filters.chain(none) {
                self.refusals.get_or_create(&[("filter", filter)]).inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use swarm_core::scheduler::{Filter, Refusal};
    use swarm_model::{Task, Time};

    use super::*;

    #[test]
    fn what_was_written_is_counted_by_time_and_filter() {
        let meters = Meters::default();
        let mut draft = Draft::default();
        let mut task = Task { id: "a".into(), created_at: Time(1), ..Task::default() };
        task.status.timestamp = Time(2_000_000_001);
        draft.assigned.insert(task.id.clone());
        draft.tasks.insert(task.id.clone(), task);
        let by = |counts: &[(Filter, usize)]| Arc::new(Refusal { counts: counts.to_vec() });
        draft.refused = vec![
            by(&[(Filter::Constraint, 3), (Filter::Resources, 1)]),
            by(&[(Filter::Constraint, 4)]),
            by(&[]),
        ];
        meters.written(&draft);
        let count = |filter| meters.refusals.get_or_create(&[("filter", filter)]).get();
        assert_eq!((count("constraint"), count("resources"), count("none")), (2, 1, 1));
        assert_eq!(count("platform"), 0);
        assert!(format!("{:?}", meters.delays).contains("sum: 2.0"), "{:?}", meters.delays);
    }
}
