//! The one writer of the file. Changes are queued in the order in which the book saw them; what has
//! queued while one batch was written is the next batch, so that a thousand registrations at once
//! cost a few waits for the disk and not a thousand.
//!
//! Invariants: the queue is bounded; whoever waits for a change hears of it after it is on disk.

use tokio::sync::mpsc::{self, Permit, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info};

use crate::Refusal;
use crate::disk::{Change, Disk};

/// Changes that may wait.
const QUEUE: usize = 4_096;
/// Changes in one transaction.
const BATCH: usize = 1_024;

/// A change, and who waits for it.
type Queued = (Change, oneshot::Sender<Result<(), Refusal>>);

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Sender<Queued>,
}

/// A place in the queue. It is had before the book changes and used with the book's lock held, so
/// that the order on disk is the order in the book.
#[derive(Debug)]
pub(crate) struct Place<'a>(Permit<'a, Queued>);

/// The end of a change's way.
#[derive(Debug)]
pub(crate) struct Written(oneshot::Receiver<Result<(), Refusal>>);

impl Writer {
    /// Starts it; the task ends, with all written, after the writer is dropped.
    pub(crate) fn start(disk: Disk) -> (Self, JoinHandle<()>) {
        let (queue, changes) = mpsc::channel(QUEUE);
        (Self { queue }, tokio::spawn(write_all(disk, changes)))
    }

    /// Waits for a place.
    pub(crate) async fn place(&self) -> Result<Place<'_>, Refusal> {
        self.queue.reserve().await.map(Place).map_err(|_| Refusal::Disk)
    }

    /// A place, if there is one now.
    pub(crate) fn place_now(&self) -> Option<Place<'_>> {
        self.queue.try_reserve().ok().map(Place)
    }
}

impl Place<'_> {
    pub(crate) fn put(self, change: Change) -> Written {
        let (done, waiting) = oneshot::channel();
        self.0.send((change, done));
        Written(waiting)
    }
}

impl Written {
    /// Waits until it is on disk.
    pub(crate) async fn wait(self) -> Result<(), Refusal> {
        self.0.await.unwrap_or(Err(Refusal::Disk))
    }
}

async fn write_all(disk: Disk, mut changes: Receiver<Queued>) {
    let mut disk = Some(disk);
    let mut failing = false;
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, BATCH).await > 0 {
        let (list, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        // A panic of the storage takes the file with it: no later write can be trusted then.
        let Some(mut taken) = disk.take() else { continue };
        let written = spawn_blocking(move || {
            let written = taken.write(&list);
            (taken, written)
        });
        let outcome = match written.await {
            Ok((back, written)) => {
                disk = Some(back);
                written.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match (&outcome, failing) {
            (Err(reason), false) => error!(reason, "changes are not kept; what is known stays"),
            (Ok(()), true) => info!("changes are kept again"),
            _ => {}
        }
        failing = outcome.is_err();
        for done in waiting {
            // Whoever does not wait any more does not need to know.
            let _ = done.send(outcome.clone().map_err(|_| Refusal::Disk));
        }
    }
}
