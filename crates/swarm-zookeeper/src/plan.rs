//! What a write or a deletion becomes: the steps of one ZooKeeper transaction, decided from what
//! was read just before. Pure.
//!
//! - A revision is the number of the transaction that wrote the value (`mzxid`), which no other
//!   value ever has. ZooKeeper itself can only check a znode's `version`, which begins anew when the
//!   znode is made anew. So the revision is compared with what was read, and the version that was
//!   read with it is checked by the transaction: between the two a key that was deleted and made
//!   again could pass for its former self. A guard's key is never deleted, and cannot.
//! - A key is always made empty and then set, in one transaction: some releases do not tell the
//!   number of a transaction that makes a znode. Therefore a znode of version 0 that is empty never
//!   was a key of ours: it is a directory ("bare"), and is not shown as a key.

use swarm_kv::{Expect, Guard, Result, Revision, StoreError};
use zookeeper_client::Stat;

/// What is of interest in a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) revision: Revision,
    pub(crate) version: i32,
    /// Whose session it ends with; 0 when it stays.
    pub(crate) owner: i64,
    /// A directory, and no key.
    pub(crate) bare: bool,
}

impl From<&Stat> for Node {
    fn from(stat: &Stat) -> Self {
        Self {
            revision: Revision(stat.mzxid.cast_unsigned()),
            version: stat.version,
            owner: stat.ephemeral_owner,
            bare: stat.version == 0 && stat.data_length == 0,
        }
    }
}

/// One step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The guard's znode has this version.
    Check(i32),
    /// The key's znode has this version, and goes.
    Delete(i32),
    /// The key's znode is made, empty; it goes with our session or not.
    Make {
        /// It does.
        ephemeral: bool,
    },
    /// The key's znode has this version, and gets the value.
    Set(i32),
}

/// The steps of a write; `session` is the lease's.
pub(crate) fn put(
    key: &str,
    expect: Expect,
    session: Option<i64>,
    there: Option<Node>,
    guard: Option<(&Guard, Option<Node>)>,
) -> Result<Vec<Step>> {
    let mut steps = guarded(guard)?;
    expected(key, expect, there)?;
    let owner = session.unwrap_or(0);
    match there {
        Some(node) if node.owner == owner => steps.push(Step::Set(node.version)),
        there => {
            // A znode's owner cannot be changed: another one takes its place.
            steps.extend(there.map(|node| Step::Delete(node.version)));
            steps.extend([Step::Make { ephemeral: session.is_some() }, Step::Set(0)]);
        }
    }
    Ok(steps)
}

/// The steps of a deletion; none when there is nothing to delete.
pub(crate) fn delete(
    key: &str,
    expect: Expect,
    there: Option<Node>,
    guard: Option<(&Guard, Option<Node>)>,
) -> Result<Vec<Step>> {
    let mut steps = guarded(guard)?;
    expected(key, expect, there)?;
    let Some(node) = there.filter(|node| !node.bare) else { return Ok(Vec::new()) };
    steps.push(Step::Delete(node.version));
    Ok(steps)
}

fn guarded(guard: Option<(&Guard, Option<Node>)>) -> Result<Vec<Step>> {
    match guard {
        None => Ok(Vec::new()),
        Some((guard, Some(node))) if node.revision == guard.revision => {
            Ok(vec![Step::Check(node.version)])
        }
        Some((guard, _)) => Err(StoreError::Fenced { key: guard.key.clone() }),
    }
}

fn expected(key: &str, expect: Expect, there: Option<Node>) -> Result<()> {
    let there = there.filter(|node| !node.bare);
    let met = match expect {
        Expect::Anything => true,
        Expect::Absent => there.is_none(),
        Expect::Revision(revision) => there.is_some_and(|node| node.revision == revision),
    };
    if met { Ok(()) } else { Err(StoreError::Conflict { key: key.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Node = Node { revision: Revision(7), version: 3, owner: 0, bare: false };
    const BARE: Node = Node { revision: Revision(5), version: 0, owner: 0, bare: true };
    const OURS: Node = Node { owner: 1, ..PLAIN };
    const MAKE: [Step; 2] = [Step::Make { ephemeral: false }, Step::Set(0)];
    const BIND: [Step; 2] = [Step::Make { ephemeral: true }, Step::Set(0)];

    fn conflict<T>() -> Result<T> {
        Err(StoreError::Conflict { key: "k".into() })
    }

    #[test]
    fn a_write_checks_what_it_was_decided_from() {
        use Expect::{Absent, Anything};
        let (right, wrong) = (Expect::Revision(Revision(7)), Expect::Revision(Revision(6)));
        let replace = |node: Node, by: [Step; 2]| [vec![Step::Delete(node.version)], by.into()];
        for (expect, session, there, steps) in [
            (Anything, None, None, Ok(MAKE.to_vec())),
            (Anything, None, Some(PLAIN), Ok(vec![Step::Set(3)])),
            (Anything, None, Some(OURS), Ok(replace(OURS, MAKE).concat())),
            (Anything, Some(1), None, Ok(BIND.to_vec())),
            (Anything, Some(1), Some(OURS), Ok(vec![Step::Set(3)])),
            (Anything, Some(2), Some(OURS), Ok(replace(OURS, BIND).concat())),
            (Anything, Some(1), Some(PLAIN), Ok(replace(PLAIN, BIND).concat())),
            (Absent, None, None, Ok(MAKE.to_vec())),
            (Absent, None, Some(BARE), Ok(vec![Step::Set(0)])),
            (Absent, None, Some(PLAIN), conflict()),
            (right, None, Some(PLAIN), Ok(vec![Step::Set(3)])),
            (right, None, None, conflict()),
            (wrong, None, Some(PLAIN), conflict()),
            (Expect::Revision(Revision(5)), None, Some(BARE), conflict()),
        ] {
            assert_eq!(put("k", expect, session, there, None), steps, "{expect:?} {there:?}");
        }
    }

    #[test]
    fn a_deletion_deletes_what_was_read() {
        let right = Expect::Revision(Revision(7));
        for (expect, there, steps) in [
            (Expect::Anything, None, Ok(vec![])),
            (Expect::Anything, Some(BARE), Ok(vec![])),
            (Expect::Anything, Some(PLAIN), Ok(vec![Step::Delete(3)])),
            (Expect::Absent, Some(PLAIN), conflict()),
            (Expect::Absent, None, Ok(vec![])),
            (right, Some(PLAIN), Ok(vec![Step::Delete(3)])),
            (right, None, conflict()),
        ] {
            assert_eq!(delete("k", expect, there, None), steps, "{expect:?} {there:?}");
        }
    }

    #[test]
    fn the_guard_comes_first() {
        let guard = Guard { key: "epoch".into(), revision: Revision(9) };
        let holds = Node { revision: Revision(9), version: 4, ..PLAIN };
        let steps = put("k", Expect::Anything, None, Some(PLAIN), Some((&guard, Some(holds))));
        assert_eq!(steps, Ok(vec![Step::Check(4), Step::Set(3)]));
        for node in [None, Some(PLAIN)] {
            // Fenced even where the key is in conflict, or there is nothing to delete.
            let fenced = StoreError::Fenced { key: "epoch".into() };
            let put = put("k", Expect::Absent, None, Some(PLAIN), Some((&guard, node)));
            assert_eq!(put, Err(fenced.clone()));
            assert_eq!(delete("k", Expect::Anything, None, Some((&guard, node))), Err(fenced));
        }
    }
}
