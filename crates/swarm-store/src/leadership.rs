//! Who leads the managers that keep a store together, as one of them knows it.

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leadership {
    /// Rises with each election.
    pub term: u64,
    /// Whether this manager leads.
    pub leads: bool,
    /// Where the leader is reached, as far as this manager knows: `HOST:PORT`.
    pub leader: Option<String>,
}
