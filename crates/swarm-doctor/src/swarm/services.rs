//! A swarm's services: those that lack tasks, and those whose update has stopped.

use std::collections::BTreeMap;

use serde_json::Value;
use swarm_docker::json::text;

use super::list;
use crate::verdict::{Level, Verdict};

/// Different reasons that are named for one service.
const REASONS: usize = 3;

/// A service of which fewer tasks run than should, with the reasons of those that do not.
pub(super) fn lacking(service: &Value, tasks: &Value, verdict: &mut Verdict) {
    let status = &service["ServiceStatus"];
    let count = |key: &str| status[key].as_u64().unwrap_or_default();
    let (running, desired) = (count("RunningTasks"), count("DesiredTasks"));
    if running >= desired {
        return;
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let own = list(tasks).iter().filter(|task| task["ServiceID"] == service["ID"]);
    for task in own.filter(|task| task["Status"]["State"] != "running") {
        let words = ["Err", "Message", "State"].map(|key| text(&task["Status"][key]));
        let reason = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
        *reasons.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reasons: Vec<_> =
        reasons.iter().take(REASONS).map(|(reason, count)| format!("{count} × {reason}")).collect();
    let name = text(&service["Spec"]["Name"]);
    let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    let what = format!("service {name}: {running} of {desired} run{why}");
    // An update takes tasks away one after the other.
    let is_updating = service["UpdateStatus"]["State"] == "updating";
    let level = if is_updating { Level::Healthy } else { Level::Warning };
    verdict.find(level, what, format!("docker service ps --no-trunc {name}"));
}

/// A service whose update has stopped.
pub(super) fn updated(service: &Value, verdict: &mut Verdict) {
    let state = service["UpdateStatus"]["State"].as_str().unwrap_or_default();
    if !matches!(state, "paused" | "rollback_paused") {
        return;
    }
    let name = text(&service["Spec"]["Name"]);
    let words = text(&service["UpdateStatus"]["Message"]);
    let what = format!("service {name}: its update has stopped: {words}");
    let todo = format!("mend it with docker service update, or docker service rollback {name}");
    verdict.find(Level::Warning, what, todo);
}
