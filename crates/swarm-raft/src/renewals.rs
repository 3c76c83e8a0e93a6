//! Renewals of long leases, gathered: a pool of a thousand nodes renews seventeen leases each second,
//! and each by itself would be a message to the leader, one to every other manager, and a write to
//! each one's disk.
//!
//! Invariant: a renewal is answered after it was done, as if it had been alone. Those of short
//! leases are: they have no time to wait.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use swarm_kv::{Result, StoreError};
use swarm_store::{Command, Done, lease_name, lease_number};
use tokio::sync::oneshot;

use crate::core::Core;

/// How long a renewal waits for others, where calls have five seconds.
const GATHER: Duration = Duration::from_secs(2);
/// The shortest lease whose renewals wait, in milliseconds: a minute, of which a wait is little.
const LONG: u64 = 60_000;
/// How many are done at once.
const AT_ONCE: usize = 1000;

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Renewals(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    lease: u128,
    answer: oneshot::Sender<Result<()>>,
}

/// Renews a lease through whoever leads.
pub(crate) async fn renew(core: &Arc<Core>, lease: String) -> Result<()> {
    let long = core.state.read(|machine| machine.ttl(&lease)).is_some_and(|ttl| ttl >= LONG);
    let Some(number) = lease_number(&lease).filter(|_| long) else {
        return core.propose(Command::Renew { lease }).await.map(drop);
    };
    let (answer, answered) = oneshot::channel();
    let is_first = {
        let mut waiting = core.renewals.0.lock();
        waiting.push(Waiting { lease: number, answer });
        waiting.len() == 1
    };
    if is_first {
        let (gathering, stop) = (gather(Arc::clone(core)), core.stop.clone());
        core.tasks.spawn(async move { stop.run_until_cancelled(gathering).await });
    }
    match answered.await {
        Ok(done) => done,
        Err(_) => Err(core.unreachable("it is shut down")),
    }
}

/// Waits for others, and renews all that have come.
async fn gather(core: Arc<Core>) {
    // Of a caller's time enough is left for the change itself.
    let wait = GATHER.min(core.deadline * 2 / 5);
    tokio::time::sleep(wait).await;
    let mut waiting = std::mem::take(&mut *core.renewals.0.lock());
    while !waiting.is_empty() {
        let rest = waiting.split_off(waiting.len().min(AT_ONCE));
        let leases = waiting.iter().map(|waiting| waiting.lease).collect();
        let done = core.propose_by(Command::RenewAll { leases }, core.until() - wait).await;
        let over = match done {
            Ok(Done::Renewed { over }) => Ok(over),
            Ok(other) => Err(core.unreachable(format!("renewals were answered with {other:?}"))),
            Err(error) => Err(error),
        };
        for Waiting { lease, answer } in waiting {
            let done = match &over {
                Ok(over) if over.contains(&lease) => {
                    Err(StoreError::LeaseLost { id: lease_name(lease) })
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.clone()),
            };
            // Who waits no longer needs no answer.
            let _ = answer.send(done);
        }
        waiting = rest;
    }
}
