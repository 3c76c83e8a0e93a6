//! Why what is in a manager's folder cannot be gone on with: it is damaged, and others may have what it
//! had; or anything else (it is held, the disk does not answer, the lock's key is wrong), which is for a
//! person to mend, and after which everything is there.
//!
//! Invariant: what may be whole is never called damaged.

use std::io;

use redb::{DatabaseError, StorageError};
use swarm_kv::StoreError;

use crate::disk::{KEY, RECORDS};

/// Why a folder does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// What is there is not what was written.
    Damaged(Damage),
    /// Anything else.
    Other(StoreError),
}

/// What is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where, for messages.
    pub store: String,
    /// How, in words.
    pub how: String,
    /// It is the key that is gone; the records may be as they were, and nobody can read them.
    pub of_key: bool,
}

impl Unusable {
    /// Of the records.
    pub fn damaged(store: String, how: String) -> Self {
        Self::Damaged(Damage { store, how, of_key: false })
    }

    /// What reading came to: damage where the bytes are wrong, the disk's trouble otherwise.
    pub fn of_reading(store: String, error: &io::Error) -> Self {
        if is_damage(error) {
            Self::damaged(store, error.to_string())
        } else {
            Self::Other(StoreError::Refused { store, reason: words(&error.to_string()) })
        }
    }
}

impl From<StoreError> for Unusable {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl From<Unusable> for StoreError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Other(error) => error,
            Unusable::Damaged(Damage { store, how, of_key: false }) => {
                Self::Refused { store, reason: words(&how) }
            }
            Unusable::Damaged(Damage { store, how, of_key: true }) => Self::Refused {
                store,
                reason: format!(
                    "{KEY} cannot be read ({how}), and without it neither can {RECORDS}: put it \
                     back from a backup, or move {RECORDS} away to begin anew"
                ),
            },
        }
    }
}

/// What to do about damage: in words that tell a person what happens to which data.
pub(crate) fn words(how: &str) -> String {
    format!(
        "{RECORDS} cannot be used ({how}); nothing in it was changed. If its disk is well, it is \
         damaged: one of several managers is filled again from the others when {RECORDS} is moved \
         away and it joins them with a manager token; a single manager needs a backup of the \
         folder, or begins with an empty store when {RECORDS} is moved away"
    )
}

/// Whether the bytes are wrong. A disk that does not answer, or has no room, may have them all.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// What the database says when it does not open, with its own damage told apart.
pub(crate) fn of_database(error: DatabaseError) -> io::Error {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => error,
        error @ DatabaseError::Storage(StorageError::Corrupted(_)) => {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        }
        error => io::Error::other(error.to_string()),
    }
}

/// What the database says when it is read, likewise.
pub(crate) fn of_record(error: redb::Error) -> io::Error {
    match error {
        redb::Error::Io(error) => error,
        error @ (redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)) => {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        }
        error => io::Error::other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_not_damage() {
        for (kind, damage) in [
            (io::ErrorKind::InvalidData, true),
            (io::ErrorKind::UnexpectedEof, true),
            (io::ErrorKind::StorageFull, false),
            (io::ErrorKind::ReadOnlyFilesystem, false),
            (io::ErrorKind::Other, false),
        ] {
            let unusable = Unusable::of_reading("here".to_owned(), &io::Error::from(kind));
            assert_eq!(matches!(unusable, Unusable::Damaged(_)), damage, "{kind}");
            let words = StoreError::from(unusable).to_string();
            assert!(words.contains("store.redb cannot be used"), "{words}");
        }
        let corrupted = || StorageError::Corrupted("x".to_owned());
        assert!(is_damage(&of_database(DatabaseError::Storage(corrupted()))));
        assert!(is_damage(&of_record(corrupted().into())));
        assert!(!is_damage(&of_database(DatabaseError::DatabaseAlreadyOpen)));
        assert!(!is_damage(&of_record(redb::Error::PreviousIo)));
    }
}
