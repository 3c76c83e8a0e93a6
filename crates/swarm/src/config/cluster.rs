//! `--cluster-opt`.

use swarm_discovery::DiscoveryOptions;
use swarm_model::StalePolicy;
use swarm_model::intent::UnknownPolicy;
use swarm_pool::RescheduleConfig;

use super::pairs;
use crate::usage::UsageError;
use crate::values::duration;

/// `--cluster-opt`'s values.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Share of an engine's resources given away beyond what it has; more than -1.
    pub overcommit: f64,
    /// Further engines tried when a create fails.
    pub create_retries: u32,
    /// What becomes of containers whose engine fails.
    pub reschedule: RescheduleConfig,
}

impl ClusterOptions {
    pub(super) fn parse(
        texts: &[String],
        discovery: &mut DiscoveryOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self, UsageError> {
        let mut options =
            Self { overcommit: 0.05, create_retries: 0, reschedule: RescheduleConfig::default() };
        for (key, value) in pairs("--cluster-opt", texts)? {
            let text = format!("{key}={value}");
            let wrong = |problem: String| UsageError::value("--cluster-opt", &text, problem);
            match key.as_str() {
                "swarm.overcommit" => {
                    options.overcommit = value
                        .parse()
                        .ok()
                        .filter(|ratio: &f64| ratio.is_finite())
                        .ok_or_else(|| wrong("expected a number, such as 0.05".to_owned()))?;
                    if options.overcommit <= -1.0 {
                        let given = options.overcommit;
                        return Err(wrong(format!(
                            "swarm.overcommit should be larger than -1, {given:.6} is invalid"
                        )));
                    }
                    if options.overcommit < 0.0 {
                        notes.push(
                            "-1 < swarm.overcommit < 0: the pool uses less than its engines have"
                                .to_owned(),
                        );
                    }
                }
                "swarm.createretry" => {
                    options.create_retries = value.parse().map_err(|_| {
                        wrong(match value.parse::<i64>() {
                            Ok(given) if given < 0 => {
                                format!("swarm.createretry can not be negative, {given} is invalid")
                            }
                            _ => "expected a whole number, 0 or more".to_owned(),
                        })
                    })?;
                }
                "swarm.reschedule" => {
                    options.reschedule.policy =
                        value.parse().map_err(|error: UnknownPolicy| wrong(error.to_string()))?;
                }
                "swarm.reschedule.stale" => {
                    options.reschedule.stale = match value.as_str() {
                        "remove" => StalePolicy::Remove,
                        "keep" => StalePolicy::Keep,
                        _ => return Err(wrong("expected remove or keep".to_owned())),
                    };
                }
                "swarm.reschedule.grace" => {
                    options.reschedule.grace =
                        duration("--cluster-opt swarm.reschedule.grace", &value)?;
                }
                "swarm.rebalance" => {
                    options.reschedule.rebalance = match value.as_str() {
                        "auto" => true,
                        "off" => false,
                        _ => return Err(wrong("expected auto or off".to_owned())),
                    };
                }
                key if key.starts_with("kv.") => {
                    discovery.insert(key.to_owned(), value);
                }
                _ => {
                    return Err(wrong(
                        "unknown option; known are swarm.overcommit, swarm.createretry, \
                         swarm.reschedule, swarm.reschedule.grace, swarm.reschedule.stale, \
                         swarm.rebalance, and kv. options for the discovery"
                            .to_owned(),
                    ));
                }
            }
        }
        Ok(options)
    }
}
