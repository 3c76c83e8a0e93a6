//! Who leads, told to those who wait for it: the manager's loops begin when this manager leads, and
//! end when it does not.
//!
//! A leader that is cut off from the others is not told by anybody that another one leads. It knows
//! by not hearing from a quorum, and then does not call itself one.

use std::sync::Arc;
use std::time::Duration;

use openraft::Instant as _;
use openraft::RaftMetrics;
use openraft::async_runtime::watch::WatchReceiver as _;
use swarm_store::Leadership;

use crate::core::Core;
use crate::kinds::Kinds;

/// How often a leader sees whether it still hears from a quorum.
const LOOK: Duration = Duration::from_millis(100);
/// How soon it sees again what was being told when it looked.
const BEHIND: Duration = Duration::from_millis(1);
/// So many times the election's length without a quorum, and it does not lead. The others may have
/// chosen another one earlier; what this one writes meanwhile comes to nothing, and on a machine
/// that is loaded a shorter time would end and begin its work for nothing.
const SILENCE: u32 = 4;

/// Keeps the word of who leads. Ends with the store.
pub(crate) async fn tell(core: Arc<Core>) {
    let _over = Over(Arc::clone(&core));
    let metrics = core.raft.metrics();
    // Told of what concerns the leader alone, not of each entry; before the whole is.
    let mut changes = core.raft.server_metrics();
    loop {
        // Whoever woke by the part may read the whole as it was: then nothing would wake him again.
        let is_behind = {
            let (whole, part) = (metrics.borrow_watched(), changes.borrow_watched());
            (&whole.current_leader, &whole.vote) != (&part.current_leader, &part.vote)
                || whole.membership_config != part.membership_config
        };
        let present = present(&core, &metrics.borrow_watched());
        let leads = present.leads;
        core.leadership.send_if_modified(|told| {
            let changed = *told != present;
            *told = present;
            changed
        });
        let called = metrics.borrow_watched().current_leader == Some(core.id);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(BEHIND), if is_behind => {}
            () = tokio::time::sleep(LOOK), if leads || called => {}
        }
    }
}

/// When the store ends, this manager does not lead.
struct Over(Arc<Core>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.leadership.send_modify(|told| (told.leads, told.leader) = (false, None));
    }
}

fn present(core: &Core, metrics: &RaftMetrics<Kinds>) -> Leadership {
    let membership = &metrics.membership_config;
    let called = metrics.current_leader == Some(core.id);
    let alone = membership.voter_ids().count() <= 1;
    let silence = metrics.last_quorum_acked.map(|at| at.elapsed());
    let limit = core.timing.election * SILENCE;
    let leads = called && (alone || silence.is_some_and(|silence| silence < limit));
    let leader = metrics.current_leader.filter(|_| leads || !called);
    let leader = leader.and_then(|id| membership.get_node(&id)).map(|peer| peer.address.clone());
    Leadership { term: metrics.current_term, leads, leader }
}
