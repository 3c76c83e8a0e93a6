//! What is on a manager's disk, opened as far as that goes without the others: who it is, its state and
//! its log; and what is done where that is damaged.
//!
//! A swarm's manager whose records are damaged is filled again from the others: it asks to be let in as
//! another member at its own address, upon which they take out the one that it was, and what was damaged
//! is kept beside its place. A pool's manager needs a token for that, which only a person has.
//!
//! Invariants: what is damaged stays in its place until the others have let this manager in; it is moved
//! and never changed; a new store is begun by nobody who does not say so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm_kv::StoreError;

use crate::aside::set_aside;
use crate::disk::{Disk, KEY, RECORDS};
use crate::journal::Journal;
use crate::key::StoreLock;
use crate::origin::{Entry, Origin, let_in};
use crate::state::State;
use crate::transport::Swarm;
use crate::unusable::{Damage, Unusable};

/// What was opened.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub disk: Arc<Disk>,
    pub origin: Origin,
    pub state: Arc<State>,
    pub journal: Journal,
}

/// Opens what is in `folder`, and makes it where nothing is; fills it again from the others where it is
/// damaged and they are there.
pub(crate) async fn load(
    folder: PathBuf,
    lock: Option<StoreLock>,
    entry: &Entry,
    advertise: &str,
) -> Result<Loaded, StoreError> {
    let damage = match attempt(&folder, lock.clone(), entry, advertise).await {
        Ok(loaded) => return Ok(loaded),
        Err(Unusable::Other(error)) => return Err(error),
        Err(Unusable::Damaged(damage)) => damage,
    };
    let Entry::Swarm(swarm) = entry else { return Err(Unusable::Damaged(damage).into()) };
    let origin = ask_others(&damage, swarm, advertise).await?;
    let file = if damage.of_key { KEY } else { RECORDS };
    tracing::warn!(how = damage.how, file, "this manager's store is damaged");
    let aside = move_away(&folder, damage.of_key).await?;
    let kept: Vec<_> = aside.iter().map(|path| path.display().to_string()).collect();
    let opened = attempt(&folder, lock, &Entry::Given(origin), advertise).await?;
    tracing::warn!(
        kept = kept.join(", "),
        "what was damaged is kept beside its place; this manager is filled again from the others"
    );
    Ok(opened)
}

async fn attempt(
    folder: &Path,
    lock: Option<StoreLock>,
    entry: &Entry,
    advertise: &str,
) -> Result<Loaded, Unusable> {
    entry.may_begin(folder)?;
    let opening = folder.to_owned();
    let disk = blocking(move || Disk::open(&opening, lock.as_ref())).await??;
    let disk = Arc::new(disk);
    let loaded = loaded(&disk, entry, advertise).await;
    if loaded.is_err() {
        // The file is let go of, so that it can be opened again or moved.
        disk.close().await;
    }
    loaded
}

async fn loaded(disk: &Arc<Disk>, entry: &Entry, advertise: &str) -> Result<Loaded, Unusable> {
    let origin = Origin::establish(disk, entry, advertise).await?;
    let loading = Arc::clone(disk);
    let opened = blocking(move || {
        Ok::<_, std::io::Error>((State::open(Arc::clone(&loading))?, Journal::open(loading)?))
    });
    let opened = opened.await?;
    let (state, journal) = opened.map_err(|error| Unusable::of_reading(disk.shown(), &error))?;
    Ok(Loaded { disk: Arc::clone(disk), origin, state, journal })
}

/// Who this manager is from now on, as the others say; or what a person has to do.
async fn ask_others(damage: &Damage, swarm: &Swarm, advertise: &str) -> Result<Origin, StoreError> {
    let Damage { store, how, of_key } = damage;
    let what = if *of_key { KEY } else { RECORDS };
    if swarm.join.is_empty() {
        let store = store.clone();
        let reason = format!(
            "{what} is damaged ({how}), and this manager knows no other from which it could be \
             filled again; nothing in it was changed. Put the folder back from a copy, or restore \
             the swarm from a backup into a new one (swarm restore)"
        );
        return Err(StoreError::Refused { store, reason });
    }
    let_in(swarm, advertise).await.map_err(|error| StoreError::Unreachable {
        store: store.clone(),
        reason: format!(
            "{what} is damaged ({how}); nothing in it was changed. It is filled again from the \
             other managers as soon as more than half of all are well and let it in, which is \
             tried again and again; now: {error}. If so many are lost or damaged for good: docker \
             swarm init --force-new-cluster on one that is well, or swarm restore"
        ),
    })
}

async fn move_away(folder: &Path, key_too: bool) -> Result<Vec<PathBuf>, StoreError> {
    let moving = folder.to_owned();
    let moved = blocking(move || set_aside(&moving, key_too)).await?;
    moved.map_err(|error| StoreError::Refused {
        store: format!("in {}", folder.display()),
        reason: format!("what is damaged cannot be moved out of the way: {error}"),
    })
}

/// What comes of blocking work, which is never cancelled.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unreachable {
        store: "embedded".to_owned(),
        reason: error.to_string(),
    })
}
