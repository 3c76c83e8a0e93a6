//! Flags of what is sent to StatsD, the same for all that have metrics.

use clap::Args;

/// Flags of `--statsd`.
#[derive(Debug, Default, Args)]
pub struct StatsdFlags {
    /// StatsD server to send the same metrics to, by UDP [env: SWARM_STATSD]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Metrics")]
    pub statsd: Option<String>,
    /// How to send them: statsd (labels become parts of names) or dogstatsd (labels are tags)
    /// [default: statsd] [env: SWARM_STATSD_FORMAT]
    #[arg(long, value_name = "FORMAT", help_heading = "Metrics")]
    pub statsd_format: Option<String>,
    /// How often to send them; 1s or more [default: 10s] [env: SWARM_STATSD_INTERVAL]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, help_heading = "Metrics")]
    pub statsd_interval: Option<String>,
    /// What their names begin with [default: swarm] [env: SWARM_STATSD_PREFIX]
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true, help_heading = "Metrics")]
    pub statsd_prefix: Option<String>,
}
