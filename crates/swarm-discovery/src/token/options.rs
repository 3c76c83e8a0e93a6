//! The options of `token://`: `--discovery-opt token.KEY=VALUE`. The certificate options have the
//! names that classic gave those of its stores, too, so that one set of options serves both.

use std::path::PathBuf;

use crate::{DiscoveryError, DiscoveryOptions};

/// The keys, for messages.
const KNOWN: &str = "token.url, token.cacertfile, token.certfile and token.keyfile (also spelt \
                     kv.cacertfile, kv.certfile, kv.keyfile)";

/// How a token service is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenOptions {
    /// Its address: `https://HOST:PORT`.
    pub url: Option<String>,
    /// Whose certificate it must have; without it, one of the system's authorities.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl TokenOptions {
    /// Reads the options; nothing outside is touched.
    pub fn parse(pairs: &DiscoveryOptions) -> Result<Self, DiscoveryError> {
        let mut options = Self::default();
        for (key, value) in pairs {
            let file = || Some(PathBuf::from(value));
            match key.as_str() {
                "token.url" => options.url = Some(value.clone()),
                "token.cacertfile" | "kv.cacertfile" => options.ca = file(),
                "token.certfile" | "kv.certfile" => options.cert = file(),
                "token.keyfile" | "kv.keyfile" => options.key = file(),
                _ => {
                    return Err(DiscoveryError::TokenOption {
                        option: key.clone(),
                        reason: format!("unknown option; token:// takes {KNOWN}"),
                    });
                }
            }
        }
        if options.cert.is_some() != options.key.is_some() {
            return Err(DiscoveryError::TokenOption {
                option: "token.certfile, token.keyfile".to_owned(),
                reason: "a certificate needs its key, and a key its certificate; give both"
                    .to_owned(),
            });
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<TokenOptions, DiscoveryError> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        TokenOptions::parse(&pairs.collect())
    }

    #[test]
    fn both_spellings_are_read() {
        let ours = [("token.cacertfile", "a"), ("token.certfile", "c"), ("token.keyfile", "k")];
        let classic = [("kv.cacertfile", "a"), ("kv.certfile", "c"), ("kv.keyfile", "k")];
        assert_eq!(parse(&ours).unwrap(), parse(&classic).unwrap());
        assert_eq!(parse(&[("token.url", "https://x")]).unwrap().url.as_deref(), Some("https://x"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, words) in [
            (&[("kv.path", "x")][..], "kv.path: unknown option; token:// takes token.url"),
            (&[("token.certfile", "c")][..], "a certificate needs its key"),
            (&[("kv.keyfile", "k")][..], "a key its certificate"),
        ] {
            let error = parse(pairs).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
