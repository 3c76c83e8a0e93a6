//! What the commands around tokens are given: flags, and where the token service is.
//!
//! The service's address comes from `--discovery-url`, from `--discovery-opt token.url=…`, or from
//! SWARM_DISCOVERY_URL, which alone may be set and not used.

use clap::{Args, Subcommand};
use swarm_discovery::{DiscoveryOptions, Site, TokenOptions, TokenService};

use crate::cli::DiscoveryFlags;
use crate::config::{Env, pairs, set};
use crate::usage::UsageError;

/// The option that holds the address.
const URL: &str = "token.url";

/// What `swarm discovery --help` ends with.
pub const SERVICE_EXAMPLES: &str = "\
Examples:
  swarm discovery --data-dir /var/lib/swarm-discovery
      a service for this machine, on tcp://127.0.0.1:2374
  swarm discovery --listen tcp://0.0.0.0:2374 --tlscert cert.pem --tlskey key.pem
      a service for others;  then:
      export SWARM_DISCOVERY_URL=https://HOST:2374;  swarm create
  swarm discovery list --owner-key-file /var/lib/swarm-discovery/owner.key
      its tokens, with their engines

Signals:
  SIGHUP reads the TLS files again; SIGTERM and SIGINT end in order, a second one at once.";

/// Where a token service is, and how it is reached.
#[derive(Debug, Args)]
pub struct SiteFlags {
    /// Where the token service is: https://HOST:PORT [env: SWARM_DISCOVERY_URL]
    #[arg(long = "discovery-url", value_name = "URL")]
    pub url: Option<String>,
    /// token.cacertfile, token.certfile or token.keyfile, for a service with TLS of your own; may
    /// be repeated
    #[arg(long = "discovery-opt", value_name = "KEY=VALUE")]
    pub options: Vec<String>,
}

/// Flags of `swarm create`.
#[derive(Debug, Args)]
pub struct CreateFlags {
    /// Which service.
    #[command(flatten)]
    pub site: SiteFlags,
}

/// Flags of `swarm discovery`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ServiceFlags {
    /// What to do other than serve.
    #[command(subcommand)]
    pub command: Option<OwnerCommand>,
    /// Address to serve on: tcp://HOST:PORT; may be repeated [default: tcp://127.0.0.1:2374]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Where tokens and the owner's key are kept [default: /var/lib/swarm-discovery]
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// A token that is not used for so long is dropped, 1m or more [default: 720h]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub expire: Option<String>,
    /// The owner's key, instead of one made in the data directory
    #[arg(long, value_name = "FILE")]
    pub owner_key_file: Option<String>,
    /// Our certificate: serve HTTPS; needs --tlskey
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlscert: Option<String>,
    /// Its key
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlskey: Option<String>,
    /// Let in only clients with a certificate of this CA
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlscacert: Option<String>,
}

/// What the owner of a service can do.
#[derive(Debug, Subcommand)]
pub enum OwnerCommand {
    /// List all tokens of a service with their engines
    List(OwnerFlags),
    /// Remove a token and its registrations
    Remove {
        /// Which service, and the right to.
        #[command(flatten)]
        owner: OwnerFlags,
        /// The token
        #[arg(value_name = "TOKEN")]
        token: String,
    },
}

/// Flags of the owner's commands.
#[derive(Debug, Args)]
pub struct OwnerFlags {
    /// Which service.
    #[command(flatten)]
    pub site: SiteFlags,
    /// The file with the owner's key: owner.key in the service's data directory
    #[arg(long, value_name = "FILE")]
    pub owner_key_file: String,
}

/// Puts the service's address among the options of a `token://` discovery that does not name it
/// itself.
pub fn add_service(
    options: &mut DiscoveryOptions,
    flags: &DiscoveryFlags,
    url: Option<&str>,
    env: Env<'_>,
) -> Result<(), UsageError> {
    let (scheme, rest) = url.and_then(|url| url.trim().split_once("://")).unwrap_or_default();
    let is_token = scheme.eq_ignore_ascii_case("token");
    match (&flags.service, is_token) {
        (Some(service), true) => add(options, service),
        (Some(service), false) => {
            let problem = "only token://TOKEN has a token service; give one as DISCOVERY";
            Err(UsageError::value("--discovery-url", service, problem))
        }
        (None, true) if !rest.contains('/') && !options.contains_key(URL) => {
            options.extend(set(env, "SWARM_DISCOVERY_URL").map(|set| (URL.to_owned(), set)));
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

fn add(options: &mut DiscoveryOptions, service: &str) -> Result<(), UsageError> {
    match options.insert(URL.to_owned(), service.to_owned()) {
        Some(other) if other != service => Err(UsageError::flags(
            "the token service is given twice: --discovery-url and --discovery-opt token.url; \
             give one",
        )),
        _ => Ok(()),
    }
}

impl SiteFlags {
    /// The service that they name.
    pub fn service(&self, command: &str, env: Env<'_>) -> Result<TokenService, UsageError> {
        let mut options = pairs("--discovery-opt", &self.options)?;
        if let Some(url) = &self.url {
            add(&mut options, url)?;
        }
        let options = TokenOptions::parse(&options)?;
        let url = options.url.clone().or_else(|| set(env, "SWARM_DISCOVERY_URL"));
        let url = url.ok_or_else(|| {
            UsageError::flags(format!(
                "{command} needs a token service (the public one is gone): run one with 'swarm \
                 discovery' and give its address by --discovery-url or SWARM_DISCOVERY_URL; a pool \
                 without tokens is told its engines in a list or a file, see 'swarm manage --help'"
            ))
        })?;
        Ok(TokenService::new(Site::parse(&url)?, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(
        url: &str,
        flag: Option<&str>,
        option: Option<&str>,
        variable: Option<&str>,
    ) -> Result<Option<String>, UsageError> {
        let flags =
            DiscoveryFlags { service: flag.map(str::to_owned), ..DiscoveryFlags::default() };
        let mut options: DiscoveryOptions =
            option.map(|url| (URL.to_owned(), url.to_owned())).into_iter().collect();
        let env =
            |name: &str| variable.filter(|_| name == "SWARM_DISCOVERY_URL").map(str::to_owned);
        add_service(&mut options, &flags, Some(url), &env)?;
        Ok(options.remove(URL))
    }

    #[test]
    fn the_service_is_found_where_it_is_given() {
        for (url, flag, option, variable, expected) in [
            ("token://x", Some("a"), None, Some("c"), Some("a")),
            ("TOKEN://x", None, Some("b"), Some("c"), Some("b")),
            ("token://x", None, None, Some("c"), Some("c")),
            ("token://x", Some("a"), Some("a"), None, Some("a")),
            ("token://h/x", None, None, Some("c"), None),
            ("token://x", None, None, Some(" "), None),
            ("a:1", None, None, Some("c"), None),
        ] {
            let found = added(url, flag, option, variable).unwrap();
            assert_eq!(found.as_deref(), expected, "{url} {flag:?} {option:?} {variable:?}");
        }
    }

    #[test]
    fn an_address_that_has_no_use_is_refused() {
        let error = added("a:1", Some("http://h"), None, None).unwrap_err().to_string();
        assert!(error.contains("--discovery-url") && error.contains("only token://"), "{error}");
        let error = added("token://x", Some("a"), Some("b"), None).unwrap_err().to_string();
        assert!(error.contains("given twice"), "{error}");
    }
}
