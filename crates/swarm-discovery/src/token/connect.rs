//! The HTTP client for a token service, with TLS from the files of the options.
//!
//! It is made when the service is first asked, and again at the next question where that failed: a
//! certificate that is put in place later needs no restart. Errors name option and file, never what
//! is in the file.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};

use crate::{DiscoveryError, TokenOptions};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection without a request is kept: longer than the heartbeat, so that a renewal
/// does not cost a handshake.
const IDLE: Duration = Duration::from_mins(5);

/// A client; `plain` where the service is reached without TLS.
pub(crate) fn client(options: &TokenOptions, plain: bool) -> Result<Client, DiscoveryError> {
    // A redirect would carry the token to whomever it names.
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(2)
        // Every question has a deadline, which finds a peer that is silently gone; probes between
        // two renewals would be more than the renewals.
        .tcp_keepalive(None);
    if let Some(ca) = &options.ca {
        let pem = read("token.cacertfile", ca)?;
        let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if found.is_empty() {
            return Err(wrong("token.cacertfile", ca, "there is no certificate in it, as PEM"));
        }
        builder = builder.tls_certs_only(found);
    } else if plain {
        // Otherwise the system's authorities are read, of which an image of one binary has none.
        builder = builder.tls_certs_only([]);
    }
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        builder = identify(builder, cert, key)?;
    }
    builder.build().map_err(|error| DiscoveryError::TokenOption {
        option: "TLS".to_owned(),
        reason: format!(
            "it cannot be set up: {}; for a service with a certificate of your own give \
             token.cacertfile",
            innermost(&error)
        ),
    })
}

/// What went wrong at the bottom.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn identify(
    builder: ClientBuilder,
    cert: &Path,
    key: &Path,
) -> Result<ClientBuilder, DiscoveryError> {
    let mut pem = read("token.certfile", cert)?;
    if Certificate::from_pem_bundle(&pem).map_or(0, |found| found.len()) == 0 {
        return Err(wrong("token.certfile", cert, "there is no certificate in it, as PEM"));
    }
    pem.push(b'\n');
    pem.extend(read("token.keyfile", key)?);
    let identity = Identity::from_pem(&pem)
        .map_err(|_| wrong("token.keyfile", key, "there is no key in it, as PEM"))?;
    // Whether the two go together shows only when a client is made of them.
    let alone = Client::builder().tls_certs_only([]).identity(identity.clone()).build();
    alone.map_err(|_| wrong("token.keyfile", key, "it is not the key of that certificate"))?;
    Ok(builder.identity(identity))
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, DiscoveryError> {
    std::fs::read(path).map_err(|error| wrong(option, path, &format!("cannot read it: {error}")))
}

fn wrong(option: &str, path: &Path, reason: &str) -> DiscoveryError {
    DiscoveryError::TokenOption {
        option: format!("{option}={}", path.display()),
        reason: reason.to_owned(),
    }
}
