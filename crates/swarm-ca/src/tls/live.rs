//! What changes while a server listens: the trusted roots and our own certificate. A handshake sees
//! either the old or the new, never half.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};

use zeroize::Zeroize as _;

use crate::disk::Stored;
use crate::identity::Identity;
use crate::roots::Roots;

/// Why TLS is not set up.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// rustls refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Our own certificate with its key, ready for handshakes.
#[derive(Clone)]
pub struct Credentials {
    certified: Arc<CertifiedKey>,
    identity: Identity,
}

impl Credentials {
    /// From what was kept or just issued.
    pub fn new(stored: &Stored) -> Result<Self, TlsError> {
        let mut der = stored.key.for_tls();
        let key = any_supported_type(&der);
        der.zeroize();
        let key = key?;
        let certified = CertifiedKey::new(stored.chain.clone(), key);
        certified.keys_match()?;
        Ok(Self { certified: Arc::new(certified), identity: stored.identity.clone() })
    }

    /// Who we are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.identity).finish()
    }
}

#[derive(Debug)]
struct Trusted {
    roots: Roots,
    store: Arc<RootCertStore>,
}

/// The roots and the certificate of the moment.
#[derive(Debug)]
pub struct Live {
    trusted: ArcSwap<Trusted>,
    own: ArcSwapOption<Credentials>,
}

impl Live {
    /// With these roots, and no certificate yet.
    pub fn new(roots: Roots) -> Result<Arc<Self>, TlsError> {
        let trusted = Self::trusted(roots)?;
        Ok(Arc::new(Self { trusted: ArcSwap::from_pointee(trusted), own: ArcSwapOption::empty() }))
    }

    /// Trusts these from the next handshake on, and no others.
    pub fn replace_roots(&self, roots: Roots) -> Result<(), TlsError> {
        self.trusted.store(Arc::new(Self::trusted(roots)?));
        Ok(())
    }

    /// Shows this certificate from the next handshake on.
    pub fn replace_own(&self, own: Credentials) {
        self.own.store(Some(Arc::new(own)));
    }

    /// The roots of the moment.
    pub fn roots(&self) -> Roots {
        self.trusted.load().roots.clone()
    }

    /// Who we are at the moment.
    pub fn identity(&self) -> Option<Identity> {
        self.own.load().as_ref().map(|own| own.identity.clone())
    }

    pub(crate) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.trusted.load().store)
    }

    fn trusted(roots: Roots) -> Result<Trusted, TlsError> {
        let store = Arc::new(roots.store()?);
        Ok(Trusted { roots, store })
    }

    fn certified(&self) -> Option<Arc<CertifiedKey>> {
        self.own.load().as_ref().map(|own| Arc::clone(&own.certified))
    }
}

impl ResolvesServerCert for Live {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified()
    }
}

impl ResolvesClientCert for Live {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certified()
    }

    fn has_certs(&self) -> bool {
        self.own.load().is_some()
    }
}
