//! The page of a pool or a swarm: its flags, the door it is served behind, and what stands behind it
//! (`inside`).
//!
//! Invariants: beyond this machine it is served over TLS, and to nobody without the token: what it
//! shows (configurations, environments, output) is for those who run the pool; it acts only where it was
//! told to.

mod inside;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use swarm_listen::TlsSource;
use swarm_visualizer::{Door, Guard, Token};
use tokio::net::TcpListener;
use tracing::info;

use crate::cli::PageArgs;
use crate::config::{Env, set};
use crate::tls::Tls;
use crate::usage::UsageError;
use crate::values::{Listen, boolean, listen};

pub use inside::inside;

/// `--ui` with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFlags {
    /// `HOST:PORT`.
    pub address: String,
    /// `--ui-token-file`.
    pub token: Option<PathBuf>,
    /// `--ui-write`.
    pub writes: bool,
}

impl PageFlags {
    /// Reads and checks the flags; `None` when no page is wanted.
    pub fn resolve(flags: &PageArgs, tls: bool, env: Env<'_>) -> Result<Option<Self>, UsageError> {
        let given = |flag: &Option<String>, name: &str| {
            flag.clone().filter(|text| !text.trim().is_empty()).or_else(|| set(env, name))
        };
        let token = given(&flags.ui_token_file, "SWARM_UI_TOKEN_FILE").map(PathBuf::from);
        let Some(text) = given(&flags.ui, "SWARM_UI") else {
            if flags.ui_token_file.is_some() {
                return Err(UsageError::flags("--ui-token-file needs --ui HOST:PORT"));
            }
            if flags.ui_write == Some(true) {
                return Err(UsageError::flags("--ui-write needs --ui HOST:PORT"));
            }
            return Ok(None);
        };
        let Listen::Tcp(address) = listen("--ui", &text)? else {
            let problem = "the page is for browsers: expected HOST:PORT";
            return Err(UsageError::value("--ui", &text, problem));
        };
        let guarded = tls && token.is_some();
        if !guarded && !is_loopback(&address) {
            let missing = match (tls, token.is_some()) {
                (false, false) => "TLS and a token are",
                (false, true) => "TLS is",
                (true, _) => "a token is",
            };
            let problem = format!(
                "whoever reaches this address would see everything of the pool, and {missing} \
                 missing: give --tls (or --tlsverify) with --tlscert FILE and --tlskey FILE, and \
                 --ui-token-file FILE with a secret of 16 characters or more (such as `openssl rand \
                 -hex 16` prints); or serve it on 127.0.0.1 and reach it through `ssh -L`"
            );
            return Err(UsageError::value("--ui", &text, problem));
        }
        let writes = match (flags.ui_write, set(env, "SWARM_UI_WRITE")) {
            (Some(writes), _) => writes,
            (None, None) => false,
            (None, Some(text)) => boolean(&text)
                .map_err(|problem| UsageError::value("SWARM_UI_WRITE", &text, problem))?,
        };
        Ok(Some(Self { address, token, writes }))
    }

    /// Reads the token and binds the address.
    pub async fn open(&self, tls: &Tls) -> anyhow::Result<Door> {
        let guard = match &self.token {
            None => Guard::Local,
            Some(path) => {
                let text = tokio::fs::read_to_string(path).await;
                let text = text.with_context(|| format!("--ui-token-file {}", path.display()))?;
                let token = Token::new(&text).map_err(anyhow::Error::msg);
                Guard::Token(token.with_context(|| format!("--ui-token-file {}", path.display()))?)
            }
        };
        let listener = TcpListener::bind(&self.address)
            .await
            .with_context(|| format!("cannot serve the page on {}", self.address))?;
        let tls = tls.page.clone().map(|tls| Arc::new(move || tls.current()) as TlsSource);
        let scheme = if tls.is_some() { "https" } else { "http" };
        info!("the page is at {scheme}://{}/", listener.local_addr()?);
        if self.writes {
            info!("the page may act: --ui-write was given; each action is told here");
        }
        let place = swarm_listen::Door { listener, tls };
        Ok(Door { place, guard, writes: self.writes })
    }
}

/// A name is looked up only when it is bound, so that of names only `localhost` is taken for one of
/// this machine's own.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn resolve(arguments: &[&str], tls: bool, env: Env<'_>) -> Result<Option<PageFlags>, String> {
        let cli = Cli::try_parse_from([&["swarm", "manage"], arguments].concat()).unwrap();
        let Some(Command::Manage(flags)) = cli.command else { unreachable!() };
        PageFlags::resolve(&flags.page, tls, env).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_off_until_it_is_asked_for() {
        let none = |_: &str| None;
        assert_eq!(resolve(&[], false, &none), Ok(None));
        let error = resolve(&["--ui-token-file", "t"], false, &none).unwrap_err();
        assert!(error.contains("needs --ui"), "{error}");
        let env = |name: &str| (name == "SWARM_UI").then(|| "localhost:8080".to_owned());
        let page = resolve(&[], false, &env).unwrap().unwrap();
        assert_eq!((page.address.as_str(), page.token), ("localhost:8080", None));
        assert!(!page.writes);
    }

    #[test]
    fn it_acts_only_where_that_was_said() {
        let none = |_: &str| None;
        let writes = |arguments: &[&str], env: Env<'_>| {
            resolve(arguments, false, env).map(|page| page.is_some_and(|page| page.writes))
        };
        let ui = ["--ui", "localhost:0"];
        assert_eq!(writes(&[&ui[..], &["--ui-write"]].concat(), &none), Ok(true));
        let env = |text: &'static str| {
            move |name: &str| (name == "SWARM_UI_WRITE").then(|| text.to_owned())
        };
        assert_eq!(writes(&ui, &env("true")), Ok(true));
        assert_eq!(writes(&[&ui[..], &["--ui-write=false"]].concat(), &env("1")), Ok(false));
        assert!(writes(&ui, &env("perhaps")).unwrap_err().contains("SWARM_UI_WRITE"));
        assert!(writes(&["--ui-write"], &none).unwrap_err().contains("needs --ui"));
    }

    #[test]
    fn beyond_this_machine_it_needs_tls_and_a_token() {
        let none = |_: &str| None;
        for local in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:80", "localhost:80"] {
            assert!(resolve(&["--ui", local], false, &none).is_ok(), "{local}");
        }
        let token = ["--ui-token-file", "t"];
        for open in [":80", "0.0.0.0:80", "10.0.0.1:80", "[::]:80", "manager.example:80"] {
            for (tls, token, missing) in [
                (false, &[][..], "and TLS and a token are missing: give"),
                (false, &token, "TLS is missing"),
                (true, &[], "a token is missing"),
            ] {
                let error = resolve(&[&["--ui", open], token].concat(), tls, &none).unwrap_err();
                assert!(
                    error.contains(missing) && error.contains("--ui-token-file FILE"),
                    "{error}"
                );
            }
            assert!(resolve(&[&["--ui", open], &token[..]].concat(), true, &none).is_ok());
        }
        assert!(resolve(&["--ui", "unix:///s"], false, &none).unwrap_err().contains("HOST:PORT"));
        assert!(resolve(&["--ui", "8080"], false, &none).is_err());
    }
}
