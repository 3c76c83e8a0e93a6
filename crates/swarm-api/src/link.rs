//! A connection's place in the server: what it holds of it, and what ends it.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::eof::Phases;

/// A connection's place in the server.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// What the connection is doing.
    pub phases: Phases,
    /// Runs what outlives the HTTP part of a connection.
    pub tracker: TaskTracker,
    /// Cancelled when the server begins to end.
    pub stopping: CancellationToken,
    /// Cancelled when everything must end now.
    pub kill: CancellationToken,
    /// The connection's place under the limit, freed with the last part of it.
    pub permit: Arc<OwnedSemaphorePermit>,
}

impl Link {
    /// Runs `raw` until it ends or the server does; it keeps the connection's place meanwhile.
    pub(crate) fn spawn(&self, raw: impl Future<Output = ()> + Send + 'static) {
        let (kill, permit) = (self.kill.clone(), Arc::clone(&self.permit));
        self.tracker.spawn(async move {
            let _ = kill.run_until_cancelled(raw).await;
            drop(permit);
        });
    }
}
