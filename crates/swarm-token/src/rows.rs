//! What is told of engines and of clusters, as JSON has it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::Token;
use crate::clock::Millis;

/// What is known of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum NodeState {
    /// Renewed so many milliseconds ago, for so many seconds.
    Registered { ttl: u32, renewed_ms: Millis },
    /// It took its leave.
    Left,
    /// It ran out, or never was.
    Absent,
}

/// One token, for its service's owner.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterRow {
    #[serde(serialize_with = "as_text")]
    pub(crate) token: Token,
    pub(crate) nodes: Vec<Box<str>>,
    pub(crate) created: Time,
    pub(crate) used: Time,
    pub(crate) expires: Time,
}

fn as_text<S: Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(token)
}

/// A time, written as RFC 3339 in whole seconds; one beyond all calendars is their last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) Millis);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX);
        serializer.collect_str(&Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
    }
}
