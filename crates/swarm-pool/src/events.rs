//! The pool's event stream: every engine's events, with their node, to every client that asked.
//!
//! Events are passed, not stored: history is asked of the engines. A client too slow to follow is
//! told so by the end of its stream, never by a silent hole in it.

use std::sync::Arc;

use bytes::Bytes;
use swarm_docker::event::Event;
use tokio::sync::broadcast;

use crate::engine::Identity;

/// How many events a client may be behind before its stream ends: a few seconds at the busiest.
const BACKLOG: usize = 65_536;

/// One event as clients get it.
#[derive(Debug)]
pub struct PoolEvent {
    /// Whose it is.
    pub node: Arc<Identity>,
    /// Parsed, for filters.
    pub event: Event,
    /// The line to send, node attributes included, without its newline.
    pub line: Bytes,
}

/// The point where all engines' events meet.
#[derive(Debug)]
pub struct EventHub {
    sender: broadcast::Sender<Arc<PoolEvent>>,
}

impl Default for EventHub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }
}

impl EventHub {
    /// Somebody listens: only then is it worth to build an event's line.
    pub fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// How many clients listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Passes one event to all who listen now.
    pub fn publish(&self, event: PoolEvent) {
        // An error means that nobody listens.
        let _ = self.sender.send(Arc::new(event));
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PoolEvent>> {
        self.sender.subscribe()
    }
}
