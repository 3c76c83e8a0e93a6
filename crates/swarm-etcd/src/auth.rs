//! Who we are to etcd: user and password for a token, which stands in every request until the
//! store takes it no more.
//!
//! Invariant: however many calls wait for a token, one asks for it (each costs the store a tenth of
//! a second of hashing).

use std::sync::Arc;

use parking_lot::Mutex;
use swarm_kv::{Secret, StoreError, StoreOptions};
use tokio::sync::OnceCell;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Status};

use crate::connection::Connection;
use crate::proto::AuthenticateRequest;
use crate::proto::auth_client::AuthClient;

/// A token, or that the store wants none.
type Cell = Arc<OnceCell<Option<AsciiMetadataValue>>>;

/// User, password and the token of today.
#[derive(Debug)]
pub(crate) struct Auth {
    user: Option<(String, Secret)>,
    current: Mutex<Cell>,
}

/// A token as one attempt used it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Token {
    cell: Cell,
    /// What to send.
    pub(crate) value: Option<AsciiMetadataValue>,
}

impl Auth {
    /// From the options: both or none.
    pub(crate) fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let wrong = |option: &str, reason: &str| StoreError::Option {
            option: format!("--discovery-opt {option}"),
            reason: reason.to_owned(),
        };
        if options.token.is_some() {
            return Err(wrong(
                "kv.token",
                "etcd has no ACL tokens; give kv.username and kv.passwordfile",
            ));
        }
        let user = match (&options.username, &options.password) {
            (Some(name), Some(password)) => Some((name.clone(), password.clone())),
            (None, None) => None,
            (Some(_), None) => {
                return Err(wrong("kv.username", "it needs kv.password or kv.passwordfile too"));
            }
            (None, Some(_)) => return Err(wrong("kv.password", "it needs kv.username too")),
        };
        Ok(Self { user, current: Mutex::default() })
    }

    /// Whose token it is.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|(name, _)| name.as_str())
    }

    /// The token, asked for over `connection` where there is none.
    pub(crate) async fn token(&self, connection: &Connection) -> Result<Token, Status> {
        let Some((name, password)) = &self.user else { return Ok(Token::default()) };
        let cell = Arc::clone(&self.current.lock());
        let value = cell.get_or_try_init(async || {
            let mut client = AuthClient::with_origin(connection.clone(), connection.origin());
            let request =
                AuthenticateRequest { name: name.clone(), password: password.reveal().to_owned() };
            let answer = match client.authenticate(Request::new(request)).await {
                Ok(answer) => answer.into_inner(),
                // Whoever gives a password before it is asked for is let in too.
                Err(status)
                    if status.code() == Code::FailedPrecondition
                        && status.message().contains("not enabled") =>
                {
                    return Ok(None);
                }
                Err(status) => return Err(status),
            };
            let mut token = AsciiMetadataValue::try_from(answer.token)
                .map_err(|_| Status::internal("protocol error: its token is no text"))?;
            token.set_sensitive(true);
            Ok(Some(token))
        });
        let value = value.await?.clone();
        Ok(Token { cell, value })
    }

    /// `token` is not taken any more. Returns whether a new one may help.
    pub(crate) fn forget(&self, token: &Token) -> bool {
        let mut current = self.current.lock();
        if Arc::ptr_eq(&current, &token.cell) {
            *current = Arc::default();
        }
        self.user.is_some()
    }
}
