//! The flags of the page, which a pool's manager and a swarm's node serve alike.

use clap::Args;

use crate::values::boolean;

/// See the module.
#[derive(Debug, Default, Clone, Args)]
pub struct PageArgs {
    /// Serve the page that shows nodes, containers, tasks and events live, on HOST:PORT; beyond loopback
    /// addresses it needs TLS and --ui-token-file [env: SWARM_UI]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Page")]
    pub ui: Option<String>,
    /// File with the token that lets into the page: 16 characters or more
    /// [env: SWARM_UI_TOKEN_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Page")]
    pub ui_token_file: Option<String>,
    /// Let whoever sees the page act from it: containers, nodes' availability, services, rebalance; without
    /// it the page only shows [env: SWARM_UI_WRITE]
    #[arg(long, help_heading = "Page", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, hide_possible_values = true)]
    pub ui_write: Option<bool>,
}
