//! The HTTP client, with TLS from the files of the options where there are any.
//!
//! Errors name the option and the file, never its content. Files are read once, when the store is
//! opened.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};
use swarm_kv::{Result, StoreError, StoreOptions};

/// How long a connection without a request is kept: longer than any renewal is away, so that a
/// renewal does not cost a handshake.
const IDLE: Duration = Duration::from_mins(5);
/// Connections kept; more serve at the same time and are closed after.
const KEPT: usize = 4;
/// A peer that is silently gone is found after this and three more of it, below every watch.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A client that gives up on connecting after `connect`.
pub(crate) fn client(options: &StoreOptions, connect: Duration) -> Result<Client> {
    // A redirect would carry the token to whomever it names.
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(connect)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(KEPT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_keepalive_retries(3)
        .https_only(options.uses_tls());
    if let Some(ca) = &options.ca {
        builder = trust(builder, ca)?;
    } else if !options.uses_tls() {
        // Otherwise the system's authorities are read, of which an image of one binary has none.
        builder = builder.tls_certs_only([]);
    }
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        builder = identify(builder, cert, key)?;
    }
    builder.build().map_err(|error| wrong("TLS", &format!("it cannot be set up: {error:?}")))
}

fn trust(builder: ClientBuilder, path: &Path) -> Result<ClientBuilder> {
    let option = option("kv.cacertfile", path);
    let pem = read(&option, path)?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|_| wrong(&option, "its PEM cannot be read as certificates"))?;
    if certificates.is_empty() {
        return Err(wrong(&option, "there is no certificate in it, as PEM"));
    }
    Ok(builder.tls_certs_only(certificates))
}

fn identify(builder: ClientBuilder, cert: &Path, key: &Path) -> Result<ClientBuilder> {
    let (cert_option, key_option) = (option("kv.certfile", cert), option("kv.keyfile", key));
    let mut pem = read(&cert_option, cert)?;
    if Certificate::from_pem_bundle(&pem).map_or(0, |found| found.len()) == 0 {
        return Err(wrong(&cert_option, "there is no certificate in it, as PEM"));
    }
    pem.push(b'\n');
    pem.extend(read(&key_option, key)?);
    let identity = Identity::from_pem(&pem);
    let identity = identity.map_err(|_| wrong(&key_option, "there is no key in it, as PEM"))?;
    // Whether the two go together shows only when a client is made of them.
    let alone = Client::builder().tls_certs_only([]).identity(identity.clone()).build();
    alone.map_err(|_| wrong(&key_option, "it is not the key of kv.certfile's certificate"))?;
    Ok(builder.identity(identity))
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| wrong(option, &format!("cannot read it: {error}")))
}

fn option(name: &str, path: &Path) -> String {
    format!("--discovery-opt {name}={}", path.display())
}

fn wrong(option: &str, reason: &str) -> StoreError {
    StoreError::Option { option: option.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_file_that_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut keys = Vec::new();
        for name in ["a", "b"] {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(at(&format!("{name}.pem")), made.cert.pem()).unwrap();
            keys.push(made.signing_key.serialize_pem());
            fs::write(at(&format!("{name}-key.pem")), &keys[keys.len() - 1]).unwrap();
        }
        fs::write(at("empty"), "").unwrap();
        let try_with = |ca: Option<&str>, cert: &str, key: &str| {
            let options = StoreOptions {
                ca: ca.map(at),
                cert: Some(at(cert)),
                key: Some(at(key)),
                ..StoreOptions::default()
            };
            client(&options, Duration::from_secs(1)).map_err(|error| error.to_string())
        };
        assert!(try_with(Some("a.pem"), "b.pem", "b-key.pem").is_ok());
        for (ca, cert, key, words) in [
            (Some("none"), "a.pem", "a-key.pem", "/none: cannot read it"),
            (Some("empty"), "a.pem", "a-key.pem", "/empty: there is no certificate"),
            (None, "empty", "a-key.pem", "/empty: there is no certificate"),
            (None, "a.pem", "empty", "/empty: there is no key"),
            (None, "a.pem", "b-key.pem", "is not the key of kv.certfile's"),
        ] {
            let error = try_with(ca, cert, key).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(keys.iter().all(|key| !error.contains(key)), "{error}");
        }
    }
}
