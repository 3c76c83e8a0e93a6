//! Why a request is not done, in the words that its sender reads, and with the HTTP status that
//! goes with them. Nothing that was sent is repeated in them.

use http::StatusCode;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was never made here, or is no longer.
    #[error(
        "no such token: it was not made here, or was not used for so long that it expired; make \
         one with 'swarm create'"
    )]
    UnknownToken,
    /// What is registered is no engine's address.
    #[error(
        "the address is none; expected HOST:PORT, HOST a name, an IPv4 address or an IPv6 address \
         in brackets, PORT from 1 to 65535"
    )]
    Address,
    /// The body of a replacement is no list of addresses.
    #[error("the body is no JSON array of \"HOST:PORT\" texts")]
    Set,
    /// The owner's key is missing or another one.
    #[error(
        "this is for the owner of the service; send 'Authorization: Bearer KEY' with the key of \
         its data directory"
    )]
    NotOwner,
    /// Too many tokens from one source in a short time.
    #[error("too many tokens were made from your address; try again in {seconds} s")]
    TooFast {
        /// When one more may be made.
        seconds: u64,
    },
    /// As many tokens as there may be.
    #[error("the service holds {limit} tokens, as many as it takes; its owner can remove some")]
    TooManyClusters {
        /// The bound.
        limit: usize,
    },
    /// As many engines as there may be, under this token or in all.
    #[error("{limit} engines are registered, as many as {what} takes")]
    TooManyNodes {
        /// "a token" or "the service".
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// As many requests wait as may.
    #[error("{limit} requests wait for a change, as many as the service takes; try again later")]
    TooManyWaiters {
        /// The bound.
        limit: usize,
    },
    /// The body is larger than any that is taken, or came too slowly.
    #[error("the body is larger than {limit} bytes, the limit for this request")]
    BodyTooLarge {
        /// The bound.
        limit: usize,
    },
    /// The body broke off or did not come in time.
    #[error("the body did not arrive whole within {seconds} s")]
    BodyBroken {
        /// The deadline.
        seconds: u64,
    },
    /// It could not be put on disk.
    #[error("it cannot be kept on the service's disk now; try again later")]
    Disk,
}

impl Refusal {
    /// The HTTP status that says the same.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownToken => StatusCode::NOT_FOUND,
            Self::Address | Self::Set | Self::BodyBroken { .. } => StatusCode::BAD_REQUEST,
            Self::NotOwner => StatusCode::UNAUTHORIZED,
            Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManyClusters { .. } | Self::TooManyNodes { .. } => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::TooManyWaiters { .. } | Self::Disk => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}
