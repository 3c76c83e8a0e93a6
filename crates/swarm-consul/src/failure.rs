//! What a failed request or an unwelcome answer means: the error in the words of who must mend it,
//! and whether another agent may do better.
//!
//! It leaves 404, 409 and 413 to the callers, to whom they can be answers. Texts of a server are
//! cut, and never hold what we sent.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use swarm_kv::StoreError;
use swarm_tls::{Sides, explain};

/// How much of a server's own words is passed on, in characters.
const WORDS: usize = 200;

/// A handshake with an agent.
const SIDES: Sides = Sides {
    peer: "it",
    peers: "its",
    ours: "our certificate",
    trusted: "kv.cacertfile",
    trusted_there: "Consul's ca_file",
    given_by: "kv.certfile and kv.keyfile",
    without: "leave kv.cacertfile and kv.certfile away, or give its TLS port",
};

/// What became of a request that was not answered as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was not sent: another agent may do better.
    NotSent,
    /// The answer says that it was not done.
    NotDone,
    /// It may have been done.
    Unknown,
    /// The same, and the server was silent until the time was over.
    Silent,
}

/// A request that was not answered as it should be.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) fate: Fate,
}

impl Failure {
    pub(crate) fn new(fate: Fate, error: StoreError) -> Self {
        Self { error, fate }
    }

    /// Whether another agent is asked the same; `repeatable` are requests that may be done twice.
    pub(crate) fn goes_on(&self, repeatable: bool) -> bool {
        match self.fate {
            Fate::NotSent => true,
            Fate::NotDone => self.error.is_passing(),
            Fate::Unknown | Fate::Silent => repeatable && self.error.is_passing(),
        }
    }
}

/// Makes errors that name the store.
#[derive(Debug)]
pub(crate) struct Words {
    /// The store's URL.
    pub(crate) store: String,
    /// The ACL rules that a token needs.
    pub(crate) rules: String,
    pub(crate) has_token: bool,
}

impl Words {
    pub(crate) fn unreachable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unreachable { store: self.store.clone(), reason: reason.into() }
    }

    pub(crate) fn refused(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Refused { store: self.store.clone(), reason: reason.into() }
    }

    pub(crate) fn garbage(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Garbage { store: self.store.clone(), kind: "Consul", reason: reason.into() }
    }

    /// What the token needs, and what there is.
    pub(crate) fn no_rights(&self) -> StoreError {
        let token = if self.has_token {
            "the token of --discovery-opt kv.token"
        } else {
            "nobody may without a token; one of --discovery-opt kv.token or kv.tokenfile"
        };
        self.refused(format!("permission denied: {token} needs the ACL rules {}", self.rules))
    }

    /// A request to `host` that came to no answer within `limit`.
    pub(crate) fn of_request(&self, host: &str, error: reqwest::Error, limit: Duration) -> Failure {
        let error = error.without_url();
        if let Some(tls) = cause::<rustls::Error>(&error) {
            let error = self.refused(format!("{host}: {}", explain(tls, &SIDES)));
            return Failure::new(Fate::NotSent, error);
        }
        if error.is_connect() {
            let mut broken = causes(&error).filter_map(|cause| cause.downcast_ref::<io::Error>());
            if let Some(error) = broken.find(|error| broke_off(error)) {
                let why = swarm_tls::broken_off(error, &SIDES);
                return Failure::new(Fate::NotSent, self.unreachable(format!("{host}: {why}")));
            }
            let why = if error.is_timeout() { "it takes too long".into() } else { root(&error) };
            let error = self.unreachable(format!("cannot connect to {host}: {why}"));
            return Failure::new(Fate::NotSent, error);
        }
        if error.is_timeout() {
            let error = self.unreachable(format!("{host} gave no answer within {limit:.1?}"));
            return Failure::new(Fate::Silent, error);
        }
        if was_not_sent(&error) {
            let why = format!("{host} ends connections before they are used: {}", root(&error));
            return Failure::new(Fate::NotSent, self.unreachable(why));
        }
        let why = root(&error);
        let is_http = !cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse);
        let error = if is_http {
            self.unreachable(format!("{host} broke off: {why}"))
        } else {
            self.garbage(format!("{host} does not speak HTTP ({why})"))
        };
        Failure::new(Fate::Unknown, error)
    }

    /// An answer that means the same whatever was asked; `None` for those that do not.
    pub(crate) fn of_answer(&self, host: &str, status: StatusCode, body: &[u8]) -> Option<Failure> {
        let text = cut(body);
        let (fate, error) = match status.as_u16() {
            200..=299 | 404 | 409 | 413 => return None,
            401 => {
                let reason = format!("{host} wants other credentials than an ACL token: {text}");
                (Fate::NotDone, self.refused(reason))
            }
            403 if text.contains("ACL not found") => {
                let reason = "it does not know the token of --discovery-opt kv.token; one is \
                              needed with the ACL rules";
                (Fate::NotDone, self.refused(format!("{reason} {}", self.rules)))
            }
            403 => (Fate::NotDone, self.no_rights()),
            429 => {
                let reason = format!(
                    "{host} takes no more requests from this machine for now ({text}); see \
                     Consul's limits.http_max_conns_per_client"
                );
                (Fate::NotDone, self.unreachable(reason))
            }
            400 if text.contains("HTTPS server") => {
                let reason = "speaks TLS at this port; give --discovery-opt kv.cacertfile";
                (Fate::NotDone, self.garbage(format!("{host} {reason}")))
            }
            500..=599 if text.starts_with('<') => {
                (Fate::Unknown, self.garbage(format!("{host} answers {status}: {text}")))
            }
            500 => self.of_trouble(host, text),
            501..=599 => {
                (Fate::Unknown, self.unreachable(format!("{host} answers {status}: {text}")))
            }
            300..=399 => {
                let reason = format!("{host} answers {status}, which leads elsewhere");
                (Fate::NotDone, self.garbage(reason))
            }
            _ => (Fate::NotDone, self.garbage(format!("{host} answers {status}: {text}"))),
        };
        Some(Failure::new(fate, error))
    }

    /// Status 500 is Consul's for everything else that went wrong.
    fn of_trouble(&self, host: &str, text: String) -> (Fate, StoreError) {
        if text.contains("No cluster leader") {
            return (Fate::NotDone, self.leaderless());
        }
        if text.contains("Missing node registration") {
            let reason = "has only just started and is not in Consul's own catalog yet";
            return (Fate::NotDone, self.unreachable(format!("{host} {reason}")));
        }
        if text.contains("Invalid Session TTL") {
            return (Fate::NotDone, self.refused(text));
        }
        (Fate::Unknown, self.unreachable(format!("{host} is in trouble: {text}")))
    }

    pub(crate) fn leaderless(&self) -> StoreError {
        self.unreachable(
            "it answers, but its servers have no leader; most of them must run and reach each other",
        )
    }
}

/// The beginning of what a server said, on one line.
pub(crate) fn cut(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * WORDS)]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    words.chars().take(WORDS).map(shown).collect()
}

/// What is behind an error, from the outside in.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error| inner(*error))
}

/// The first cause of this kind.
fn cause<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// What is behind an error. An I/O error passes over what it wraps when asked for its source.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| error.source())
}

/// Whether a request's connection was over before it was used.
pub(crate) fn was_not_sent(error: &reqwest::Error) -> bool {
    cause::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled)
}

/// Of a connection that was not made: it was, and ended within the handshake.
fn broke_off(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The innermost cause's words.
fn root(error: &reqwest::Error) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(has_token: bool) -> Words {
        Words { store: "consul://a".into(), rules: "RULES".into(), has_token }
    }

    #[test]
    fn each_status_is_told_in_words() {
        use StoreError::{Garbage, Refused, Unreachable};
        type Is = fn(&StoreError) -> bool;
        let unreachable: Is = |error| matches!(error, Unreachable { .. });
        let refused: Is = |error| matches!(error, Refused { .. });
        let garbage: Is = |error| matches!(error, Garbage { .. });
        for (status, body, kind, not_done, text) in [
            (403, "Permission denied", refused, true, "needs the ACL rules RULES"),
            (403, "rpc error making call: ACL not found", refused, true, "does not know the token"),
            (401, "", refused, true, "other credentials"),
            (429, "Your IP is busy", unreachable, true, "http_max_conns_per_client"),
            (500, "No cluster leader", unreachable, true, "have no leader"),
            (500, "rpc error making call: EOF", unreachable, false, "EOF"),
            (500, "Missing node registration", unreachable, true, "only just started"),
            (502, "<html>\n <b>", garbage, false, "502 Bad Gateway: <html> <b>"),
            (503, "later", unreachable, false, "503"),
            (301, "", garbage, true, "leads elsewhere"),
            (400, "an HTTP request to an HTTPS server.", garbage, true, "give --discovery-opt kv"),
            (405, "", garbage, true, "405"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = words(true).of_answer("h:1", status, body.as_bytes()).unwrap();
            let shown = failure.error.to_string();
            assert!(kind(&failure.error) && shown.contains(text), "{status} {body}: {shown}");
            assert_eq!(failure.fate == Fate::NotDone, not_done, "{status} {body}");
        }
        let anonymous = words(false).no_rights().to_string();
        assert!(anonymous.contains("nobody may without a token"), "{anonymous}");
    }

    #[test]
    fn a_servers_words_are_cut_and_kept_on_one_line() {
        let long = cut("\u{1b}[31m é\n".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), WORDS);
        assert!(!long.chars().any(char::is_control));
    }
}
