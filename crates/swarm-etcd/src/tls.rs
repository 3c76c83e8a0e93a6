//! TLS towards etcd: PEM files to a client configuration, and who is who in a failed handshake.
//! Errors name a file, never its content.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use swarm_kv::{StoreError, StoreOptions};
use swarm_tls::Sides;

/// The configuration that the options ask for; none where they ask for no TLS.
pub(crate) fn config(options: &StoreOptions) -> Result<Option<Arc<ClientConfig>>, StoreError> {
    if !options.uses_tls() {
        return Ok(None);
    }
    let Some(ca) = &options.ca else {
        return Err(wrong(
            "kv.cacertfile",
            "TLS needs the authority that etcd's certificates come from; where it is a public one, \
             give the system's list, as /etc/ssl/certs/ca-certificates.crt",
        ));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("kv.cacertfile", ca)? {
        roots.add(certificate).map_err(|error| {
            wrong(
                &named("kv.cacertfile", ca),
                format!("it is not an authority's certificate: {error}"),
            )
        })?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("kv.cacertfile", error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates("kv.certfile", cert)?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable("kv.keyfile", key, &error, "private key"))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| wrong("kv.certfile, kv.keyfile", error.to_string()))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(wrong("kv.certfile, kv.keyfile", "a certificate and its key go together")),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if list.is_empty() => {
            Err(unreadable(option, path, &pem::Error::NoItemsFound, "certificate"))
        }
        Ok(list) => Ok(list),
        Err(error) => Err(unreadable(option, path, &error, "certificate")),
    }
}

fn unreadable(option: &str, path: &Path, error: &pem::Error, kind: &str) -> StoreError {
    let reason = match error {
        pem::Error::Io(error) => format!("cannot read it: {error}"),
        pem::Error::NoItemsFound => format!("there is no {kind} in PEM form in it"),
        // The other variants quote the file, and a key must not reach a log.
        _ => format!("the {kind} in it is not valid PEM"),
    };
    wrong(&named(option, path), reason)
}

fn named(option: &str, path: &Path) -> String {
    format!("{option}={}", path.display())
}

fn wrong(option: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Option { option: format!("--discovery-opt {option}"), reason: reason.into() }
}

/// A handshake with a member.
pub(crate) const SIDES: Sides = Sides {
    peer: "it",
    peers: "its",
    ours: "our certificate",
    trusted: "kv.cacertfile",
    trusted_there: "etcd's --trusted-ca-file",
    given_by: "kv.certfile and kv.keyfile",
    without: "leave kv.cacertfile and kv.certfile away, or give its TLS port",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_serve_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.pem");
        std::fs::write(&file, "nothing\n").unwrap();
        let options = |ca, cert, key| StoreOptions { ca, cert, key, ..StoreOptions::default() };
        for (options, words) in [
            (options(None, Some(file.clone()), Some(file.clone())), "kv.cacertfile: TLS needs"),
            (options(Some("/no/such".into()), None, None), "kv.cacertfile=/no/such: cannot read"),
            (options(Some(file.clone()), None, None), "there is no certificate in PEM form"),
        ] {
            let error = config(&options).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(config(&StoreOptions::default()).unwrap().is_none());
    }
}
