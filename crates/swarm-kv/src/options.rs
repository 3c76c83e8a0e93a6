//! The options of a store: `--discovery-opt KEY=VALUE`, by the names classic Swarm gave them where
//! it had them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use swarm_model::Secret;

use crate::StoreError;

/// How long any one call may take.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What a store is opened with, beside its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// `kv.path`: where the nodes are.
    pub path: Option<String>,
    /// `kv.cacertfile`: whose certificates servers must have.
    pub ca: Option<PathBuf>,
    /// `kv.certfile`: ours.
    pub cert: Option<PathBuf>,
    /// `kv.keyfile`: its key.
    pub key: Option<PathBuf>,
    /// `kv.username`.
    pub username: Option<String>,
    /// `kv.password`, or the content of `kv.passwordfile`.
    pub password: Option<Secret>,
    /// `kv.token`, or the content of `kv.tokenfile`: an ACL token.
    pub token: Option<Secret>,
    /// How long any one call may take.
    pub deadline: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            path: None,
            ca: None,
            cert: None,
            key: None,
            username: None,
            password: None,
            token: None,
            deadline: DEADLINE,
        }
    }
}

/// The keys, for messages.
const KNOWN: &str = "kv.path, kv.cacertfile, kv.certfile, kv.keyfile, kv.username, kv.password, \
                     kv.passwordfile, kv.token and kv.tokenfile";

impl StoreOptions {
    /// Reads the options; secrets in files are read now.
    pub fn parse(pairs: &BTreeMap<String, String>) -> Result<Self, StoreError> {
        let mut options = Self::default();
        for (key, value) in pairs {
            let file = || Some(PathBuf::from(value));
            match key.as_str() {
                "kv.path" => options.path = Some(value.clone()),
                "kv.cacertfile" => options.ca = file(),
                "kv.certfile" => options.cert = file(),
                "kv.keyfile" => options.key = file(),
                "kv.username" => options.username = Some(value.clone()),
                "kv.password" => options.password = Some(Secret::new(value.as_str())),
                "kv.passwordfile" => options.password = Some(secret_in(key, value)?),
                "kv.token" => options.token = Some(Secret::new(value.as_str())),
                "kv.tokenfile" => options.token = Some(secret_in(key, value)?),
                _ => {
                    return Err(StoreError::Option {
                        option: format!("--discovery-opt {key}"),
                        reason: format!("unknown option; known are {KNOWN}"),
                    });
                }
            }
        }
        if options.cert.is_some() != options.key.is_some() {
            return Err(StoreError::Option {
                option: "kv.certfile, kv.keyfile".to_owned(),
                reason: "a certificate needs its key, and a key its certificate; give both"
                    .to_owned(),
            });
        }
        Ok(options)
    }

    /// Whether the store is reached by TLS.
    pub fn uses_tls(&self) -> bool {
        self.ca.is_some() || self.cert.is_some()
    }
}

fn secret_in(option: &str, path: &str) -> Result<Secret, StoreError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => Err(StoreError::Option {
            option: format!("--discovery-opt {option}={path}"),
            reason: format!("cannot read it: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<StoreOptions, StoreError> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        StoreOptions::parse(&pairs.collect())
    }

    #[test]
    fn options_are_read_and_secrets_never_shown() {
        let options = parse(&[
            ("kv.path", "a/nodes"),
            ("kv.certfile", "c"),
            ("kv.keyfile", "k"),
            ("kv.token", "opensesame"),
        ])
        .unwrap();
        assert!(options.uses_tls());
        assert_eq!(options.token.as_ref().map(Secret::reveal), Some("opensesame"));
        assert!(!format!("{options:?}").contains("opensesame"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, words) in [
            (&[("kv.pth", "x")][..], "--discovery-opt kv.pth: unknown option; known are kv.path"),
            (&[("kv.certfile", "c")][..], "a certificate needs its key"),
            (&[("kv.tokenfile", "/no/such")][..], "kv.tokenfile=/no/such: cannot read it"),
        ] {
            let error = parse(pairs).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
