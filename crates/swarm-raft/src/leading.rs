//! Who leads, told to those who wait for it: the manager's loops begin when this manager leads, and
//! end when it does not.
//!
//! A leader that is cut off from the others is not told by anybody that another one leads. It knows
//! by not hearing from a quorum, and then does not call itself one. What a follower says of the log and of
//! heartbeats waits for its disk, which large writes keep busy for seconds, and a leader that stood still
//! itself has read nothing: so silence alone is no reason. Whether they follow is asked first, and answered
//! by whoever runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::Instant as _;
use openraft::RaftMetrics;
use openraft::async_runtime::watch::WatchReceiver as _;
use swarm_store::Leadership;
use tokio::time::{Instant, sleep_until};

use crate::core::Core;
use crate::kinds::{Id, Kinds};
use crate::net::{Reply, Request};

/// How often a leader sees whether it still hears from a quorum.
const LOOK: Duration = Duration::from_millis(100);
/// How soon it sees again what was being told when it looked.
const BEHIND: Duration = Duration::from_millis(1);
/// So many times the election's length without a quorum, and it does not lead. The others may have
/// chosen another one earlier; what this one writes meanwhile comes to nothing, and on a machine
/// that is loaded a shorter time would end and begin its work for nothing.
const SILENCE: u32 = 4;
/// How long the others may take to say whether they follow.
const ANSWER: Duration = Duration::from_millis(500);

/// What came of asking the others whether they follow.
#[derive(Debug, Default, Clone, Copy)]
struct Asked {
    /// In which term.
    term: u64,
    /// When it was asked what a quorum said yes to.
    yes: Option<Instant>,
    /// When it was asked last without that.
    vain: Option<Instant>,
}

impl Asked {
    /// What counts in `term`.
    fn of(self, term: u64) -> Self {
        if self.term == term { self } else { Self { term, ..Self::default() } }
    }

    /// With one more answer.
    fn then(self, begun: Instant, yes: bool) -> Self {
        if yes { Self { yes: Some(begun), ..self } } else { Self { vain: Some(begun), ..self } }
    }

    /// Since when nothing was heard, where `acknowledged` is what the library heard last.
    fn last(self, acknowledged: Option<Instant>) -> Option<Instant> {
        acknowledged.map(|at| self.yes.map_or(at, |yes| yes.max(at)))
    }

    /// Whether it leads: something was heard not long ago, or nobody was asked since.
    fn leads(self, acknowledged: Option<Instant>, limit: Duration) -> bool {
        self.last(acknowledged)
            .is_some_and(|last| last.elapsed() < limit || self.vain.is_none_or(|vain| vain < last))
    }

    /// Whether the others are to be asked.
    fn is_due(self, acknowledged: Option<Instant>, limit: Duration) -> bool {
        self.last(acknowledged).is_some_and(|last| last.elapsed() > limit / 2)
    }
}

/// Keeps the word of who leads. Ends with the store.
pub(crate) async fn tell(core: Arc<Core>) {
    let _over = Over(Arc::clone(&core));
    let metrics = core.raft.metrics();
    // Told of what concerns the leader alone, not of each entry; before the whole is.
    let mut changes = core.raft.server_metrics();
    let limit = core.timing.election * SILENCE;
    let mut asked = Asked::default();
    loop {
        // Whoever woke by the part may read the whole as it was: then nothing would wake him again.
        let is_behind = {
            let (whole, part) = (metrics.borrow_watched(), changes.borrow_watched());
            (&whole.current_leader, &whole.vote) != (&part.current_leader, &part.vote)
                || whole.membership_config != part.membership_config
        };
        let now = metrics.borrow_watched().clone();
        asked = asked.of(now.current_term);
        let present = present(&core, &now, asked);
        let leads = present.leads;
        core.leadership.send_if_modified(|told| {
            let changed = *told != present;
            *told = present;
            changed
        });
        let called = now.current_leader == Some(core.id);
        let asks = called && !is_alone(&now) && asked.is_due(acknowledged(&now), limit);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(BEHIND), if is_behind => {}
            answer = ask(&core, &now), if asks && !is_behind => {
                if let Some((begun, yes)) = answer {
                    asked = asked.then(begun, yes);
                }
            }
            () = tokio::time::sleep(LOOK), if (leads || called) && !asks => {}
        }
    }
}

/// When the question was asked, and whether a quorum follows this leader of this term; `None` where this
/// process stood still over it, which says nothing of the others. Takes as long as a look at least.
async fn ask(core: &Core, metrics: &RaftMetrics<Kinds>) -> Option<(Instant, bool)> {
    let (begun, term) = (Instant::now(), metrics.current_term);
    let membership = metrics.membership_config.membership();
    let others = metrics.membership_config.voter_ids().filter(|id| *id != core.id);
    let asked = others.map(|id| async move {
        let question = Request::Follows { term, leader: core.id };
        let answer = core.peers.call(id, question, begun + ANSWER).await;
        matches!(answer, Ok(Reply::Done)).then_some(id)
    });
    let mut follow: BTreeSet<Id> = join_all(asked).await.into_iter().flatten().collect();
    follow.insert(core.id);
    let has_quorum =
        |voters: &BTreeSet<Id>| 2 * voters.intersection(&follow).count() > voters.len();
    let yes = membership.get_joint_config().iter().all(has_quorum);
    if !yes && begun.elapsed() > 2 * ANSWER {
        return None;
    }
    sleep_until(begun + LOOK).await;
    Some((begun, yes))
}

/// When the store ends, this manager does not lead.
struct Over(Arc<Core>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.leadership.send_modify(|told| (told.leads, told.leader) = (false, None));
    }
}

fn is_alone(metrics: &RaftMetrics<Kinds>) -> bool {
    metrics.membership_config.voter_ids().count() <= 1
}

/// When a quorum had what it acknowledged last sent to it.
fn acknowledged(metrics: &RaftMetrics<Kinds>) -> Option<Instant> {
    let silence = metrics.last_quorum_acked.map(|at| at.elapsed())?;
    Some(Instant::now().checked_sub(silence).unwrap_or_else(Instant::now))
}

fn present(core: &Core, metrics: &RaftMetrics<Kinds>, asked: Asked) -> Leadership {
    let membership = &metrics.membership_config;
    let called = metrics.current_leader == Some(core.id);
    let limit = core.timing.election * SILENCE;
    let leads = called && (is_alone(metrics) || asked.leads(acknowledged(metrics), limit));
    let leader = metrics.current_leader.filter(|_| leads || !called);
    let leader = leader.and_then(|id| membership.get_node(&id)).map(|peer| peer.address.clone());
    Leadership { term: metrics.current_term, leads, leader }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_only_where_nobody_says_that_he_follows() {
        let limit = Duration::from_secs(1);
        let begun = Instant::now();
        let heard = Some(begun);
        let new = Asked::default().of(3);
        assert!(!new.leads(None, limit) && !new.is_due(None, limit), "not heard at all yet");
        tokio::time::advance(limit * 5).await;
        // It stood still: it asks first.
        assert!(new.leads(heard, limit) && new.is_due(heard, limit));
        let yes = new.then(Instant::now(), true);
        assert!(yes.leads(heard, limit) && !yes.is_due(heard, limit));
        tokio::time::advance(limit * 3 / 4).await;
        assert!(yes.leads(heard, limit) && yes.is_due(heard, limit));
        let vain = yes.then(Instant::now(), false);
        assert!(vain.leads(heard, limit), "it is not long enough");
        tokio::time::advance(limit / 4).await;
        assert!(!vain.leads(heard, limit) && vain.is_due(heard, limit), "and it goes on asking");
        assert!(vain.then(Instant::now(), true).leads(heard, limit));
        assert!(vain.leads(Some(Instant::now()), limit), "the library heard something");
        assert_eq!(vain.of(4).yes, None, "what was said in another term is nothing");
    }
}
