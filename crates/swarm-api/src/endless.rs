//! Answers that have no end of their own: events, followed logs, figures of a container. A server that ends
//! breaks them off at once instead of waiting for clients that wait for it; that the answer was broken off
//! tells them that it is not all.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use swarm_docker::Query;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::path::split_version;

/// Whether the answer to this `GET` goes on for as long as its client wants it.
pub(crate) fn is_endless(uri: &Uri) -> bool {
    let (_, path) = split_version(uri.path());
    let query = Query::parse(uri.query().unwrap_or_default());
    match path.rsplit('/').next() {
        Some("events") => path == "/events",
        Some("logs") => query.flag("follow"),
        Some("stats") => query.get("stream").is_none() || query.flag("stream"),
        _ => false,
    }
}

/// The end of the server, for an answer that does not end before it.
pub(crate) struct Cut(Pin<Box<WaitForCancellationFutureOwned>>);

impl Cut {
    /// When `stopping` is cancelled.
    pub(crate) fn by(stopping: &CancellationToken) -> Self {
        Self(Box::pin(stopping.clone().cancelled_owned()))
    }

    /// Whether it has come.
    pub(crate) fn has_come(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.0.as_mut().poll(cx), Poll::Ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_for_ever_is_told_from_what_ends() {
        for (uri, endless) in [
            ("/events", true),
            ("/v1.44/events?filters=%7B%7D", true),
            ("/v1.44/containers/web/logs?follow=1&stdout=1", true),
            ("/services/web/logs?follow=true", true),
            ("/v1.44/containers/web/stats", true),
            ("/containers/web/stats?stream=1", true),
            ("/containers/web/stats?stream=0", false),
            ("/containers/web/stats?stream=false&one-shot=1", false),
            ("/containers/web/logs?stdout=1", false),
            ("/containers/events", false),
            ("/containers/json", false),
            ("/images/get", false),
        ] {
            assert_eq!(is_endless(&uri.parse().unwrap()), endless, "{uri}");
        }
    }
}
