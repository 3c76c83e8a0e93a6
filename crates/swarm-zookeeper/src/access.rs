//! How the store is reached: what it was opened with, checked, and the opening of sessions.
//!
//! It leaves to `session` and `lease` what their sessions are for. Invariants: nothing is touched
//! before a session is opened; the password is never shown.

use std::time::Duration;

use swarm_kv::{Result, Secret, StoreError, StoreOptions, StoreUrl};
use tracing::debug;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error};

use crate::failure::Words;
use crate::{path, scout};

/// The longest that a server may take to say whether it serves.
const SCOUTING: Duration = Duration::from_secs(2);

/// How this store is reached.
#[derive(Debug)]
pub(crate) struct Access {
    hosts: Vec<String>,
    pub(crate) words: Words,
    /// For the digest scheme: `USER:PASSWORD`.
    login: Option<Secret>,
    /// How long a call may take.
    pub(crate) deadline: Duration,
}

impl Access {
    /// Refuses what ZooKeeper cannot be opened with.
    pub(crate) fn new(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        if url.scheme != "zk" {
            return refuse(
                &url.to_string(),
                "a store in ZooKeeper is written zk://HOST:PORT[,HOST:PORT...][/PREFIX]",
            );
        }
        if !url.prefix.is_empty() {
            path::znode(&url.prefix)
                .map_err(|reason| StoreError::Option { option: url.to_string(), reason })?;
        }
        if options.uses_tls() || options.key.is_some() {
            return refuse(
                "--discovery-opt kv.cacertfile, kv.certfile, kv.keyfile",
                "ZooKeeper is reached without TLS only; leave them away, and let a tunnel (stunnel, \
                 WireGuard) protect the way to it",
            );
        }
        if options.token.is_some() {
            return refuse(
                "--discovery-opt kv.token",
                "ZooKeeper knows no tokens; give kv.username and kv.password or kv.passwordfile",
            );
        }
        Ok(Self {
            hosts: url.hosts.clone(),
            words: Words { store: url.to_string(), user: options.username.clone() },
            login: login(options)?,
            deadline: options.deadline,
        })
    }

    /// Opens a session that the server ends when it heard nothing of us for `wanted`, or for what
    /// it bounds that to. A server that says nothing for `silence` is left for another.
    pub(crate) async fn connect(&self, wanted: Duration, silence: Duration) -> Result<Client> {
        let limit = SCOUTING.min(self.deadline / 2);
        let hosts = scout::serving(&self.words, &self.hosts, limit).await?;
        let mut connector = Client::connector()
            .with_session_timeout(wanted)
            .with_connection_timeout(silence)
            .with_fail_eagerly();
        if let Some(login) = &self.login {
            connector = connector.with_auth("digest", login.reveal().as_bytes());
        }
        let client = connector.connect(&hosts.join(",")).await.map_err(|error| match error {
            Error::NoHosts | Error::Timeout | Error::ConnectionLoss => self
                .words
                .unreachable(format!("{} serves, but opens no session for us", hosts.join(", "))),
            other => self.words.of(&other, "the session"),
        })?;
        debug!(store = self.words.store, session = %client.session_id(), "a session is open");
        Ok(client)
    }

    /// Who may do what with znodes that we make.
    pub(crate) fn options(&self, mode: CreateMode) -> CreateOptions<'static> {
        let acls = if self.login.is_some() { Acls::creator_all() } else { Acls::anyone_all() };
        mode.with_acls(acls)
    }

    /// A call that took too long.
    pub(crate) fn too_late(&self) -> StoreError {
        self.words.unreachable(format!("it gave no answer within {:.1?}", self.deadline))
    }
}

/// The user and the password, where there are both.
fn login(options: &StoreOptions) -> Result<Option<Secret>> {
    match (&options.username, &options.password) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) if !user.is_empty() && !user.contains(':') => {
            Ok(Some(Secret::new(format!("{user}:{}", password.reveal()))))
        }
        (Some(_), Some(_)) => refuse(
            "--discovery-opt kv.username",
            "a user of ZooKeeper's digest scheme has a name without colons",
        ),
        _ => refuse(
            "--discovery-opt kv.username, kv.password",
            "a user needs a password, and a password its user; give both",
        ),
    }
}

fn refuse<T>(option: &str, reason: &str) -> Result<T> {
    Err(StoreError::Option { option: option.to_owned(), reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zookeeper_cannot_be_opened_with_is_refused() {
        let none = StoreOptions::default;
        let user = |user: &str| StoreOptions { username: Some(user.into()), ..none() };
        let secret = || Some(Secret::new("opensesame"));
        for (url, options, words) in [
            ("etcd://a", none(), "is written zk://"),
            ("zk://a/x/../y", none(), "cannot be \"..\""),
            ("zk://a/zookeeper", none(), "the server's own"),
            ("zk://a", user("me"), "a user needs a password"),
            ("zk://a", StoreOptions { password: secret(), ..none() }, "a password its user"),
            ("zk://a", StoreOptions { password: secret(), ..user("m:e") }, "without colons"),
            ("zk://a", StoreOptions { token: secret(), ..none() }, "knows no tokens"),
            ("zk://a", StoreOptions { ca: Some("x".into()), ..none() }, "without TLS only"),
        ] {
            let url = StoreUrl::parse(url, 1).unwrap();
            let error = Access::new(&url, &options).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("opensesame"), "{error}");
        }
    }
}
