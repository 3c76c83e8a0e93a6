//! Flags of an agent that registers its engine's services, too: those of `swarm registrator`, each with
//! `register-` before it.

use clap::Args;

use super::registrator::{RegistratorFlags, Spelling};
use crate::config::{Env, set};
use crate::usage::UsageError;

/// Flags of `--register`.
#[derive(Debug, Default, Clone, Args)]
pub struct RegisterFlags {
    /// Also write this engine's published ports to a service registry, as swarm registrator does:
    /// consul://HOST:PORT, consulkv://HOST:PORT[/PREFIX] or etcd://HOST:PORT[/PREFIX]
    /// [env: SWARM_REGISTER]
    #[arg(long, value_name = "BACKEND", help_heading = "Registration of services")]
    pub register: Option<String>,
    /// This host's name in ids and marks; no other host may have it [default: the engine's]
    #[arg(long, value_name = "NAME", help_heading = "Registration of services")]
    pub register_hostname: Option<String>,
    /// The address of every service [default: the one a port is published on, or the one that
    /// other hosts reach this one by]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "register_internal")]
    #[arg(help_heading = "Registration of services")]
    pub register_ip: Option<String>,
    /// Register containers' own addresses and exposed ports, not the published ones
    #[arg(long, help_heading = "Registration of services")]
    pub register_internal: bool,
    /// Leave out containers without SERVICE_NAME
    #[arg(long, help_heading = "Registration of services")]
    pub register_explicit: bool,
    /// Tags of every service, parted by commas
    #[arg(long, value_name = "LIST", help_heading = "Registration of services")]
    pub register_tags: Option<String>,
    /// How long an entry lives that nobody refreshes; 0 for ever [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    #[arg(help_heading = "Registration of services")]
    pub register_ttl: Option<String>,
    /// Time between two refreshes; less than the TTL [default: a third of it]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    #[arg(help_heading = "Registration of services")]
    pub register_ttl_refresh: Option<String>,
    /// Time between two readings of everything, 1s or more [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    #[arg(help_heading = "Registration of services")]
    pub register_resync: Option<String>,
    /// When a container's end takes its entries out: always, or on-success [default: always]
    #[arg(long, value_name = "WHEN", help_heading = "Registration of services")]
    pub register_deregister: Option<String>,
    /// What a clean stop does with the entries: leave or deregister [default: leave]
    #[arg(long, value_name = "WHAT", help_heading = "Registration of services")]
    pub register_on_stop: Option<String>,
    /// Take out entries of this host that another registrator left in Consul's catalogue, too
    #[arg(long, help_heading = "Registration of services")]
    pub register_cleanup: bool,
    /// An option of the registry, such as kv.tokenfile=FILE; may be repeated
    #[arg(
        long = "register-opt",
        value_name = "KEY=VALUE",
        help_heading = "Registration of services"
    )]
    pub register_options: Vec<String>,
}

impl RegisterFlags {
    /// As `swarm registrator` has them; nothing where nothing is to be registered. `engine` is the one
    /// whose containers are, and `ip` the address of services where no flag gives one.
    pub fn given(
        self,
        engine: Option<String>,
        ip: Option<String>,
        env: Env<'_>,
    ) -> Result<Option<RegistratorFlags>, UsageError> {
        let named = self.register.filter(|text| !text.trim().is_empty());
        let Some(backend) = named.or_else(|| set(env, "SWARM_REGISTER")) else {
            let others = [
                ("hostname", self.register_hostname.is_some()),
                ("ip", self.register_ip.is_some()),
                ("internal", self.register_internal),
                ("explicit", self.register_explicit),
                ("tags", self.register_tags.is_some()),
                ("ttl", self.register_ttl.is_some()),
                ("ttl-refresh", self.register_ttl_refresh.is_some()),
                ("resync", self.register_resync.is_some()),
                ("deregister", self.register_deregister.is_some()),
                ("on-stop", self.register_on_stop.is_some()),
                ("cleanup", self.register_cleanup),
                ("opt", !self.register_options.is_empty()),
            ];
            return match others.iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(UsageError::flags(format!(
                    "--register-{name} needs --register BACKEND, such as consul://127.0.0.1:8500"
                ))),
                None => Ok(None),
            };
        };
        let internal = self.register_internal;
        Ok(Some(RegistratorFlags {
            backend,
            engine,
            hostname: self.register_hostname,
            ip: self.register_ip.or_else(|| ip.filter(|_| !internal)),
            internal,
            explicit: self.register_explicit,
            tags: self.register_tags,
            ttl: self.register_ttl,
            ttl_refresh: self.register_ttl_refresh,
            resync: self.register_resync,
            deregister: self.register_deregister,
            on_stop: self.register_on_stop,
            cleanup: self.register_cleanup,
            options: self.register_options,
            spelling: Spelling::Within,
        }))
    }
}
