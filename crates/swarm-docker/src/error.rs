//! The one error a client of the Docker API can see, and the one table from error class to HTTP
//! status.
//!
//! Docker's own table is `errdefs` -> status in its HTTP server; the body is always
//! `{"message": "..."}` (API v1.24 and up).

use http::StatusCode;

/// In every answer to a change of something that was changed meanwhile, as Docker has it: the status
/// alone (500 of a swarm) does not tell it, so that clients look for these words.
pub const OUT_OF_SEQUENCE: &str = "update out of sequence";

/// What kind of failure it is; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request itself is wrong (400).
    InvalidParameter,
    /// Credentials are missing or wrong (401).
    Unauthorized,
    /// The caller may not do this (403).
    Forbidden,
    /// The named object does not exist (404).
    NotFound,
    /// The object's state or name is in the way (409).
    Conflict,
    /// The body or a header is larger than the limit (413).
    TooLarge,
    /// The manager failed (500).
    System,
    /// Known, and not served here (501).
    NotImplemented,
    /// An engine, or the part of the system that would answer, cannot be used now (503).
    Unavailable,
    /// An engine did not answer within its deadline (504).
    Deadline,
    /// An engine answered with this status; it is passed on unchanged.
    Engine(u16),
}

impl ErrorClass {
    /// The HTTP status of this class.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameter => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::System => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Self::Engine(code) => {
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// An error as a client of the API sees it: a class and words it can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Decides the status.
    pub class: ErrorClass,
    /// One sentence for a person; never holds a secret.
    pub message: String,
}

macro_rules! constructors {
    ($($name:ident => $class:ident),* $(,)?) => {$(
        #[doc = concat!("An error of class [`ErrorClass::", stringify!($class), "`].")]
        pub fn $name(message: impl Into<String>) -> Self {
            Self { class: ErrorClass::$class, message: message.into() }
        }
    )*};
}

impl ApiError {
    constructors! {
        invalid => InvalidParameter,
        unauthorized => Unauthorized,
        forbidden => Forbidden,
        not_found => NotFound,
        conflict => Conflict,
        too_large => TooLarge,
        system => System,
        not_implemented => NotImplemented,
        unavailable => Unavailable,
        deadline => Deadline,
    }

    /// An engine's own refusal, passed on with its status.
    pub fn engine(status: u16, message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Engine(status), message: message.into() }
    }

    /// The HTTP status of this error.
    pub fn status(&self) -> StatusCode {
        self.class.status()
    }

    /// The body Docker clients expect: `{"message":"..."}`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::json!({ "message": self.message }).to_string().into_bytes()
    }
}
