//! Going on alone: for a pool that lost its quorum for good. What this manager has becomes a pool of
//! one, under another number, and others can join again.
//!
//! It is a person's decision: what the lost managers had agreed on without this one is given up, and
//! what was proposed and never agreed on may be kept. Where it is interrupted it is done again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use openraft::storage::{RaftLogReader as _, RaftLogStorage as _};

use crate::disk::Disk;
use crate::journal::Journal;
use crate::kinds::{Membership, Peer};
use crate::origin::Origin;
use crate::state::State;

/// Makes this manager the only one.
pub(crate) async fn go_alone(
    disk: &Arc<Disk>,
    state: &Arc<State>,
    journal: &mut Journal,
    origin: &mut Origin,
    address: &str,
) -> io::Result<()> {
    let last = journal.get_log_state().await?.last_log_id;
    let Some(last) = last.max(state.applied()) else {
        return Err(io::Error::other("it has nothing yet that could be gone on with"));
    };
    let next = state.applied().map_or(0, |applied| applied.index + 1);
    for entry in journal.try_get_log_entries(next..=last.index).await? {
        state.apply_one(entry);
    }
    origin.id = rand::random::<u64>().max(1);
    origin.founded = false;
    origin.peers.clear();
    origin.write_to(disk).await?;
    let nodes = BTreeMap::from([(origin.id, Peer { address: address.to_owned() })]);
    let alone = openraft::Membership::new(vec![BTreeSet::from([origin.id])], nodes);
    let alone = alone.map_err(io::Error::other)?;
    state.replace_membership(Membership::new(Some(last), alone));
    state.cut().await?;
    journal.purge(last).await
}
