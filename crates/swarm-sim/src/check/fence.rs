//! No engine is changed by a manager that does not hold the lock at that moment, by the store's own
//! account.

use crate::store::Value;

pub(super) fn look(
    manager: usize,
    lease: u64,
    lock: Option<(Value, u64)>,
    words: &str,
) -> Option<String> {
    let holder = lock.map(|(value, _)| value);
    (holder != Some(Value::Lock(lease)))
        .then(|| format!("m{manager} asks to {words} with lease {lease}; the lock is {holder:?}"))
}
