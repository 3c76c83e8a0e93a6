//! Several changes of the state made together, or none of them.

use std::collections::HashSet;

use crate::machine::{fits, sized};
use crate::{Done, LARGEST_VALUE, Machine, Outcome, Refusal, Transaction};

/// How many changes and conditions one transaction may have. Planners cut their work into several.
pub const MOST_CHANGES: usize = 4096;

/// How large a transaction may be, in bytes, keys and all: as two of the largest values.
pub const LARGEST_TRANSACTION: usize = 2 * LARGEST_VALUE;

impl Machine {
    /// Checks everything before it changes anything.
    pub(crate) fn transact(&mut self, transaction: Transaction) -> Outcome {
        self.possible(&transaction)?;
        for (key, when) in &transaction.expects {
            self.expected(key, *when)?;
        }
        let Transaction { puts, deletes, .. } = transaction;
        let gone = |key: &String| !self.items.contains_key(key.as_str());
        if puts.is_empty() && deletes.iter().all(gone) {
            return Ok(Done::Written(self.revision));
        }
        self.revision += 1;
        for (key, value) in puts {
            self.write(&key, value, None);
        }
        for key in deletes {
            self.remove(&key);
        }
        Ok(Done::Written(self.revision))
    }

    fn possible(&self, transaction: &Transaction) -> Result<(), Refusal> {
        let Transaction { expects, puts, deletes } = transaction;
        let count = expects.len() + puts.len() + deletes.len();
        if count > MOST_CHANGES {
            let words = format!("a transaction has at most {MOST_CHANGES} parts, this one {count}");
            return Err(Refusal::Bound(words));
        }
        let mut named = HashSet::new();
        let twice = |key: &str| Refusal::Bound(format!("a transaction names {key} twice"));
        let mut bytes = self.bytes();
        for (key, value) in puts {
            sized(key, value)?;
            if !named.insert(key.as_str()) {
                return Err(twice(key));
            }
            bytes = bytes - self.taken(key) + key.len() + value.len();
        }
        if let Some(key) = deletes.iter().find(|key| !named.insert(key)) {
            return Err(twice(key));
        }
        if transaction.weight() > LARGEST_TRANSACTION {
            let limit = LARGEST_TRANSACTION >> 20;
            return Err(Refusal::Bound(format!("a transaction has at most {limit} MiB")));
        }
        // What it deletes makes room.
        fits(deletes.iter().fold(bytes, |bytes, key| bytes - self.taken(key)))
    }
}
