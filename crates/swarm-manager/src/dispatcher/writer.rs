//! The one writer of what nodes say: what comes while a write is on its way is the next one. So a few
//! nodes wait for nobody, and many share their writes. What one node says stays in its order.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::StoreError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::Dispatcher;
use super::word::{Word, changes};
use crate::reign::{Reign, is_end, told};

/// How many objects one write changes at most, about.
const AT_ONCE: usize = 1_000;

/// The longest rest between two writes when there is more to write already.
const PAUSE: Duration = Duration::from_millis(2);

/// The waits after a write that failed: the first, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Writes until the leadership ends.
pub async fn run(
    dispatcher: Arc<Dispatcher>,
    reign: Reign,
    mut inbox: mpsc::Receiver<Word>,
) -> Result<(), StoreError> {
    let mut pause = Duration::ZERO;
    while let Some(first) = inbox.recv().await {
        // What comes in a hurry shares a write; the first after a while does not wait.
        if pause >= Duration::from_millis(1) {
            sleep(pause).await;
        }
        let begun = Instant::now();
        let mut weight = first.weight();
        let mut words = vec![first];
        while weight < AT_ONCE
            && let Ok(word) = inbox.try_recv()
        {
            weight += word.weight();
            words.push(word);
        }
        match write(&dispatcher, &reign, &words).await {
            Ok(()) => {}
            Err(error) if is_end(&error) => return Err(error),
            // Something in it cannot be written; the rest can.
            Err(_) => {
                for word in words {
                    match write(&dispatcher, &reign, std::slice::from_ref(&word)).await {
                        Ok(()) => {}
                        Err(error) if is_end(&error) => return Err(error),
                        Err(error) => {
                            tracing::error!(%error, "what a node said cannot be written: left out");
                        }
                    }
                }
            }
        }
        pause = if inbox.is_empty() { Duration::ZERO } else { begun.elapsed().min(PAUSE) };
    }
    Ok(())
}

/// Writes words, as often as it takes. An error is the store's refusal.
async fn write(dispatcher: &Dispatcher, reign: &Reign, words: &[Word]) -> Result<(), StoreError> {
    let replica = &dispatcher.replica;
    let mut wait = BACK_OFF.0;
    loop {
        let mut batch = replica.read(|tables| {
            let is_silent = |node: &swarm_model::Id| dispatcher.beats.lock().is_silent(node);
            changes(words, tables, dispatcher.clock.now(tables), &is_silent)
        })?;
        if batch.is_empty() {
            return Ok(());
        }
        reign.fence(&mut batch);
        match replica.commit(batch).await.map_err(told) {
            Ok(()) => return Ok(()),
            Err(StoreError::Conflict { key }) => {
                tracing::debug!(key, "what nodes said is written again");
                replica.fresh().await.ok();
            }
            Err(error) if error.is_passing() => {
                // Once for each that had to wait: a disk may be full for hours.
                if wait == BACK_OFF.0 {
                    tracing::warn!(%error, "what nodes said is not written yet; it is tried again");
                }
                sleep(wait).await;
                wait = (wait * 2).min(BACK_OFF.1);
            }
            Err(error) => return Err(error),
        }
    }
}
