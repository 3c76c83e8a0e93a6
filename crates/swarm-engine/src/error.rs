//! What can go wrong with one engine, and how a client of the API is told.
//!
//! Invariants: cheap to clone (a pool keeps the last one and shows it); no text holds a header, a
//! body beyond the engine's own message, or a key.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use swarm_docker::{ApiError, ApiVersion};
use swarm_tls::Sides;

use crate::tls::TlsError;

/// A handshake with an engine, as `docker info` shows it.
const SIDES: Sides = Sides {
    peer: "the engine",
    peers: "the engine's",
    ours: "this manager's certificate",
    trusted: "this manager's CA file",
    trusted_there: "the engine's --tlscacert",
    given_by: "--tlscert and --tlskey",
    without: "give its TLS port, or leave this manager's TLS flags away",
};

/// A failure of one engine, or of one request to it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// No connection: name look-up, refusal, no route.
    #[error("cannot connect: {0}")]
    Connect(#[source] Arc<io::Error>),
    /// The TLS handshake failed, on either side's judgement.
    #[error("TLS: {0}")]
    Tls(String),
    /// The engine did not do `what` in time.
    #[error("no {what} within {after:?}")]
    Deadline {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        after: Duration,
    },
    /// The connection broke, or what came over it was not HTTP, before the reply's headers.
    #[error("{0}")]
    Http(String),
    /// The connection broke within a reply's body.
    #[error("the answer broke off: {0}")]
    Body(String),
    /// The engine answered with an error status.
    #[error("{message}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// The engine's own `{"message"}`.
        message: String,
    },
    /// A reply or an event line is larger than its limit, in bytes.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was read.
        what: &'static str,
        /// The limit, bytes.
        limit: usize,
    },
    /// The answer is not the JSON it should be.
    #[error("unexpected answer to {path}: {reason}")]
    Json {
        /// Of the request.
        path: String,
        /// From the JSON reader.
        reason: String,
    },
    /// The engine's API versions and ours do not meet.
    #[error(
        "the engine speaks API {oldest} to {newest}, this manager {} to {}",
        ApiVersion::OLDEST,
        ApiVersion::NEWEST
    )]
    Version {
        /// The engine's oldest.
        oldest: ApiVersion,
        /// The engine's newest.
        newest: ApiVersion,
    },
    /// The request could not be written down; nothing was sent.
    #[error("cannot send the request: {0}")]
    Request(String),
    /// The caller's [`crate::Gate`] was closed when the request was about to be written; nothing
    /// was sent.
    #[error("{0}")]
    Barred(ApiError),
    /// [`crate::EngineClient::sever`] ended the connection.
    #[error("the connection was given up because the engine stopped answering")]
    Severed,
}

impl EngineError {
    /// Whether the engine as a whole is in doubt, not only this request. A deadline counts: who
    /// does not answer one request in time may still answer a ping, which is how to find out.
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Deadline { .. }
            | Self::Http(_)
            | Self::Body(_)
            | Self::Version { .. }
            | Self::Severed => true,
            Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Request(_)
            | Self::Barred(_) => false,
        }
    }

    /// The kind of failure in one word, for counts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Deadline { .. } => "deadline",
            Self::Http(_) => "http",
            Self::Body(_) => "body",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::Json { .. } => "json",
            Self::Version { .. } => "version",
            Self::Request(_) => "request",
            Self::Barred(_) => "barred",
            Self::Severed => "severed",
        }
    }

    /// The error as a client of the API sees it. `engine` is the name or address to blame; an
    /// engine's own refusal is passed on as it is.
    pub fn to_api(&self, engine: &str) -> ApiError {
        let text = format!("engine {engine}: {self}");
        match self {
            Self::Barred(error) => error.clone(),
            Self::Status { code, message } => ApiError::engine(*code, message.clone()),
            Self::Deadline { .. } => ApiError::deadline(text),
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Http(_)
            | Self::Body(_)
            | Self::Version { .. }
            | Self::Severed => ApiError::unavailable(text),
            Self::TooLarge { .. } | Self::Json { .. } => ApiError::system(text),
            Self::Request(_) => ApiError::invalid(text),
        }
    }

    /// A failed connect, told apart by its cause.
    pub(crate) fn connecting(error: io::Error) -> Self {
        special(&error).unwrap_or_else(|| Self::Connect(Arc::new(error)))
    }

    /// A connection that broke within the TLS handshake.
    pub(crate) fn broken_off(error: &io::Error) -> Self {
        Self::Tls(swarm_tls::broken_off(error, &SIDES))
    }

    /// An open connection that broke.
    pub(crate) fn lost(error: &io::Error) -> Self {
        special(error).unwrap_or_else(|| {
            let text = match error.kind() {
                io::ErrorKind::UnexpectedEof => "the engine closed the connection".to_owned(),
                _ => format!("the connection failed: {error}"),
            };
            Self::Http(text)
        })
    }

    /// A failure before the reply's headers.
    pub(crate) fn before_reply(error: &hyper::Error) -> Self {
        special(error).unwrap_or_else(|| {
            if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
                Self::Http("the engine closed the connection without an answer".to_owned())
            } else if error.is_parse() {
                Self::Http(format!("the engine's answer is not HTTP: {}", causes(error)))
            } else {
                Self::Http(format!("the connection failed: {}", causes(error)))
            }
        })
    }

    /// A failure within the reply's body.
    pub(crate) fn in_body(error: &(dyn Error + 'static)) -> Self {
        special(error).unwrap_or_else(|| {
            let text = if ended_early(error) {
                "the engine closed the connection".to_owned()
            } else {
                causes(error)
            };
            Self::Body(text)
        })
    }
}

impl From<TlsError> for EngineError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// Marks an I/O error made by `sever`, so that it is found again under hyper's wrapping.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("severed")]
pub(crate) struct SeveredMark;

/// The causes that have a variant of their own, wherever in the chain they are.
fn special(error: &(dyn Error + 'static)) -> Option<EngineError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(EngineError::Tls(swarm_tls::explain(tls, &SIDES)));
        }
        if error.is::<SeveredMark>() {
            return Some(EngineError::Severed);
        }
        // An io::Error's source() skips the error it was made of.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Whether the connection ended where more was to come, wherever in the chain it is said.
fn ended_early(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let of_io = error.downcast_ref::<io::Error>();
        if of_io.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
            || error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error and its causes, joined as a sentence.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
