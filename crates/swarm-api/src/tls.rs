//! The server's TLS identity: loading it from PEM files, and loading it again on demand.
//!
//! Invariant: a failed reload leaves the identity in use as it was; a connection keeps the identity
//! it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The PEM files of a TLS endpoint (`--tlscert`, `--tlskey`, `--tlscacert`, `--tlsverify`).
#[derive(Debug, Clone)]
pub struct ServerFiles {
    /// The server's certificate, its chain after it.
    pub cert: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// The authorities whose client certificates are accepted: with any, a client without such a
    /// certificate is refused (`--tlsverify`); with `None` every client is let in (`--tls`).
    pub verify_clients_with: Option<PathBuf>,
}

/// Why an identity cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("cannot read the {what} from {path}: {source}", path = path.display())]
    Read {
        /// Which of the files.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A file is PEM and has no certificate in it.
    #[error("no certificate in {path}", path = path.display())]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// An authority's certificate is not usable.
    #[error("cannot use the CA certificates in {path}: {reason}", path = path.display())]
    Authority {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not make an identity (they may not belong together).
    #[error("cannot use certificate {cert} with key {key}: {source}", cert = cert.display(),
        key = key.display())]
    Identity {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// A TLS identity that can be loaded again while it is in use.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerFiles,
    current: ArcSwap<ServerConfig>,
}

impl ServerTls {
    /// Loads the identity from `files`.
    pub fn load(files: ServerFiles) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from(server_config(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    /// Reads the files again; connections from now on get the new identity.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(server_config(&self.files)?);
        Ok(())
    }

    /// The identity in use, for the next connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// Builds what a TLS endpoint needs from its files.
pub fn server_config(files: &ServerFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let identity =
        |source| TlsError::Identity { cert: files.cert.clone(), key: files.key.clone(), source };
    let chain = certificates("server certificate", &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Read {
        what: "server key",
        path: files.key.clone(),
        source,
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(identity)?;
    let builder = match &files.verify_clients_with {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(identity)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refused = |reason: String| TlsError::Authority { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for authority in certificates("CA certificates", path)? {
        roots.add(authority).map_err(|error| refused(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| refused(error.to_string()))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Read { what, path: path.to_owned(), source };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if found.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(found)
}
