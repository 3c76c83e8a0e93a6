//! Counts an engine's failed requests.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

type Label = (&'static str, &'static str);

/// Failed requests to engines, by whose they were and how they failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Family<[Label; 2], Counter>);

impl Failures {
    /// One more.
    pub fn count(&self, purpose: &'static str, reason: &'static str) {
        self.0.get_or_create(&[("purpose", purpose), ("reason", reason)]).inc();
    }

    /// What is counted, for a registry.
    pub fn family(&self) -> Family<[Label; 2], Counter> {
        self.0.clone()
    }
}
