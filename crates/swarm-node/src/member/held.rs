//! What a member has that others keep or go on with: under what its key is, and what a backup holds.

use swarm_ca::UnlockKey;

use super::Member;
use crate::backup::Manifest;
use crate::kept::{Kept, KeptError};

impl Member {
    /// What a backup has of it beside the store.
    pub(crate) fn manifest(&self, authority: serde_json::Value) -> Manifest {
        Manifest::of(&self.own, &self.kept.lock(), authority)
    }

    /// It has gone on with what a backup had, and begins so no second time.
    pub(crate) fn is_begun(&self) -> Result<(), KeptError> {
        let mut kept = self.kept.lock();
        if !kept.restored {
            return Ok(());
        }
        kept.restored = false;
        kept.save(&self.place.folder)
    }

    /// What it remembers now.
    pub(crate) fn kept_now(&self) -> Kept {
        self.kept.lock().clone()
    }

    /// Under what its key is on disk.
    pub(crate) fn lock_key(&self) -> Option<UnlockKey> {
        self.own.lock_key()
    }
}
