//! A request's body, watched: whether hyper took any of it, and whether it took all.
//!
//! A body of which nothing was taken can be sent again on another connection; a connection whose
//! request was not taken whole cannot be used again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use swarm_backend::{Body, BoxError};

/// A shared handle; each attempt to send hands hyper a clone.
#[derive(Clone)]
pub(crate) struct Upload {
    state: Arc<Mutex<State>>,
}

struct State {
    body: Body,
    touched: bool,
    finished: bool,
}

impl Upload {
    pub(crate) fn new(body: Body) -> Self {
        let finished = body.is_end_stream();
        Self { state: Arc::new(Mutex::new(State { body, touched: false, finished })) }
    }

    /// Nothing of it was taken yet.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.state.lock().touched
    }

    /// All of it was taken.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.lock().finished
    }

    /// Its length, when known before it is read.
    pub(crate) fn exact_size(&self) -> Option<u64> {
        self.state.lock().body.size_hint().exact()
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.state.lock();
        let polled = Pin::new(&mut state.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            state.touched = true;
            state.finished = frame.is_none() || state.body.is_end_stream();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.state.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state.lock().body.size_hint()
    }
}
