//! What a failure means: the error in the words of who must mend it, and whether the session is
//! still of use.
//!
//! It leaves "not there", "is there" and "has another version" to the callers, to whom they are
//! answers. Passwords are never in an error.

use swarm_kv::StoreError;
use zookeeper_client::Error;

/// Makes errors that name the store.
#[derive(Debug)]
pub(crate) struct Words {
    /// The store's URL.
    pub(crate) store: String,
    /// Whom we say to be.
    pub(crate) user: Option<String>,
}

/// What a failure says of the session it happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The connection is gone, or says nothing sensible; the session may live on.
    Lost,
    /// The session is over, and with it its keys.
    Over,
    /// It is an answer.
    Answered,
}

/// What became of the session.
pub(crate) fn fate(error: &Error) -> Fate {
    match error {
        Error::SessionExpired | Error::SessionMoved | Error::ClientClosed | Error::AuthFailed => {
            Fate::Over
        }
        Error::ConnectionLoss
        | Error::Timeout
        | Error::NoHosts
        | Error::UnmarshalError { .. }
        | Error::UnexpectedError(_)
        | Error::Custom(_) => Fate::Lost,
        _ => Fate::Answered,
    }
}

impl Words {
    pub(crate) fn unreachable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unreachable { store: self.store.clone(), reason: reason.into() }
    }

    pub(crate) fn refused(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Refused { store: self.store.clone(), reason: reason.into() }
    }

    pub(crate) fn garbage(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Garbage { store: self.store.clone(), kind: "ZooKeeper", reason: reason.into() }
    }

    /// A failure at `key`.
    pub(crate) fn of(&self, error: &Error, key: &str) -> StoreError {
        match error {
            Error::NoAuth => self.refused(self.no_rights(key)),
            Error::AuthFailed => {
                self.refused("it does not accept the user of --discovery-opt kv.username")
            }
            Error::NotEmpty => self.refused(format!(
                "{key} has keys below it, and ZooKeeper cannot take it away from above them"
            )),
            Error::NoChildrenForEphemerals => self.refused(format!(
                "{key} would stand below a key that is bound to a lease, where ZooKeeper keeps \
                 nothing"
            )),
            Error::QuotaExceeded => self.refused(format!(
                "{key} would exceed the quota that is set in ZooKeeper; raise it by `setquota`"
            )),
            Error::Unimplemented => {
                self.refused("it is too old; ZooKeeper 3.5 is the oldest that will do")
            }
            Error::BadArguments(reason) => self.refused(format!("{key}: {reason}")),
            Error::Throttled => self.unreachable("it has too much to do and answers nothing"),
            Error::NotReadOnly => {
                self.unreachable("it is read-only as long as most of its ensemble is away")
            }
            Error::SessionExpired | Error::SessionMoved | Error::ClientClosed => {
                self.unreachable("it has ended our session")
            }
            Error::ConnectionLoss | Error::Timeout | Error::NoHosts => {
                self.unreachable("the connection broke off")
            }
            Error::Custom(why) => self.unreachable(format!("the connection broke off: {why}")),
            other => self.garbage(other.to_string()),
        }
    }

    fn no_rights(&self, key: &str) -> String {
        match &self.user {
            Some(user) => format!(
                "{key} is not open to the user {user:?} with this password (ZooKeeper does not say \
                 which of both is wrong); see kv.username, kv.password and `getAcl`"
            ),
            None => format!(
                "{key} is not open to everybody; give --discovery-opt kv.username and \
                 kv.passwordfile"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_told_in_words() {
        let words =
            |user: Option<&str>| Words { store: "zk://a".into(), user: user.map(Into::into) };
        for (user, error, passing, text) in [
            (None, Error::NoAuth, false, "give --discovery-opt kv.username"),
            (Some("me"), Error::NoAuth, false, "the user \"me\" with this password"),
            (Some("me"), Error::AuthFailed, false, "does not accept the user"),
            (None, Error::NotEmpty, false, "a/b has keys below it"),
            (None, Error::QuotaExceeded, false, "setquota"),
            (None, Error::ConnectionLoss, true, "broke off"),
            (None, Error::SessionExpired, true, "ended our session"),
            (None, Error::Throttled, true, "too much to do"),
        ] {
            let told = words(user).of(&error, "a/b");
            assert_eq!(told.is_passing(), passing, "{told}");
            assert!(told.to_string().contains(text), "{told}");
        }
        let garbage = words(None).of(&Error::UnexpectedErrorCode(-99), "a");
        assert!(matches!(garbage, StoreError::Garbage { .. }), "{garbage}");
        assert!(garbage.to_string().contains("as a ZooKeeper store does"), "{garbage}");
    }
}
