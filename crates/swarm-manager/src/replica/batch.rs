//! Changes of objects that are made together: each depends on the version that its writer saw.

use bytes::Bytes;
use swarm_kv::StoreError;
use swarm_store::{MOST_CHANGES, Transaction, When};

use super::object::{Object, encode, key_of};

/// How many bytes of values go into one transaction; a transaction may have two of the largest values.
const BYTES: usize = 1 << 20;

/// Changes of objects.
#[derive(Debug, Default)]
pub struct Batch {
    /// What else each part of it depends on.
    fences: Vec<(String, When)>,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    key: String,
    when: When,
    /// `None` deletes.
    value: Option<Bytes>,
}

impl Batch {
    /// Writes an object. A new one (version 0) must not be there; another must have its version
    /// still.
    pub fn put<O: Object>(&mut self, object: &O) -> Result<(), StoreError> {
        let when = match object.version().index {
            0 => When::Absent,
            version => When::At(version),
        };
        self.changes.push(Change { key: object.key(), when, value: Some(encode(object)?) });
        Ok(())
    }

    /// Deletes an object, if it still has its version.
    pub fn delete<O: Object>(&mut self, object: &O) {
        let when = When::At(object.version().index);
        self.changes.push(Change { key: object.key(), when, value: None });
    }

    /// Depends on an object that it does not change.
    pub fn expect<O: Object>(&mut self, object: &O) {
        self.fences.push((key_of::<O>(object.id()), When::At(object.version().index)));
    }

    /// Depends on a key that is no object's.
    pub fn fence(&mut self, key: impl Into<String>, when: When) {
        self.fences.push((key.into(), when));
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many objects it changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// As transactions: one where it fits, several in order where not.
    pub(crate) fn cut(self) -> Vec<Transaction> {
        let Self { fences, changes } = self;
        let fresh = || Transaction { expects: fences.clone(), ..Transaction::default() };
        let (mut cut, mut bytes) = (vec![fresh()], 0);
        for Change { key, when, value } in changes {
            let size = key.len() + value.as_ref().map_or(0, Bytes::len);
            let is_full = cut.last().is_some_and(|last| {
                let parts = last.expects.len() + last.puts.len() + last.deletes.len();
                parts + 2 > MOST_CHANGES || (bytes + size > BYTES && bytes > 0)
            });
            if is_full {
                cut.push(fresh());
                bytes = 0;
            }
            bytes += size;
            let Some(last) = cut.last_mut() else { continue };
            last.expects.push((key.clone(), when));
            match value {
                Some(value) => last.puts.push((key, value)),
                None => last.deletes.push(key),
            }
        }
        cut
    }
}
