//! What an error of one endpoint means for the call: another endpoint may do it, a new token is
//! needed, a person must act.
//!
//! Invariant: a fault that may come after the request was carried out says so (`doubt`).

use std::error::Error;
use std::io;

use swarm_kv::StoreError;
use tonic::{Code, Status};

use crate::socket::{Trouble, tls_error};
use crate::tls;

/// Which kind of person-made trouble an endpoint is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// It cannot be trusted or does not trust us.
    Refused,
    /// It is no etcd.
    Garbage,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not this endpoint; another one may. With `blame`, waiting does not help; with `doubt`, it may
    /// have been done all the same.
    Elsewhere { reason: String, blame: Option<Blame>, doubt: bool },
    /// The token is missing or not valid (any more).
    Token,
    /// The lease is over.
    LeaseLost,
    /// The revision asked for is no longer kept.
    Compacted,
    /// The answer is longer than we take.
    TooLong,
    /// The whole store refuses.
    Refused(String),
}

impl Fault {
    /// The request did not reach the endpoint.
    pub(crate) fn unsent(endpoint: &str, reason: impl std::fmt::Display) -> Self {
        Self::Elsewhere { reason: format!("{endpoint}: {reason}"), blame: None, doubt: false }
    }

    /// The endpoint's answer, if any, is not known.
    pub(crate) fn unanswered(endpoint: &str, reason: impl std::fmt::Display) -> Self {
        Self::Elsewhere { reason: format!("{endpoint}: {reason}"), blame: None, doubt: true }
    }

    /// The endpoint is set up wrongly.
    pub(crate) fn wrong(endpoint: &str, blame: Blame, reason: impl std::fmt::Display) -> Self {
        let reason = format!("{endpoint}: {reason}");
        Self::Elsewhere { reason, blame: Some(blame), doubt: false }
    }

    /// A failed handshake.
    pub(crate) fn of_io(endpoint: &str, error: &io::Error) -> Self {
        match tls_error(error) {
            Some(error) => Self::of_tls(endpoint, error),
            None => Self::unsent(endpoint, swarm_tls::broken_off(error, &tls::SIDES)),
        }
    }

    fn of_tls(endpoint: &str, error: &rustls::Error) -> Self {
        let blame = match error {
            rustls::Error::InvalidMessage(_) => Blame::Garbage,
            _ => Blame::Refused,
        };
        Self::wrong(endpoint, blame, swarm_tls::explain(error, &tls::SIDES))
    }

    /// What the caller is told.
    pub(crate) fn into_error(self, store: &str) -> StoreError {
        let store = store.to_owned();
        match self {
            Self::Elsewhere { reason, blame: None, .. } => {
                StoreError::Unreachable { store, reason }
            }
            Self::Elsewhere { reason, blame: Some(Blame::Garbage), .. } => {
                StoreError::Garbage { store, kind: "etcd", reason }
            }
            Self::Elsewhere { reason, blame: Some(Blame::Refused), .. } | Self::Refused(reason) => {
                StoreError::Refused { store, reason }
            }
            Self::Token => StoreError::Refused {
                store,
                reason: "it asks for a user; give --discovery-opt kv.username and kv.passwordfile"
                    .to_owned(),
            },
            Self::LeaseLost => StoreError::LeaseLost { id: "of this write".to_owned() },
            Self::Compacted => StoreError::Unreachable {
                store,
                reason: "its history was compacted before it was read; it is read anew".to_owned(),
            },
            Self::TooLong => StoreError::Garbage {
                store,
                kind: "etcd",
                reason: "one value alone is longer than etcd takes".to_owned(),
            },
        }
    }
}

/// Why a connection ended.
pub(crate) fn of_end(
    endpoint: &str,
    encrypted: bool,
    error: &hyper::Error,
    trouble: &Trouble,
) -> Fault {
    if let Some(error) = trouble.get() {
        return Fault::of_tls(endpoint, error);
    }
    if error.is_timeout() {
        return Fault::unanswered(endpoint, "it has fallen silent");
    }
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    let mut words = String::new();
    while let Some(cause) = source {
        // What h2 found wrong itself, and not what the other side complained of.
        if cause.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library) {
            let reason = format!("what it says is no HTTP/2 ({cause})");
            return Fault::wrong(endpoint, Blame::Garbage, reason);
        }
        words = cause.to_string();
        source = cause.source();
    }
    let hint = if encrypted { "" } else { "; where it wants TLS, give kv.cacertfile" };
    Fault::unanswered(endpoint, format!("it closed the connection ({words}){hint}"))
}

/// What a status means. One that was made on our side has a source, and then the connection's own
/// `end` tells more.
pub(crate) fn of_status(endpoint: &str, user: Option<&str>, status: &Status) -> Fault {
    let said = status.message();
    if let Some(source) = status.source() {
        return Fault::unanswered(endpoint, source);
    }
    match status.code() {
        Code::OutOfRange if said.contains("message length too large") => Fault::TooLong,
        Code::OutOfRange if said.contains("compacted") => Fault::Compacted,
        Code::NotFound if said.contains("lease not found") => Fault::LeaseLost,
        Code::Unauthenticated => Fault::Token,
        Code::InvalidArgument
            if said.contains("user name is empty")
                || said.contains("user name not found")
                || said.contains("revision of auth store is old")
                || said.contains("revision in header is old") =>
        {
            Fault::Token
        }
        Code::InvalidArgument if said.contains("authentication failed") => Fault::Refused(format!(
            "wrong user or password ({said}); check --discovery-opt kv.username and kv.passwordfile"
        )),
        Code::InvalidArgument if said.contains("request is too large") => Fault::Refused(format!(
            "{said}; its --max-request-bytes is set below etcd's own 1.5 MiB: raise it"
        )),
        Code::PermissionDenied => Fault::Refused(format!(
            "{} may not do this ({said}); grant its role `readwrite` on the pool's prefix",
            user.map_or("a client without a user".to_owned(), |user| format!("the user {user:?}"))
        )),
        Code::ResourceExhausted if said.contains("space exceeded") => Fault::Refused(format!(
            "its database is full ({said}); compact and defragment it or raise its \
             --quota-backend-bytes, then `etcdctl alarm disarm`"
        )),
        Code::ResourceExhausted => Fault::unsent(endpoint, said),
        Code::DataLoss => Fault::Refused(format!("{said}; the cluster needs repair")),
        Code::Unavailable if said.contains("no leader") => {
            Fault::unsent(endpoint, format!("it has no quorum ({said})"))
        }
        Code::Unimplemented => {
            let reason =
                format!("it does not serve etcd's v3 API ({said}); etcd 3.3 or newer does");
            Fault::wrong(endpoint, Blame::Garbage, reason)
        }
        Code::Internal | Code::Unknown if !said.starts_with("etcdserver") && is_alien(said) => {
            Fault::wrong(endpoint, Blame::Garbage, said)
        }
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted => Fault::unanswered(endpoint, said),
        _ => Fault::Refused(said.to_owned()),
    }
}

/// Whether a status is our own, about an answer that no gRPC server gives.
fn is_alien(said: &str) -> bool {
    ["grpc-status header missing", "protocol error", "failed to decode", "invalid compression"]
        .iter()
        .any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let refused =
            |code, said: &str| match of_status("a:1", Some("joe"), &Status::new(code, said)) {
                Fault::Refused(words) => words,
                other => panic!("{other:?}"),
            };
        let full = "etcdserver: mvcc: database space exceeded";
        assert!(refused(Code::ResourceExhausted, full).contains("alarm disarm"));
        let denied = "etcdserver: permission denied";
        assert!(refused(Code::PermissionDenied, denied).contains("the user \"joe\" may not"));
        let wrong = "etcdserver: authentication failed, invalid user ID or password";
        assert!(refused(Code::InvalidArgument, wrong).contains("wrong user or password"));
        let of = |code, said: &str| of_status("a:1", None, &Status::new(code, said));
        assert_eq!(of(Code::Unauthenticated, "etcdserver: invalid auth token"), Fault::Token);
        assert_eq!(of(Code::InvalidArgument, "etcdserver: user name is empty"), Fault::Token);
        assert_eq!(of(Code::NotFound, "etcdserver: requested lease not found"), Fault::LeaseLost);
        let doubt = |fault| matches!(fault, Fault::Elsewhere { doubt: true, blame: None, .. });
        assert!(doubt(of(Code::Unavailable, "etcdserver: request timed out")));
        assert!(doubt(of(Code::Unavailable, "etcdserver: leader changed")));
        assert!(!doubt(of(Code::Unavailable, "etcdserver: no leader")));
        assert!(!doubt(of(Code::ResourceExhausted, "etcdserver: too many requests")));
        let said = "grpc-status header missing, mapped from HTTP status code 404";
        for code in [Code::Unimplemented, Code::Unknown] {
            let error = of(code, said).into_error("etcd://a:1");
            assert!(matches!(error, StoreError::Garbage { .. }), "{error}");
        }
    }
}
