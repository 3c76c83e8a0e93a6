//! The TLS flags of what serves the Docker API, as classic Swarm and Docker's engine have them.

use clap::Args;

use crate::values::boolean;

/// TLS of a server.
#[derive(Debug, Default, Args)]
pub struct TlsFlags {
    /// Use TLS towards clients and engines; implied by --tlsverify
    #[arg(long, help_heading = "TLS", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    pub tls: bool,
    /// Use TLS, and let in only clients and engines with a certificate of the CA
    #[arg(long, help_heading = "TLS", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    pub tlsverify: bool,
    /// The CA's certificate; needed by --tlsverify
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlscacert: Option<String>,
    /// Our certificate, for both sides; needed by --tls and --tlsverify
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlscert: Option<String>,
    /// Its key; needed by --tls and --tlsverify
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlskey: Option<String>,
}
