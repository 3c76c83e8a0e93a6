//! What a client of one engine is told at its making.
//!
//! Values are the pool's to choose; the defaults are arguments, not policy.

use std::sync::Arc;
use std::time::Duration;

use crate::tls::TlsClient;
use crate::{Gate, Tunnels};

/// How to reach an engine, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// TLS to TCP engines; a unix socket never uses it.
    pub tls: Option<TlsClient>,
    /// For a name look-up, the TCP connect and the TLS handshake together. Default 5 s: one lost
    /// SYN costs 1 s, two cost 3 s.
    pub connect_deadline: Duration,
    /// Until the headers of an event stream, the one call that has no deadline of its own. Default
    /// 10 s.
    pub request_deadline: Duration,
    /// How long an unused connection is kept: long enough for one user's next command, short enough
    /// that a pool of thousands does not hold one for each engine. Default 5 s.
    pub idle_timeout: Duration,
    /// How many unused connections are kept. Default 2.
    pub max_idle: usize,
    /// Asked right before a request that may change something is written. Default none.
    pub gate: Option<Gate>,
    /// The way to engines that are known by their node. Default none: they cannot be reached.
    pub tunnels: Option<Arc<dyn Tunnels>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            tls: None,
            connect_deadline: Duration::from_secs(5),
            request_deadline: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(5),
            max_idle: 2,
            gate: None,
            tunnels: None,
        }
    }
}
