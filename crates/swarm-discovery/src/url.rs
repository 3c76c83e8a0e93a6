//! From a discovery URL to the backend it names. One table of schemes: a new backend is
//! one more line in [`Discovery::parse`].
//!
//! Invariant: parsing touches nothing outside; a missing file or an unreachable store
//! shows when the backend is asked.

use std::sync::Arc;

use crate::file::File;
use crate::list::List;
use crate::token::{Token, TokenOptions};
use crate::{DiscoveryBackend, DiscoveryError, DiscoveryOptions};

/// The schemes that work, for messages and help.
pub const BUILT: &str = "nodes://HOST:PORT,... (or the bare list), file:///PATH, token://TOKEN, and \
                         the stores consul://, etcd:// and zk://";
/// Schemes of stores: their adapters are crates of their own.
const STORES: [&str; 4] = ["consul", "etcd", "zk", "swarm"];

/// The maker of backends.
#[derive(Debug, Clone, Copy)]
pub struct Discovery;

impl Discovery {
    /// The backend that `url` names; `options` are the user's `--discovery-opt`.
    pub fn parse(
        url: &str,
        options: &DiscoveryOptions,
    ) -> Result<Arc<dyn DiscoveryBackend>, DiscoveryError> {
        let url = url.trim();
        let (scheme, rest) = split(url);
        let backend: Arc<dyn DiscoveryBackend> = match scheme.to_ascii_lowercase().as_str() {
            "nodes" => Arc::new(List::parse(url, rest)?),
            // One engine's address, or a bare list that begins with one.
            "" | "tcp" | "unix" => Arc::new(bare(url)?),
            "file" => Arc::new(File::parse(url, rest)?),
            "token" => {
                return Ok(Arc::new(Token::parse(rest, TokenOptions::parse(options)?)?));
            }
            known if STORES.contains(&known) => {
                return Err(DiscoveryError::Store(swarm_kv::StoreError::Option {
                    option: format!("discovery {known}://"),
                    reason: "a store is opened by whoever has its adapter, and read by Kv"
                        .to_owned(),
                }));
            }
            unknown => {
                return Err(DiscoveryError::UnknownScheme { scheme: unknown.to_owned() });
            }
        };
        if let Some(key) = options.keys().next() {
            return Err(DiscoveryError::UnknownOption { key: key.clone() });
        }
        Ok(backend)
    }
}

fn bare(url: &str) -> Result<List, DiscoveryError> {
    if url.starts_with(['/', '.']) {
        return Err(DiscoveryError::Url {
            url: url.to_owned(),
            reason: "it looks like a path; a file of addresses is file:///PATH, a socket \
                     unix:///PATH"
                .to_owned(),
        });
    }
    List::parse(url, url)
}

/// A scheme stands at the very start: in `a:1,unix:///x` the text before `://` is none.
fn split(url: &str) -> (&str, &str) {
    match url.split_once("://") {
        Some((scheme, rest))
            if scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
                }) =>
        {
            (scheme, rest)
        }
        _ => ("", url),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> Result<Arc<dyn DiscoveryBackend>, DiscoveryError> {
        Discovery::parse(url, &DiscoveryOptions::new())
    }

    #[tokio::test]
    async fn every_form_of_a_list_is_read() {
        for url in ["nodes://a:1,b:2", "a:1,b:2", "tcp://a:1,tcp://b:2", " NODES://a:1,b:2 "] {
            let entries = parse(url).unwrap().fetch().await.unwrap();
            let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
            assert_eq!(entries, ["a:1", "b:2"], "{url}");
        }
        let entries = parse("unix:///a.sock,h:1").unwrap().fetch().await.unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(parse("file:///etc/pool").unwrap().describe(), "file:///etc/pool");
        assert_eq!(parse("file://etc/pool").unwrap().describe(), "file://etc/pool");
    }

    #[test]
    fn what_is_refused_says_what_is_expected() {
        let table = [
            ("", "names no engine; expected HOST:PORT"),
            ("nodes://", "names no engine"),
            ("file://", "names no file; expected file:///PATH"),
            ("/etc/pool", "file:///PATH"),
            ("consul://h:8500/swarm", "a store is opened by whoever has its adapter"),
            ("zk://h/x", "a store is opened by whoever has its adapter"),
            ("token://0123", "run your own with 'swarm discovery'"),
            ("token://h:1/", "holds no token"),
            ("http://u:secret@h", "unknown scheme \"http\"; known are nodes://"),
        ];
        for (url, words) in table {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(words), "{url}: {error}");
            assert!(!error.contains("secret") && !error.contains("0123"), "{error}");
        }
        let options = DiscoveryOptions::from([("kv.path".to_owned(), "x".to_owned())]);
        let error = Discovery::parse("token://h/0123", &options).unwrap_err().to_string();
        assert!(error.contains("kv.path: unknown option; token:// takes token.url"), "{error}");
        let error = Discovery::parse("a:1", &options).unwrap_err().to_string();
        assert!(error.contains("\"kv.path\"") && error.contains("take none"), "{error}");
    }

    proptest! {
        #[test]
        fn any_url_is_read_or_refused(
            url in "((nodes|file|unix|tcp|consul|x)://)?[\\[\\]:0-9a-z.,/-]{0,60}|\\PC{0,60}"
        ) {
            let _ = parse(&url);
        }
    }
}
