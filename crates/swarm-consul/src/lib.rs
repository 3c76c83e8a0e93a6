//! A pool's store in Consul: `swarm_kv::KeyValue` over Consul's HTTP API (1.0 and newer); and its
//! service catalogue (`catalogue`).
//!
//! - Every write is one transaction (`PUT /v1/txn`): guard, expectation, value and binding to a
//!   lease happen as a whole or not at all. An unconditional write deletes the key first, which
//!   frees it of another session's lock and gives it a new revision even for an unchanged value.
//! - A revision is a key's `ModifyIndex`.
//! - A lease is a session that deletes its keys, without lock delay and without health checks: it
//!   lives by being renewed, whatever becomes of the agent that was asked for it. Only when that
//!   agent takes its leave of Consul's cluster does Consul drop the session early.
//! - Reads are consistent ones, watches are blocking queries.
//!
//! It leaves what is kept, and when to try again, to its users; only watches repeat by themselves.
//! Opening it reads files and touches no network.
//!
//! Invariants: every call ends within the deadline; the token is never shown; a write that may have
//! been done is not sent again unless doing it twice is the same.

mod agents;
mod catalogue;
mod failure;
mod pair;
mod session;
mod tls;
mod txn;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swarm_kv::{
    Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, StoreOptions, StoreUrl,
    Watch, Write,
};

use crate::agents::Agents;

pub use catalogue::{Catalogue, Check, Registered, Registration};

/// Where a Consul agent listens for clients.
pub const DEFAULT_PORT: u16 = 8500;

/// The largest value, in bytes. Consul takes transactions of at most 512 KiB
/// (`limits.txn_max_req_len`), in which values are base64: 380 KiB leave room for the keys.
pub const LARGEST_VALUE: usize = 380 * 1024;

/// A pool's store in Consul. Clones share connections.
#[derive(Clone)]
pub struct Consul {
    agents: Arc<Agents>,
}

impl Consul {
    /// Reads the files that `options` name; connects when first used.
    pub fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        if url.scheme != "consul" {
            return Err(StoreError::Option {
                option: url.to_string(),
                reason: "a store in Consul is written consul://HOST:PORT[,HOST:PORT...][/PREFIX]"
                    .to_owned(),
            });
        }
        if options.username.is_some() || options.password.is_some() {
            return Err(StoreError::Option {
                option: "--discovery-opt kv.username, kv.password".to_owned(),
                reason: "Consul knows no users; give an ACL token by kv.token or kv.tokenfile"
                    .to_owned(),
            });
        }
        Ok(Self { agents: Arc::new(Agents::new(url, options)?) })
    }
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consul").field(&self.agents.shown).finish()
    }
}

#[async_trait]
impl KeyValue for Consul {
    fn describe(&self) -> String {
        self.agents.shown.clone()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        pair::get(&self.agents, key).await
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        Ok(pair::list(&self.agents, directory).await?.items)
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        (self as &dyn KeyValue).check_size(&write.key, &write.value)?;
        txn::put(&self.agents, &write).await
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        txn::delete(&self.agents, key, expect, guard).await
    }

    fn watch(&self, directory: &str) -> Watch {
        watch::watch(Arc::clone(&self.agents), directory)
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        session::grant(&self.agents, ttl).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        session::renew(&self.agents, lease).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        session::revoke(&self.agents, lease).await
    }
}

#[cfg(test)]
mod tests {
    use swarm_kv::Secret;

    use super::*;

    #[test]
    fn what_consul_cannot_be_opened_with_is_refused() {
        let open = |url: &str, options: StoreOptions| {
            let url = StoreUrl::parse(url, DEFAULT_PORT).unwrap();
            Consul::open(&url, &options).map(drop).unwrap_err().to_string()
        };
        let user = || StoreOptions { username: Some("me".into()), ..StoreOptions::default() };
        let token = |token: &str| StoreOptions {
            token: Some(Secret::new(token)),
            ..StoreOptions::default()
        };
        for (url, options, words) in [
            ("etcd://a", StoreOptions::default(), "is written consul://"),
            ("consul://a", user(), "Consul knows no users; give an ACL token"),
            ("consul://a", token("a\nb"), "kv.token: it holds characters"),
            ("consul://a/x/../y", StoreOptions::default(), "cannot be . or .."),
        ] {
            let error = open(url, options);
            assert!(error.contains(words) && !error.contains("a\nb"), "{error}");
        }
    }

    #[test]
    fn it_is_shown_without_its_token() {
        let url = StoreUrl::parse("consul://a,b:1/x", DEFAULT_PORT).unwrap();
        let options =
            StoreOptions { token: Some(Secret::new("opensesame")), ..StoreOptions::default() };
        let store = Consul::open(&url, &options).unwrap();
        assert_eq!(format!("{store:?}"), "Consul(\"consul://a:8500,b:1/x\")");
        assert_eq!(store.describe(), "consul://a:8500,b:1/x");
    }
}
