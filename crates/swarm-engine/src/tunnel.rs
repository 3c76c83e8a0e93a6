//! Engines that no address leads to: whoever has a way to their node opens each connection.
//!
//! One connection of the engine's is one tunnel, so that what streams, is hijacked or half-closed
//! needs nothing of its own. How it comes about is the opener's; this client has a deadline for it.

use std::fmt;
use std::io;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to an engine, whatever is under it. Shutting down its write half has to leave its
/// read half open.
pub trait Raw: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Raw for T {}

/// Opens connections to the engines of nodes.
pub trait Tunnels: fmt::Debug + Send + Sync {
    /// A new connection to the engine of `node`. The error's words are what a person is told. The
    /// caller has a deadline, and drops the future when it is over.
    fn open<'a>(&'a self, node: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Raw>>>;
}
