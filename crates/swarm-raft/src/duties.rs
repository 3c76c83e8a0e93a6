//! What a manager does without being asked: ends leases as the leader, cuts the log, watches over
//! its own health, keeps its certificate young, and makes itself known to the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use swarm_store::Command;
use tokio::time::Instant;

use crate::core::Core;
use crate::kinds::Kinds;
use crate::leading;
use crate::members;
use crate::net::Fault;
use crate::trust;

/// How often leases are looked at while none is due earlier.
const LEASES: Duration = Duration::from_millis(500);
/// A look that comes so late means that the process stood still: nobody could renew.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How many leases one command ends.
const AT_ONCE: usize = 1000;
/// How often the health is looked at.
const HEALTH: Duration = Duration::from_millis(200);
/// How long after its disk is well a leader that wanted to hand over, and still is the one, stands for
/// election again: by then it would have heard of another.
const RELIEF: Duration = Duration::from_secs(1);
/// How often a leader sees whether a change of the managers was left in the middle.
const CHANGES: Duration = Duration::from_millis(500);
/// How long without a quorum or a leader counts as ill; an election is not.
const ILL: Duration = Duration::from_secs(3);
/// How often a manager sees whether the others know where it is.
const ANNOUNCE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How often a certificate is replaced: well before its end, and a running manager never stops for
/// it.
const REISSUE: Duration = Duration::from_hours(24 * 20);

/// Starts all of them.
pub(crate) fn start(core: &Arc<Core>) {
    spawn(core, leases);
    spawn(core, snapshots);
    spawn(core, purges);
    spawn(core, health);
    spawn(core, announce);
    spawn(core, changes);
    spawn(core, leading::tell);
}

fn spawn<F>(core: &Arc<Core>, duty: impl FnOnce(Arc<Core>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let duty = duty(Arc::clone(core));
    let stop = core.stop.clone();
    core.tasks.spawn(async move {
        let _ = stop.run_until_cancelled(duty).await;
    });
}

/// Ends leases that are due, while this manager leads.
async fn leases(core: Arc<Core>) {
    let mut term = None;
    let mut looked = Instant::now();
    loop {
        let metrics = core.raft.metrics().borrow_watched().clone();
        let leads = metrics.current_leader == Some(core.id);
        let present = leads.then_some(metrics.current_term);
        let stood_still = looked.elapsed() > STOOD_STILL;
        looked = Instant::now();
        if (present.is_some() && present != term) || stood_still {
            // Renewals may have been on their way to a leader that is gone, or have waited while
            // this process did not run: every lease has its full time again.
            core.state.restart_leases();
        }
        term = present;
        if leads {
            expire(&core).await;
        }
        let next = core.state.read(swarm_store::Machine::next_due);
        let wait = next
            .map_or(LEASES, |next| Duration::from_millis(next.saturating_sub(core.state.now())));
        tokio::time::sleep(wait.clamp(Duration::from_millis(5), LEASES)).await;
    }
}

async fn expire(core: &Core) {
    let mut due = core.state.read(|machine| machine.due(core.state.now()));
    due.truncate(AT_ONCE);
    if due.is_empty() {
        return;
    }
    // Where it is not done, the next look does it.
    if let Err(fault) = core.append(Command::Expire { due }, core.until()).await {
        tracing::debug!(%fault, "leases were not ended");
    }
}

/// Cuts a snapshot when one is due.
async fn snapshots(core: Arc<Core>) {
    loop {
        core.state.due.notified().await;
        if core.raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Lets go of the log that snapshots cover, but for what is to stay behind them.
async fn purges(core: Arc<Core>) {
    let mut behind = core.state.behind();
    let mut metrics = core.raft.data_metrics();
    let mut asked = None;
    loop {
        let stays = *behind.borrow_and_update();
        let (covered, begins) = {
            let metrics = metrics.borrow_watched();
            (metrics.snapshot.map(|id| id.index), metrics.purged.map_or(0, |id| id.index + 1))
        };
        // Up to and with this one.
        let upto = covered.and_then(|covered| covered.checked_sub(stays));
        // It may take a while until nobody is being sent what goes.
        if let Some(upto) = upto.filter(|upto| *upto >= begins && asked < Some(*upto)) {
            asked = Some(upto);
            if core.raft.trigger().purge_log(upto).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() { return },
            changed = behind.changed() => if changed.is_err() { return },
        }
    }
}

/// Watches whether the store can be relied on; hands leadership over when the disk is in trouble;
/// keeps the address book.
async fn health(core: Arc<Core>) {
    let mut well = Instant::now();
    let mut membership = None;
    let mut handed = None;
    loop {
        tokio::time::sleep(HEALTH).await;
        // Whoever cannot write down a vote does not stand for election.
        let may_lead = core.disk.trouble().is_none() || core.is_alone();
        core.raft.runtime_config().elect(may_lead);
        let metrics = core.raft.metrics().borrow_watched().clone();
        if membership.as_ref() != Some(&metrics.membership_config) {
            let nodes = metrics.membership_config.nodes();
            let book: BTreeMap<_, _> =
                nodes.map(|(id, peer)| (*id, peer.address.clone())).collect();
            if !book.is_empty() {
                core.peers.learn(book);
            }
            membership = Some(Arc::clone(&metrics.membership_config));
        }
        let voters = metrics.membership_config.voter_ids().count();
        let silence = if metrics.current_leader == Some(core.id) {
            let alone = voters == 1;
            if !alone {
                relieve(&core, &mut handed).await;
            }
            let acknowledged = metrics.last_quorum_acked.map(|at| at.elapsed());
            if alone { Some(Duration::ZERO) } else { acknowledged }
        } else {
            handed = None;
            let heard = core.heard.load(Ordering::Relaxed);
            (heard > 0).then(|| Duration::from_millis(core.state.now().saturating_sub(heard)))
        };
        let limit = core.timing.election * 4;
        if silence.is_some_and(|silence| silence < limit) {
            well = Instant::now();
        }
        let ill = if let Err(error) = core.able() {
            Some(error.to_string())
        } else if well.elapsed() > ILL {
            match core.health.borrow().clone() {
                None => Some(String::new()),
                told => told,
            }
        } else {
            None
        };
        // Counting takes a moment, so it is done once for each illness.
        let ill = match ill {
            Some(words) if words.is_empty() => Some(core.count().await),
            ill => ill,
        };
        core.health.send_if_modified(|told| {
            let changed = *told != ill;
            *told = ill;
            changed
        });
    }
}

/// A leader whose disk takes no writes lets another one lead. One that nobody could relieve takes no writes
/// any more, for the library: it stands for election again once its disk is well.
async fn relieve(core: &Core, handed: &mut Option<Instant>) {
    if core.disk.trouble().is_some() {
        hand_over(core).await;
        *handed = Some(Instant::now());
    } else if handed.is_some_and(|at| at.elapsed() > RELIEF) {
        *handed = None;
        if core.raft.trigger().elect(false).await.is_err() {
            tracing::debug!("the store has ended");
        }
    }
}

/// Lets another voter lead, the one whose log is the longest; `true` when one does.
pub(crate) async fn hand_over(core: &Core) -> bool {
    let metrics = core.raft.metrics().borrow_watched().clone();
    if metrics.current_leader != Some(core.id) {
        return true;
    }
    let voters: Vec<_> = metrics.membership_config.voter_ids().collect();
    let logs = metrics.replication.unwrap_or_default();
    let others = logs.into_iter().filter(|(id, _)| *id != core.id && voters.contains(id));
    let Some((next, _)) = others.max_by_key(|(_, log)| *log) else { return false };
    if core.raft.trigger().transfer_leader(next).await.is_err() {
        return false;
    }
    let wait = core.raft.wait(Some(Duration::from_millis(600)));
    let elsewhere = |metrics: &openraft::RaftMetrics<Kinds>| {
        metrics.current_leader.is_some_and(|leader| leader != core.id)
    };
    wait.metrics(elsewhere, "another leader").await.is_ok()
}

/// Makes this manager known where it is, until the others know it as a voter there.
async fn announce(core: Arc<Core>) {
    let mut pause = ANNOUNCE.0;
    loop {
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.7..1.0))).await;
        if is_settled(&core) {
            pause = ANNOUNCE.1;
            continue;
        }
        pause = (pause * 2).min(Duration::from_secs(1));
        match members::announce(&core).await {
            Err(Fault::Removed) => {
                if !core.removed.swap(true, Ordering::Relaxed) {
                    tracing::error!("{}", core.removed_words());
                }
            }
            Err(fault) => tracing::debug!(%fault, "the other managers do not know this one yet"),
            Ok(()) => {}
        }
    }
}

/// Ends changes of the managers that nobody else ends.
async fn changes(core: Arc<Core>) {
    loop {
        tokio::time::sleep(CHANGES).await;
        if let Err(fault) = members::end_change(&core).await {
            tracing::debug!(%fault, "a change of the managers is still under way");
        }
    }
}

/// The others know it as it is, and somebody leads.
fn is_settled(core: &Core) -> bool {
    let metrics = core.raft.metrics().borrow_watched().clone();
    let membership = &metrics.membership_config;
    let known = membership.get_node(&core.id).is_some_and(|peer| peer.address == core.advertise);
    let votes = membership.voter_ids().any(|id| id == core.id);
    known && votes && core.health.borrow().is_none()
}

/// Replaces the certificate now and then.
pub(crate) async fn reissue(core: Arc<Core>, replace: impl Fn(trust::Identity) + Send) {
    loop {
        tokio::time::sleep(REISSUE).await;
        match trust::identity(&core.authority, core.id) {
            Ok(identity) => replace(identity),
            Err(error) => tracing::error!(%error, "no new certificate; the old one is kept"),
        }
    }
}

/// Waits a bounded time for somebody to lead.
pub(crate) async fn wait_for_leader(core: &Core, limit: Duration) -> bool {
    let wait = core.raft.wait(Some(limit));
    wait.metrics(|metrics| metrics.current_leader.is_some(), "a leader").await.is_ok()
}
