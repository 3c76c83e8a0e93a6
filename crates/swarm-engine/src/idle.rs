//! Connections of one engine that nobody uses just now.
//!
//! Few and not for long: with thousands of engines, kept connections are most of a manager's
//! memory. No timer per connection: one sweeper runs while anything is kept and ends with the last.
//!
//! Invariant: what is kept has read its last reply and written its last request whole.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::EngineError;
use crate::link::Link;
use crate::upload::Upload;

/// Read buffers start at 8 KiB and grow to this only on bulk streams.
const LARGEST_BUFFER: usize = 64 * 1024;
/// hyper marks a connection ready again when its task next runs, some µs after the reply's end.
const READY_WAIT: Duration = Duration::from_millis(100);

/// One connection in use. Dropping it closes the connection.
pub(crate) struct Lease {
    pub(crate) sender: http1::SendRequest<Upload>,
    pub(crate) heard: Arc<AtomicBool>,
    driver: AbortHandle,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Lease {
    /// Starts HTTP on a fresh socket.
    pub(crate) async fn open(link: Link) -> Result<Self, EngineError> {
        let heard = link.heard();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(LARGEST_BUFFER)
            .handshake(TokioIo::new(link))
            .await
            .map_err(|error| EngineError::before_reply(&error))?;
        Ok(Self::driving(sender, connection, heard))
    }

    /// Lets a task drive `connection`. Its errors reach whoever waits for the reply.
    pub(crate) fn driving(
        sender: http1::SendRequest<Upload>,
        connection: http1::Connection<TokioIo<Link>, Upload>,
        heard: Arc<AtomicBool>,
    ) -> Self {
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "an engine's connection ended");
            }
        });
        Self { sender, heard, driver: driver.abort_handle() }
    }
}

/// The kept connections.
pub(crate) struct Idle {
    slots: Mutex<Slots>,
    timeout: Duration,
    max: usize,
}

#[derive(Default)]
struct Slots {
    /// Oldest first.
    kept: Vec<(Instant, Lease)>,
    sweeping: bool,
}

impl Idle {
    pub(crate) fn new(timeout: Duration, max: usize) -> Arc<Self> {
        Arc::new(Self { slots: Mutex::default(), timeout, max })
    }

    /// The connection used last that is still open.
    pub(crate) async fn take(&self) -> Option<Lease> {
        loop {
            let (_, mut lease) = self.slots.lock().kept.pop()?;
            if lease.sender.is_ready() {
                return Some(lease);
            }
            if let Ok(Ok(())) = tokio::time::timeout(READY_WAIT, lease.sender.ready()).await {
                return Some(lease);
            }
        }
    }

    /// Keeps `lease`, in place of the oldest when there are enough.
    pub(crate) fn put(self: &Arc<Self>, lease: Lease) {
        if self.max == 0 || lease.sender.is_closed() {
            return;
        }
        let surplus;
        let start;
        {
            let mut slots = self.slots.lock();
            surplus = (slots.kept.len() >= self.max).then(|| slots.kept.remove(0));
            slots.kept.push((Instant::now(), lease));
            start = !slots.sweeping;
            slots.sweeping = true;
        }
        drop(surplus);
        if start {
            tokio::spawn(sweep(Arc::downgrade(self), self.timeout));
        }
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut self.slots.lock().kept);
        drop(kept);
    }

    /// Closes what is too old; the moment the next one will be, or `None` at the end of the work.
    fn close_old(&self, now: Instant) -> Option<Instant> {
        let mut slots = self.slots.lock();
        slots.kept.retain(|(since, lease)| {
            now.saturating_duration_since(*since) < self.timeout && !lease.sender.is_closed()
        });
        slots.sweeping = !slots.kept.is_empty();
        slots.kept.first().map(|(since, _)| *since + self.timeout)
    }
}

async fn sweep(idle: Weak<Idle>, timeout: Duration) {
    let mut next = Instant::now() + timeout;
    loop {
        tokio::time::sleep_until(next).await;
        match idle.upgrade().and_then(|idle| idle.close_old(Instant::now())) {
            Some(moment) => next = moment,
            None => return,
        }
    }
}
