//! `insertDefaults` of `GET /services/{id}` (API v1.29): what holds where a spec says nothing
//! (swarmkit `api/defaults/service.go`).

use std::sync::Arc;

use serde_json::json;
use swarm_model::ServiceSpec;
use swarm_model::service::update::DEFAULT_MONITOR;
use swarm_model::service::{Condition, Placement, ResourceRequirements, UpdateConfig, restart};

/// Nanoseconds that a container is given to stop (10 s).
const STOP_GRACE: i64 = 10_000_000_000;

/// Writes what holds into the spec.
pub(super) fn insert(spec: &mut ServiceSpec) {
    let is_job = spec.mode.decided().is_job();
    let task = Arc::make_mut(&mut spec.task_template);
    if let Some(container) = &mut task.container_spec {
        container.rest.entry("StopGracePeriod").or_insert_with(|| json!(STOP_GRACE));
        container.rest.entry("DNSConfig").or_insert_with(|| json!({}));
    }
    task.resources.get_or_insert_with(ResourceRequirements::default);
    task.placement.get_or_insert_with(Placement::default);
    let policy = task.restart_policy.get_or_insert_default();
    policy.condition.get_or_insert(if is_job { Condition::OnFailure } else { Condition::Any });
    policy.delay.get_or_insert(restart::DEFAULT_DELAY);
    policy.max_attempts.get_or_insert(0);
    if is_job {
        return;
    }
    for config in [&mut spec.update_config, &mut spec.rollback_config] {
        let config = config.get_or_insert_with(UpdateConfig::default);
        if config.monitor == 0 {
            config.monitor = DEFAULT_MONITOR;
        }
    }
}
