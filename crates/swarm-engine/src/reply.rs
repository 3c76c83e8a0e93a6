//! An engine's reply: its body as a stream that gives the connection back at its end, and readers
//! for small bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use swarm_backend::{Body, BoxError, Reply};

use crate::EngineError;
use crate::idle::{Idle, Lease};
use crate::request::strip_hop_by_hop;
use crate::upload::Upload;

/// Far above any message an engine writes.
pub(crate) const LONGEST_REFUSAL: usize = 64 * 1024;

/// The connection under a reply, and where it goes after.
pub(crate) struct Hold {
    pub(crate) lease: Lease,
    pub(crate) idle: Arc<Idle>,
    pub(crate) upload: Upload,
}

impl Hold {
    fn release(self) {
        // An engine may answer before it took the whole request; what it did not take would be
        // read as the next one.
        if self.upload.is_finished() {
            self.idle.put(self.lease);
        }
    }
}

/// hyper's response as the port's reply; hop-by-hop headers end here.
pub(crate) fn reply(response: Response<Incoming>, hold: Hold) -> Reply {
    let (mut parts, incoming) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    let mut body = ReplyBody { incoming, hold: Some(hold) };
    if body.incoming.is_end_stream() {
        body.finish();
    }
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: body.boxed_unsync(),
        upgraded: None,
    }
}

/// Dropped before its end, it closes the connection: the engine sees that nobody listens.
struct ReplyBody {
    incoming: Incoming,
    hold: Option<Hold>,
}

impl ReplyBody {
    fn finish(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.release();
        }
    }
}

impl HttpBody for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(match polled {
            None => {
                self.finish();
                None
            }
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.hold = None;
                Some(Err(EngineError::in_body(&error).into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Reads a body of at most `limit` bytes.
pub async fn read_body(mut body: Body, limit: usize) -> Result<Bytes, EngineError> {
    let too_large = EngineError::TooLarge { what: "the answer", limit };
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large);
    }
    let mut all: Option<BytesMut> = None;
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.downcast::<EngineError>() {
            Ok(error) => *error,
            Err(error) => EngineError::in_body(&*error),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        // Most answers are one chunk, which needs no copy.
        match &mut all {
            None if first.is_empty() => first = data,
            None => {
                let hint = usize::try_from(announced).unwrap_or(0);
                let mut joined = BytesMut::with_capacity(hint.max(first.len() + data.len()));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                all = Some(joined);
            }
            Some(joined) => joined.extend_from_slice(&data),
        }
        if all.as_ref().map_or(first.len(), BytesMut::len) > limit {
            return Err(too_large);
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

/// An engine's error reply as an error: its `{"message"}` (API v1.24 and up), or its plain text, or
/// its status' name.
pub async fn refusal(reply: Reply) -> EngineError {
    match read_body(reply.body, LONGEST_REFUSAL).await {
        Ok(body) => EngineError::refused(reply.status.as_u16(), &body),
        Err(EngineError::TooLarge { .. }) => EngineError::refused(reply.status.as_u16(), b""),
        Err(error) => error,
    }
}

impl EngineError {
    /// An engine's refusal in its own words, or in those of its status where it has none.
    pub(crate) fn refused(code: u16, body: &[u8]) -> Self {
        let named = || {
            let status = StatusCode::from_u16(code).ok();
            status
                .and_then(|status| status.canonical_reason())
                .unwrap_or("unknown status")
                .to_owned()
        };
        Self::Status { code, message: message_of(body).unwrap_or_else(named) }
    }
}

fn message_of(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let text = match serde_json::from_slice::<Message>(bytes) {
        Ok(known) => known.message,
        Err(_) => String::from_utf8_lossy(bytes).trim().to_owned(),
    };
    (!text.is_empty()).then_some(text)
}
