//! When all is healed, quiet and converged, nothing is planned, written or changed any more.

/// Whether nothing may happen.
#[derive(Debug, Default)]
pub(super) struct Silence {
    begun: bool,
}

impl Silence {
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    pub(super) fn activity(&self, what: impl FnOnce() -> String) -> Option<String> {
        self.begun.then(what)
    }
}
