//! A store made of the state that another one had: a folder that a manager goes on with alone.
//!
//! It leaves to the caller: where the chunks were kept meanwhile, and whether they are what was
//! written. The folder gets its own key and its own number: whoever else has that state is another.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use openraft::storage::RaftLogStorage as _;
use swarm_kv::{Result, StoreError};

use crate::anew;
use crate::disk::{Disk, Single};
use crate::journal::Journal;
use crate::key::StoreLock;
use crate::kinds::{LogId, Membership, Vote};
use crate::origin::Origin;
use crate::state::State;

/// The term and the place in the log of what is imported: the first ones.
const FIRST: u64 = 1;

/// Makes a store in `data_dir`, which must have none, of these chunks (those of
/// [`crate::Embedded::copy`]); its one manager is reached at `advertise`.
pub async fn import(
    data_dir: PathBuf,
    lock: Option<StoreLock>,
    advertise: &str,
    chunks: impl FnMut() -> io::Result<Option<Vec<u8>>> + Send,
) -> Result<()> {
    let opening = tokio::task::spawn_blocking(move || Disk::open(&data_dir, lock.as_ref()));
    let disk = opening.await.map_err(|error| StoreError::Unreachable {
        store: "embedded".to_owned(),
        reason: error.to_string(),
    })?;
    let disk = Arc::new(disk.map_err(StoreError::from)?);
    let filled = fill(&disk, advertise, chunks).await;
    disk.close().await;
    filled.map_err(|error| StoreError::Refused {
        store: disk.shown(),
        reason: format!("it cannot be filled: {error}"),
    })
}

async fn fill(
    disk: &Arc<Disk>,
    advertise: &str,
    chunks: impl FnMut() -> io::Result<Option<Vec<u8>>> + Send,
) -> io::Result<()> {
    if disk.single(Single::Origin)?.is_some() {
        return Err(io::Error::other("there is one already"));
    }
    let mut origin = Origin::of_swarm();
    let leader_id = openraft::impls::leader_id_adv::LeaderId { term: FIRST, node_id: origin.id };
    let last = LogId { leader_id, index: FIRST };
    let state = State::open(Arc::clone(disk))?;
    let mut journal = Journal::open(Arc::clone(disk))?;
    state.load(last, Membership::default(), chunks).await?;
    journal.save_vote(&Vote { leader_id, committed: true }).await?;
    journal.purge(last).await?;
    // Last of all the first record is written: a folder without it is no store.
    anew::go_alone(disk, &state, &mut journal, &mut origin, advertise).await
}
