//! One leadership of this manager, and the fence that bounds it: a key that every leader writes when
//! it begins, and on which every later write of it depends. A leader that was deposed and does not
//! know it yet can write nothing.

use serde::{Deserialize, Serialize};
use swarm_kv::{Change, StoreError};
use swarm_store::{Transaction, When};
use tokio_util::sync::CancellationToken;

use crate::replica::{Batch, Store};

/// The fence's key.
pub const KEY: &str = "swarm/leader";

/// What the key holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The leader's number among the members.
    member: u64,
    /// The election's.
    term: u64,
}

/// A leadership.
#[derive(Debug, Clone)]
pub struct Reign {
    /// The revision of the fence.
    revision: u64,
    /// Cancelled when it is over.
    pub over: CancellationToken,
}

impl Reign {
    /// Writes the fence. What is here must be fresh. Refused where a later election wrote it.
    pub async fn claim(
        store: &dyn Store,
        term: u64,
        over: CancellationToken,
    ) -> Result<Self, StoreError> {
        let mut when = When::Absent;
        for change in store.follow_all(KEY, None).changes {
            let Change::Whole(items) = change else { continue };
            let Some(item) = items.into_iter().find(|item| item.key == KEY) else { continue };
            let last: Option<Record> = serde_json::from_slice(&item.value).ok();
            if last.is_some_and(|last| last.term > term) {
                return Err(StoreError::Fenced { key: KEY.to_owned() });
            }
            when = When::At(item.revision.0);
        }
        let record = Record { member: store.own(), term };
        let value = serde_json::to_vec(&record).map_err(|error| StoreError::Refused {
            store: "the swarm's store".to_owned(),
            reason: error.to_string(),
        })?;
        let transaction = Transaction {
            expects: vec![(KEY.to_owned(), when)],
            puts: vec![(KEY.to_owned(), value.into())],
            deletes: Vec::new(),
        };
        let revision = store.transact(transaction).await.map_err(told)?.0;
        Ok(Self { revision, over })
    }

    /// Makes a batch depend on this leadership.
    pub fn fence(&self, batch: &mut Batch) {
        batch.fence(KEY, When::At(self.revision));
    }
}

/// A conflict of the fence is the end of a leadership, and no reason to plan again.
pub fn told(error: StoreError) -> StoreError {
    match error {
        StoreError::Conflict { key } if key == KEY => StoreError::Fenced { key },
        error => error,
    }
}

/// Whether it ends a leadership.
pub fn is_end(error: &StoreError) -> bool {
    matches!(error, StoreError::Fenced { .. } | StoreError::NotPrimary { .. })
}
