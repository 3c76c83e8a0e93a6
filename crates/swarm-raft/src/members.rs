//! Managers come, move and go. Every change of the membership is made by the leader, one at a time;
//! any manager can be asked and passes it on.
//!
//! A manager that joins is first a learner, is filled with the state, and only then counts towards
//! the quorum: a new one that is slow, or never comes, costs the others nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use swarm_kv::{Result, Secret, StoreError};
use swarm_store::{Command, When};
use tokio::time::{Instant, timeout_at};

use crate::core::Core;
use crate::kinds::{Id, Kinds, Membership, Peer};
use crate::net::{Fault, Joined, LinkError, Reply, Request};
use crate::trust::{Role, Token, new_secret};

/// A learner is let vote when it lacks at most so many entries.
const NEAR: u64 = 256;
/// Within how long a manager has to get what was written so far, to count: it announces itself each second.
const ROUND: Duration = Duration::from_millis(1_500);
/// How long one change of the membership may take.
const CHANGE: Duration = Duration::from_secs(10);
/// With what keys begin that no caller of the store sees.
pub(crate) const RESERVED: &str = "\u{1}store/";

/// A manager of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: u64,
    /// Where the others reach it; empty for one that does not listen.
    pub address: String,
    /// Whether it leads.
    pub is_leader: bool,
    /// Whether it counts towards the quorum, and all have agreed on that; one that has just joined does not
    /// yet.
    pub is_voter: bool,
    /// Whether it answers now.
    pub reachable: bool,
}

/// The tokens of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// For managers.
    pub manager: Secret,
    /// For nodes.
    pub node: Secret,
}

/// All managers.
pub(crate) async fn list(core: &Core) -> Vec<Member> {
    let metrics = core.raft.metrics().borrow_watched().clone();
    let membership = &metrics.membership_config;
    // Who is about to count is no help yet where another one is lost.
    let agreed = core.state.membership();
    let configs = [membership, &agreed].map(|known| known.membership().get_joint_config());
    let counts = |id: &Id| configs.iter().all(|configs| configs.iter().all(|all| all.contains(id)));
    let members = membership.nodes().map(|(id, peer)| {
        let (id, address, is_voter) = (*id, peer.address.clone(), counts(id));
        let is_leader = metrics.current_leader == Some(id);
        async move {
            let reachable = id == core.id || core.peers.answers(id).await;
            Member { id, address, is_leader, is_voter, reachable }
        }
    });
    join_all(members).await
}

fn token_key(role: Role) -> String {
    format!("{RESERVED}token/{role}")
}

/// The secret of a role, as it was last applied here.
pub(crate) fn secret(core: &Core, role: Role) -> Option<Secret> {
    let item = core.state.read(|machine| machine.get(&token_key(role)))?;
    Some(Secret::new(String::from_utf8_lossy(&item.value).into_owned()))
}

/// Both tokens.
pub(crate) async fn tokens(core: &Core) -> Result<Tokens> {
    core.linearize().await?;
    let text = |role| {
        let secret = secret(core, role);
        let secret = secret.ok_or_else(|| core.unreachable("it has no join tokens yet"))?;
        Ok::<_, StoreError>(Token { digest: core.authority.digest(), secret }.to_text())
    };
    Ok(Tokens { manager: text(Role::Manager)?, node: text(Role::Node)? })
}

/// Makes a token's secret, where there is none yet or in place of the one there is.
pub(crate) async fn make_token(core: &Core, role: Role, when: When) -> Result<()> {
    let secret = new_secret().map_err(|_| core.refused("no randomness for a token"))?;
    let value = secret.reveal().as_bytes().to_vec().into();
    let key = token_key(role);
    let command = Command::Put { key, value, when, lease: None, guard: None };
    match core.propose(command).await {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict { .. }) if when == When::Absent => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes in a manager at `address`.
pub(crate) async fn join(core: &Core, address: String) -> std::result::Result<Reply, Fault> {
    if !core.leads() {
        return pass_on(core, Request::Join { address }).await;
    }
    if address.is_empty() {
        return Err(Fault::Refused(
            "a manager that joins has to say where it is reached".to_owned(),
        ));
    }
    let _one_at_a_time = core.changing.lock().await;
    // Without a quorum nothing is begun that would wait for one. One that leads only now has not agreed on its
    // own membership yet, and changes none before.
    let Ok(index) = core.read_index(Instant::now() + CHANGE / 5).await else {
        return Err(Fault::Unreachable(core.count().await));
    };
    if timeout_at(Instant::now() + CHANGE, core.state.reached(index)).await.is_err() {
        return Err(Fault::Unreachable(core.count().await));
    }
    let metrics = core.raft.metrics().borrow_watched().clone();
    let known = metrics.membership_config.nodes();
    let before = known.filter(|(_, peer)| peer.address == address).map(|(id, _)| *id);
    for id in before.collect::<Vec<_>>() {
        if id == core.id || core.peers.answers(id).await {
            return Err(Fault::Refused(format!(
                "a manager of this {} answers at {address} already; give another {}",
                core.group(),
                if core.authority.is_none() { "--advertise-addr" } else { "--advertise" }
            )));
        }
        // It lost its data and comes back as another.
        take_out(core, id).await?;
    }
    let id = rand::random::<u64>().max(1);
    core.peers.add(id, &address);
    let adding = core.raft.add_learner(id, Peer { address: address.clone() }, false);
    changed(timeout_at(Instant::now() + CHANGE, adding).await)?;
    tracing::info!(id = format!("{id:016x}"), address, "a manager joins");
    let metrics = core.raft.metrics().borrow_watched().clone();
    let nodes = metrics.membership_config.nodes();
    let peers = nodes.filter(|(other, _)| **other != id);
    let peers = peers.map(|(id, peer)| (*id, peer.address.clone())).collect();
    Ok(Reply::Joined(Joined { id, authority: core.authority.clone(), peers }))
}

/// Tells the others where this manager is.
pub(crate) async fn announce(core: &Core) -> std::result::Result<(), Fault> {
    let (id, address) = (core.id, core.advertise.clone());
    if core.leads() {
        return announced(core, id, address).await.map(drop);
    }
    let others = core.peers.ids().into_iter().filter(|other| *other != id);
    let told = others.map(|other| {
        let request = Request::Announce { id, address: address.clone(), passed_on: false };
        core.peers.call(other, request, Instant::now() + CHANGE)
    });
    let (answers, ()) = tokio::join!(join_all(told), announce_by_hints(core));
    if answers.iter().any(|answer| matches!(answer, Err(LinkError::Fault(Fault::Removed)))) {
        return Err(Fault::Removed);
    }
    match answers.into_iter().find_map(std::result::Result::err) {
        Some(error) => Err(Fault::Unreachable(error.to_string())),
        None => Ok(()),
    }
}

/// Says it to whoever is at addresses of which the membership does not know: where all have moved, one
/// has to be told of before it can be asked anything. Nobody there is no failure.
async fn announce_by_hints(core: &Core) {
    let (id, address) = (core.id, core.advertise.clone());
    let known: BTreeSet<_> =
        core.peers.ids().into_iter().filter_map(|other| core.peers.address(other)).collect();
    let strange = core.hints.iter().filter(|hint| !known.contains(*hint) && **hint != address);
    let told = strange.map(|hint| {
        let request = Request::Announce { id, address: address.clone(), passed_on: false };
        core.peers.call_at(hint, request, Instant::now() + CHANGE)
    });
    for failed in join_all(told).await.into_iter().filter_map(std::result::Result::err) {
        tracing::debug!(%failed, "another manager may not be there");
    }
}

/// Another manager says where it is. Where several have moved at once it may not know where the leader is,
/// nor the leader where it is: who knows both tells the leader, once.
pub(crate) async fn heard(
    core: &Core,
    id: Id,
    address: String,
) -> std::result::Result<Reply, Fault> {
    let leader = core.leader().filter(|leader| ![id, core.id].contains(leader));
    let done = announced(core, id, address.clone()).await?;
    let Some(leader) = leader else { return Ok(done) };
    let request = Request::Announce { id, address, passed_on: true };
    match core.peers.call(leader, request, Instant::now() + CHANGE / 2).await {
        Err(LinkError::Fault(Fault::Removed)) => Err(Fault::Removed),
        // Whoever moved says it again until the leader knows.
        _ => Ok(done),
    }
}

/// Another manager, or this one, is there: noted, and by the leader agreed on.
pub(crate) async fn announced(
    core: &Core,
    id: Id,
    address: String,
) -> std::result::Result<Reply, Fault> {
    // Known here first, so that the log reaches it before all have agreed where it is.
    core.peers.relocate(id, &address);
    if !core.leads() {
        return Ok(Reply::Done);
    }
    let Ok(_one_at_a_time) = core.changing.try_lock() else { return Ok(Reply::Done) };
    let until = Instant::now() + CHANGE;
    let mut metrics = core.raft.metrics().borrow_watched().clone();
    if metrics.membership_config.get_node(&id).is_none() {
        // One that does not lead any more, and does not know it, must not say so.
        core.read_index(until).await?;
        metrics = core.raft.metrics().borrow_watched().clone();
    }
    let membership = &metrics.membership_config;
    let Some(peer) = membership.get_node(&id) else { return Err(Fault::Removed) };
    if peer.address != address {
        tracing::info!(
            id = format!("{id:016x}"),
            from = peer.address,
            to = address,
            "a manager moved"
        );
        let moved = ChangeMembers::SetNodes(BTreeMap::from([(id, Peer { address })]));
        changed(timeout_at(until, core.raft.change_membership(moved, true)).await)?;
    }
    if membership.voter_ids().any(|voter| voter == id) {
        return Ok(Reply::Done);
    }
    let last = metrics.last_log_index.unwrap_or(0);
    let has = metrics.replication.as_ref().and_then(|logs| *logs.get(&id)?);
    let Some(has) = has.map(|has| has.index).filter(|has| has + NEAR >= last) else {
        return Ok(Reply::Done);
    };
    if keeps_up(&mut core.nearing.lock(), (id, has), last, Instant::now()) {
        let votes = ChangeMembers::AddVoterIds(BTreeSet::from([id]));
        changed(timeout_at(until, core.raft.change_membership(votes, true)).await)?;
        tracing::info!(id = format!("{id:016x}"), "a manager counts towards the quorum now");
    }
    Ok(Reply::Done)
}

/// Whether a manager that has the log up to `has` will have what is written next within moments. A few
/// entries can be many megabytes: one that counts before it has them makes every write wait for it. It has
/// the whole log now, or has what was all of it a moment ago.
fn keeps_up(
    nearing: &mut BTreeMap<Id, (u64, Instant)>,
    (id, has): (Id, u64),
    last: u64,
    now: Instant,
) -> bool {
    let then = nearing.get(&id).filter(|(_, at)| now.saturating_duration_since(*at) < ROUND);
    if has >= last || then.is_some_and(|(then, _)| has >= *then) {
        nearing.remove(&id);
        return true;
    }
    if then.is_none() {
        nearing.insert(id, (last, now));
    }
    false
}

/// Takes a manager out.
pub(crate) async fn remove(core: &Core, id: Id) -> std::result::Result<Reply, Fault> {
    if !core.leads() {
        return pass_on(core, Request::Remove { id }).await;
    }
    let _one_at_a_time = core.changing.lock().await;
    let metrics = core.raft.metrics().borrow_watched().clone();
    if metrics.membership_config.get_node(&id).is_none() {
        let group = core.group();
        return Err(Fault::Refused(format!("no manager of this {group} has the id {id:016x}")));
    }
    let left: Vec<Id> =
        metrics.membership_config.voter_ids().filter(|voter| *voter != id).collect();
    if left.is_empty() {
        return Err(Fault::Refused(format!(
            "the last manager of a {} cannot be removed",
            core.group()
        )));
    }
    let answers =
        left.iter().map(|voter| async { *voter == core.id || core.peers.answers(*voter).await });
    let answering = join_all(answers).await.into_iter().filter(|answers| *answers).count();
    let (all, quorum) = (left.len(), left.len() / 2 + 1);
    if answering < quorum {
        return Err(Fault::Refused(format!(
            "only {answering} of the {all} managers that would be left answer, and {quorum} are \
             needed; bring one of them back first"
        )));
    }
    take_out(core, id).await?;
    tracing::info!(id = format!("{id:016x}"), "a manager was removed");
    Ok(Reply::Done)
}

async fn take_out(core: &Core, id: Id) -> std::result::Result<(), Fault> {
    let until = Instant::now() + CHANGE;
    let metrics = core.raft.metrics().borrow_watched().clone();
    let change = if metrics.membership_config.voter_ids().any(|voter| voter == id) {
        ChangeMembers::RemoveVoters(BTreeSet::from([id]))
    } else {
        ChangeMembers::RemoveNodes(BTreeSet::from([id]))
    };
    changed(timeout_at(until, core.raft.change_membership(change, false)).await)
}

/// Ends a change of who counts that is under way without anybody who ends it: its leader was lost between its two
/// steps, or gave up on them. Until it ends, a quorum of those before and one of those after are needed.
pub(crate) async fn end_change(core: &Core) -> std::result::Result<(), Fault> {
    let is_under_way = || is_joint(&core.raft.metrics().borrow_watched().membership_config);
    if !core.leads() || !is_under_way() {
        return Ok(());
    }
    let _one_at_a_time = core.changing.lock().await;
    if !is_under_way() {
        return Ok(());
    }
    let nobody_more = ChangeMembers::AddVoterIds(BTreeSet::new());
    let until = Instant::now() + CHANGE;
    changed(timeout_at(until, core.raft.change_membership(nobody_more, false)).await)?;
    tracing::info!("a change of the managers that was left in the middle has ended");
    Ok(())
}

/// Whether those before and those after both have to agree.
pub(crate) fn is_joint(membership: &Membership) -> bool {
    membership.membership().get_joint_config().len() > 1
}

/// What the leader made of a call that has to be its.
async fn pass_on(core: &Core, request: Request) -> std::result::Result<Reply, Fault> {
    let Some(leader) = core.leader() else {
        return Err(Fault::Unreachable("no manager leads at the moment; try again".to_owned()));
    };
    match core.peers.call(leader, request, Instant::now() + 2 * CHANGE).await {
        Ok(reply) => Ok(reply),
        Err(LinkError::Fault(fault)) => Err(fault),
        Err(error) => Err(Fault::Unreachable(format!("the leader: {error}"))),
    }
}

type Answered<T> = std::result::Result<
    std::result::Result<T, RaftError<Kinds, ClientWriteError<Kinds>>>,
    tokio::time::error::Elapsed,
>;

fn changed<T>(answer: Answered<T>) -> std::result::Result<(), Fault> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Err(Fault::NotLeader),
        Ok(Err(error)) => Err(Fault::Unreachable(error.to_string())),
        Err(_) => Err(Fault::Unreachable("the other managers did not agree in time".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_counts_once_it_gets_the_log_as_fast_as_it_grows() {
        let (mut nearing, begun) = (BTreeMap::new(), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        // All of it, at once.
        assert!(keeps_up(&mut nearing, (1, 9), 9, at(0)));
        // Near the end, and the way there takes long.
        assert!(!keeps_up(&mut nearing, (2, 50), 100, at(0)));
        assert!(!keeps_up(&mut nearing, (2, 60), 110, at(1_000)));
        assert!(!keeps_up(&mut nearing, (2, 101), 120, at(2_000)), "that was two seconds");
        // What was all of it a second ago.
        assert!(!keeps_up(&mut nearing, (2, 119), 130, at(2_500)));
        assert!(keeps_up(&mut nearing, (2, 125), 140, at(3_000)));
        assert!(nearing.is_empty());
    }
}
