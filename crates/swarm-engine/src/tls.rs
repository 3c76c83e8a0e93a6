//! TLS towards engines: PEM files to a client configuration, and its replacement at run time.
//!
//! The server side of TLS belongs to `swarm-api`; the PEM readers here serve both. Errors name the
//! file, never its content. Connections made before a reload go on with what they had.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// The files `--tlscacert`, `--tlscert`, `--tlskey` name, and whether `--tlsverify` was given.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Authorities the engine's certificate must come from; needed when `verify`.
    pub ca: Option<PathBuf>,
    /// Our certificate, shown to engines that ask; goes with `key`.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Check the engine's certificate. Without it the connection is encrypted, and whoever answers
    /// is believed (classic Swarm's `--tls`).
    pub verify: bool,
}

/// Why TLS cannot be set up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM of the kind.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The set of files does not make sense.
    #[error("{0}")]
    Files(&'static str),
    /// Certificate and key do not go together, or their algorithm is unknown.
    #[error("certificate {} with key {}: {reason}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// From rustls.
        reason: String,
    },
}

/// A client configuration that can be replaced while in use. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct TlsClient {
    files: Arc<TlsFiles>,
    current: Arc<ArcSwap<ClientConfig>>,
}

impl TlsClient {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = client_config(&files)?;
        Ok(Self { files: Arc::new(files), current: Arc::new(ArcSwap::from_pointee(config)) })
    }

    /// Reads the files again. On an error the old configuration stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(client_config(&self.files)?));
        Ok(())
    }

    /// What the next connection uses.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.load_full()
    }
}

/// Every certificate of a PEM file, in order; none is an error.
pub fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| file_error(path, &error, "certificate"))?;
    if certificates.is_empty() {
        return Err(file_error(path, &pem::Error::NoItemsFound, "certificate"));
    }
    Ok(certificates)
}

/// The first private key of a PEM file (PKCS#8, PKCS#1 or SEC1).
pub fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| file_error(path, &error, "private key"))
}

/// The certificates of a PEM file as authorities to trust.
pub fn load_authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in load_certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File {
            path: path.to_owned(),
            reason: format!("not an authority's certificate: {error}"),
        })?;
    }
    Ok(roots)
}

fn file_error(path: &Path, error: &pem::Error, kind: &str) -> TlsError {
    let reason = match error {
        pem::Error::Io(error) => format!("cannot read it: {error}"),
        pem::Error::NoItemsFound => format!("there is no {kind} in PEM form in it"),
        // The other variants quote the file; a key file's content must not reach a log.
        _ => format!("the {kind} in it is not valid PEM"),
    };
    TlsError::File { path: path.to_owned(), reason }
}

fn client_config(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Files("this build has no TLS protocol version"))?;
    let builder = match (files.verify, &files.ca) {
        (true, None) => {
            return Err(TlsError::Files("verifying engines needs a CA file (--tlscacert)"));
        }
        (true, Some(ca)) => {
            let roots = Arc::new(load_authorities(ca)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| TlsError::File { path: ca.clone(), reason: error.to_string() })?;
            builder.with_webpki_verifier(verifier)
        }
        (false, _) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(EncryptOnly { provider }))
        }
    };
    match (&files.cert, &files.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(load_certificates(cert)?, load_key(key)?)
            .map_err(|error| TlsError::Pair {
                cert: cert.clone(),
                key: key.clone(),
                reason: error.to_string(),
            }),
        _ => Err(TlsError::Files("a certificate (--tlscert) and its key (--tlskey) go together")),
    }
}

/// Believes any certificate but still checks that the peer holds its key, which is what `--tls`
/// without `--tlsverify` has always meant.
#[derive(Debug)]
struct EncryptOnly {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for EncryptOnly {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
