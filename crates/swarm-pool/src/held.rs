//! Names held while something of that name is being made on many engines at once.
//!
//! Invariant: a name is held by one guard at a time, and free again when that is dropped.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The names held now.
#[derive(Debug, Clone, Default)]
pub struct HeldNames(Arc<Mutex<HashSet<String>>>);

/// One held name.
#[derive(Debug)]
pub struct HeldName {
    names: HeldNames,
    name: String,
}

impl HeldNames {
    /// Holds `name`; `None` when somebody does.
    pub fn hold(&self, name: &str) -> Option<HeldName> {
        let free = self.0.lock().insert(name.to_owned());
        free.then(|| HeldName { names: self.clone(), name: name.to_owned() })
    }
}

impl Drop for HeldName {
    fn drop(&mut self) {
        self.names.0.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_holder_until_it_is_dropped() {
        let names = HeldNames::default();
        let held = names.hold("web").unwrap();
        assert!(names.hold("web").is_none());
        assert!(names.hold("db").is_some());
        drop(held);
        assert!(names.hold("web").is_some());
    }
}
