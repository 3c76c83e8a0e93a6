//! An engine's event stream, cut into lines.
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use crate::EngineError;

/// A moment on an engine's own clock: nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventTime(pub u64);

/// One raw JSON line per event.
#[derive(Debug)]
pub struct EventLines;

impl Stream for EventLines {
    type Item = Result<Bytes, EngineError>;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        todo!()
    }
}
