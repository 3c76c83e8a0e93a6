//! Frames and what is in them. A frame is its length in four bytes, highest first, and a message.
//!
//! Variants are only ever added at the end, and fields at the end of what is last in a message, read by
//! [`or_default`], so that managers of two versions understand each other while one of them is being replaced.

use std::io;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use swarm_kv::{Item, Revision, StoreError};
use swarm_store::{Command, Outcome};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::journal::{decode, encode};
use crate::kinds::{Id, Kinds, Meta, Vote};
use crate::trust::Authority;

/// The largest frame, in bytes: two of the largest values, and some.
const LARGEST: usize = 4 << 20;

/// The version of this protocol, the first thing a client says.
pub(crate) const VERSION: u16 = 1;

/// How a client introduces itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    pub version: u16,
    /// Of a token; a manager's certificate needs none.
    pub secret: Option<Zeroizing<String>>,
}

/// The last field of a message, which the version before does not say.
#[allow(clippy::unnecessary_wraps)] // The form that serde calls.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(T::deserialize(from).unwrap_or_default())
}

/// A call.
#[derive(Serialize, Deserialize)]
pub(crate) struct Call {
    /// For which manager it is, where that matters: an address can have got another owner.
    pub to: Option<Id>,
    pub request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Between managers only: what the consensus library says.
    Append(Box<AppendEntriesRequest<Kinds>>),
    Vote(VoteRequest<Kinds>),
    PreVote(VoteRequest<Kinds>),
    Transfer(TransferLeaderRequest<Kinds>),
    /// So many frames with chunks follow.
    Snapshot {
        vote: Vote,
        meta: Meta,
        chunks: u64,
    },
    /// Between managers only: to the leader.
    Propose(Command),
    ReadIndex,
    /// Who answers here; for anybody.
    Status,
    /// With a manager token.
    Join {
        address: String,
    },
    /// Between managers only: I am here now; or, passed on to the leader, another one is.
    Announce {
        id: Id,
        address: String,
        #[serde(deserialize_with = "or_default")]
        passed_on: bool,
    },
    Remove {
        id: Id,
    },
    /// For nodes and tools, through any manager.
    Get {
        key: String,
    },
    List {
        directory: String,
    },
    Write(Command),
    Watch {
        directory: String,
    },
    RenewedAgo {
        key: String,
    },
    /// Between managers only: whether this leader of this term is followed there. Answered whatever the disk does.
    Follows {
        term: u64,
        leader: Id,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Append(AppendEntriesResponse<Kinds>),
    Vote(VoteResponse<Kinds>),
    Transfer(TransferLeaderResponse<Kinds>),
    Snapshot(SnapshotResponse<Kinds>),
    Outcome(Outcome),
    ReadIndex(Option<u64>),
    Status {
        id: Id,
    },
    Joined(Joined),
    Done,
    Item(Option<Plain>),
    /// More such frames follow, or not.
    Items {
        items: Vec<Plain>,
        more: bool,
    },
    Changed(PlainChange),
    /// Nothing happened; the connection is alive.
    Quiet,
    /// In milliseconds.
    Ago(Option<u64>),
    Fault(Fault),
}

/// What a manager that joins is given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    pub id: Id,
    pub authority: Authority,
    pub peers: Vec<(Id, String)>,
}

/// An item in the form of the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plain {
    key: String,
    value: Bytes,
    revision: u64,
}

/// A change in the form of the wire; a whole directory is announced, and its items follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PlainChange {
    Whole,
    Put(Plain),
    Deleted(String),
}

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Fault {
    /// Certainly not done; the leader may be another.
    #[error("this manager does not lead")]
    NotLeader,
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Refused(String),
    #[error("the manager that was called is not at this address")]
    Elsewhere,
    #[error("this manager was removed from the pool")]
    Removed,
    #[error("{0} was changed by somebody else")]
    Conflict(String),
    #[error("{0} was changed")]
    Fenced(String),
    #[error("a lease is over")]
    LeaseLost(String),
    #[error("{0} would be too large")]
    TooLarge(String, u64),
    /// Certainly not done, and not before the disk takes writes.
    #[error("{0}")]
    Unwritable(String),
    /// It may be done, or may yet be.
    #[error("{0}")]
    Unknown(String),
}

impl Fault {
    /// Whether asking another manager would give the same.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Removed)
    }

    /// In the port's words, as said by `store`.
    pub fn into_error(self, store: &str) -> StoreError {
        let store = store.to_owned();
        match self {
            Self::NotLeader | Self::Elsewhere | Self::Unreachable(_) => {
                StoreError::Unreachable { store, reason: self.to_string() }
            }
            Self::Removed | Self::Refused(_) => {
                StoreError::Refused { store, reason: self.to_string() }
            }
            Self::Unwritable(reason) => StoreError::Unwritable { store, reason },
            Self::Unknown(reason) => StoreError::Unknown { store, reason },
            Self::Conflict(key) => StoreError::Conflict { key },
            Self::Fenced(key) => StoreError::Fenced { key },
            Self::LeaseLost(id) => StoreError::LeaseLost { id },
            Self::TooLarge(key, size) => StoreError::TooLarge {
                key,
                size: usize::try_from(size).unwrap_or(usize::MAX),
                limit: swarm_store::LARGEST_VALUE,
            },
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreachable { reason, .. } => Self::Unreachable(reason),
            StoreError::Refused { reason, .. } => Self::Refused(reason),
            StoreError::Unwritable { reason, .. } => Self::Unwritable(reason),
            StoreError::Unknown { reason, .. } => Self::Unknown(reason),
            StoreError::Conflict { key } => Self::Conflict(key),
            StoreError::Fenced { key } => Self::Fenced(key),
            StoreError::LeaseLost { id } => Self::LeaseLost(id),
            StoreError::TooLarge { key, size, .. } => Self::TooLarge(key, size as u64),
            other @ (StoreError::Garbage { .. }
            | StoreError::NotPrimary { .. }
            | StoreError::Option { .. }) => Self::Refused(other.to_string()),
        }
    }
}

pub(crate) fn plain(item: Item) -> Plain {
    Plain { key: item.key, value: item.value, revision: item.revision.0 }
}

pub(crate) fn unplain(plain: Plain) -> Item {
    Item { key: plain.key, value: plain.value, revision: Revision(plain.revision) }
}

/// Writes one frame.
pub(crate) async fn write<W, T>(stream: &mut W, message: &T) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
    T: Serialize,
{
    let body = encode(message)?;
    if body.len() > LARGEST {
        return Err(io::Error::other(format!("a message of {} bytes is too large", body.len())));
    }
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Reads one frame; `None` at the connection's end.
pub(crate) async fn read<R, T>(stream: &mut R) -> io::Result<Option<T>>
where
    R: AsyncRead + Unpin,
    T: DeserializeOwned,
{
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LARGEST {
        let words = format!("a message of {length} bytes is announced, {LARGEST} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    // Grows as it comes in: an announced length alone takes no memory.
    let mut body = Vec::new();
    let mut taken = stream.take(length as u64);
    taken.read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(&body).map(Some)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn read_all(mut bytes: &[u8]) -> io::Result<Option<Call>> {
        // What is in memory is read at once.
        read(&mut bytes).now_or_never().unwrap_or(Ok(None))
    }

    proptest! {
        #[test]
        fn garbage_is_refused_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut framed = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            // It may happen to be a call; then it is one.
            let _ = read_all(&framed);
            let cut = read_all(&framed[..framed.len() - 1]);
            prop_assert!(bytes.is_empty() || cut.is_err(), "a frame that is cut off is an error");
        }

        #[test]
        fn calls_survive_the_wire(key in ".{0,40}", value in prop::collection::vec(any::<u8>(), 0..300)) {
            let write = swarm_kv::Write::new(&*key, value.clone());
            let call = Call { to: Some(7), request: Request::Write(write.into()) };
            let mut wire = Vec::new();
            prop_assert!(matches!(super::write(&mut wire, &call).now_or_never(), Some(Ok(()))));
            let Some(Call { to, request }) = read_all(&wire)? else {
                return Err(TestCaseError::fail("the connection ended"));
            };
            prop_assert_eq!(to, Some(7));
            let Request::Write(Command::Put { key: read, value: there, .. }) = request else {
                return Err(TestCaseError::fail("another call"));
            };
            prop_assert_eq!((read, there.to_vec()), (key, value));
        }
    }

    #[test]
    fn what_an_older_version_does_not_say_is_not_missed() {
        let request = Request::Announce { id: 7, address: "a:1".to_owned(), passed_on: false };
        let said = encode(&Call { to: None, request }).unwrap();
        let older = said.strip_suffix(&[0]).unwrap();
        let framed = [&u32::try_from(older.len()).unwrap().to_be_bytes(), older].concat();
        let Some(Call { request: Request::Announce { id, passed_on, .. }, .. }) =
            read_all(&framed).unwrap()
        else {
            panic!("another call");
        };
        assert_eq!((id, passed_on), (7, false));
    }

    #[test]
    fn what_is_too_large_is_neither_sent_nor_taken() {
        let long = "k".repeat(LARGEST);
        let call = Call { to: None, request: Request::Get { key: long } };
        let sent = write(&mut Vec::new(), &call).now_or_never().unwrap();
        assert!(sent.unwrap_err().to_string().contains("too large"));
        assert!(read_all(&u32::MAX.to_be_bytes()).is_err());
    }
}
