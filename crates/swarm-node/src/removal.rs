//! A node that the swarm does not have any more (`docker node rm --force`) hears it, and ends its tasks:
//! the swarm runs them elsewhere.
//!
//! No leader welcomes it, which may have other reasons. So after a while without a leader it asks for a
//! new certificate: managers say outright whether they have the node. Invariant: tasks end only on a
//! manager's own word that the node was removed, never for silence.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::identity::{RenewError, renew};
use crate::member::Member;

/// So long without a leader, and it is asked: far longer than an election.
const SILENCE: Duration = Duration::from_secs(10);
/// Then this long, doubled each time: where no leader is to be had, others ask too.
const AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));

/// Waits until a manager says that the node was removed; its words. `None`: the agent has ended.
async fn until_removed<F>(
    mut leader: watch::Receiver<Option<String>>,
    mut ask: impl FnMut() -> F,
) -> Option<String>
where
    F: Future<Output = Result<(), RenewError>>,
{
    let mut wait = SILENCE;
    loop {
        if leader.borrow_and_update().is_some() {
            wait = SILENCE;
            leader.changed().await.ok()?;
            continue;
        }
        tokio::select! {
            () = sleep(wait.mul_f64(rand::random_range(1.0..1.3))) => {}
            changed = leader.changed() => {
                changed.ok()?;
                continue;
            }
        }
        match ask().await {
            Err(RenewError::Removed(words)) => return Some(words),
            Err(error) => tracing::debug!(%error, "nobody says whether this node was removed"),
            Ok(()) => {}
        }
        wait = wait.saturating_mul(2).clamp(AGAIN.0, AGAIN.1);
    }
}

impl Member {
    /// Ends its tasks when it was removed.
    pub(crate) async fn heed_removal(self: Arc<Self>) {
        let leader = self.agent.read().as_ref().map(swarm_agent::Agent::leader);
        let Some(leader) = leader else { return };
        let ask = || async { renew(&self.own, &self.managers_known()).await.map(drop) };
        if let Some(words) = until_removed(leader, ask).await {
            self.was_removed(words);
        }
    }

    /// It is told what became of it, and its tasks are stopped and removed. It stays what it was until
    /// somebody has it leave.
    pub(crate) fn was_removed(self: &Arc<Self>, words: String) {
        tracing::error!(
            words,
            "this node is no member of its swarm any more: its tasks are stopped"
        );
        *self.removed.write() = Some(words);
        let this = Arc::clone(self);
        // By itself: who leaves meanwhile waits for it.
        tokio::spawn(async move {
            let _ending = this.ending.lock().await;
            let agent = this.agent.write().take();
            let Some(agent) = agent else { return };
            match agent.stop(true).await {
                Ok(()) => tracing::info!("the tasks of this node are stopped and removed"),
                Err(error) => tracing::warn!(%error, "the agent did not end as it should"),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::Instant;

    use super::*;

    fn removed() -> Result<(), RenewError> {
        Err(RenewError::Removed("gone".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_s_word_counts_and_silence_does_not() {
        let (_tell, leader) = watch::channel(None);
        let asked = AtomicUsize::new(0);
        let begun = Instant::now();
        let ask = || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Err(RenewError::Failed(vec!["no answer".to_owned()])),
                1 => Ok(()),
                _ => removed(),
            }
        };
        assert_eq!(until_removed(leader, ask).await.as_deref(), Some("gone"));
        let took = begun.elapsed();
        assert_eq!(asked.into_inner(), 3);
        assert!(took >= SILENCE + AGAIN.0 * 3 && took <= AGAIN.0 * 5, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_while_there_is_a_leader() {
        let (tell, leader) = watch::channel(None);
        let waiting = tokio::spawn(until_removed(leader, || async { removed() }));
        for link in [Some("a"), None, Some("b")] {
            sleep(SILENCE / 2).await;
            tell.send_replace(link.map(str::to_owned));
        }
        sleep(AGAIN.1).await;
        assert!(!waiting.is_finished());
        tell.send_replace(None);
        assert_eq!(waiting.await.unwrap().as_deref(), Some("gone"));
    }
}
