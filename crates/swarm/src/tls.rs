//! TLS by classic Swarm's rules: one set of files serves both sides, as the certificate shown
//! to clients and as the one shown to engines. With `--tlsverify` clients and engines must
//! have a certificate of the CA; with `--tls` alone connections are encrypted and nobody is
//! verified.
//!
//! It leaves reading PEM files to swarm-api and swarm-engine. Invariant: a reload that fails
//! changes nothing on either side that failed, and says which file it was.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use swarm_api::tls::{ServerFiles, ServerTls};
use swarm_engine::{TlsClient, TlsFiles};

/// The TLS flags, checked for completeness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPaths {
    /// `--tlscacert`; always there when `verify`.
    pub ca: Option<PathBuf>,
    /// `--tlscert`.
    pub cert: PathBuf,
    /// `--tlskey`.
    pub key: PathBuf,
    /// `--tlsverify`.
    pub verify: bool,
}

/// Both sides' TLS, loaded.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Towards clients.
    pub server: Option<Arc<ServerTls>>,
    /// Towards browsers: the same certificate, and no certificate asked of them, for the page's
    /// token lets them in.
    pub page: Option<Arc<ServerTls>>,
    /// Towards engines.
    pub client: Option<TlsClient>,
}

impl Tls {
    /// Loads what the flags name; `engine` are other files for the engines' side, where
    /// the flags name none (the Docker client's own, for a pool of one).
    pub fn load(paths: Option<&TlsPaths>, engine: Option<&TlsFiles>) -> anyhow::Result<Self> {
        let server = |verify: bool| {
            let load = |paths: &TlsPaths| {
                ServerTls::load(ServerFiles {
                    cert: paths.cert.clone(),
                    key: paths.key.clone(),
                    verify_clients_with: paths.ca.clone().filter(|_| verify && paths.verify),
                })
            };
            paths.map(load).transpose().context("TLS towards clients")
        };
        let (server, page) = (server(true)?, server(false)?);
        let files = paths.map(|paths| TlsFiles {
            ca: paths.ca.clone().filter(|_| paths.verify),
            cert: Some(paths.cert.clone()),
            key: Some(paths.key.clone()),
            verify: paths.verify,
        });
        let client = files
            .or_else(|| engine.cloned())
            .map(TlsClient::load)
            .transpose()
            .context("TLS towards engines")?;
        Ok(Self { server, page, client })
    }

    /// Whether there are any files to read again.
    pub fn is_used(&self) -> bool {
        self.server.is_some() || self.client.is_some()
    }

    /// Reads all files again; each side that fails goes on with what it had.
    pub fn reload(&self) -> anyhow::Result<()> {
        let server = self.server.as_ref().map_or(Ok(()), |server| server.reload());
        let page = self.page.as_ref().map_or(Ok(()), |page| page.reload());
        let client = self.client.as_ref().map_or(Ok(()), TlsClient::reload);
        server.and(page).context("TLS towards clients")?;
        client.context("TLS towards engines")
    }
}
