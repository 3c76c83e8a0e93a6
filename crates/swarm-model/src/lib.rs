//! The cluster's own objects, as they are kept in a store: what containers were wanted, and what is
//! known of engines. No I/O: who keeps them where is the runtime's business.

pub mod configuration;
pub mod engine;
pub mod intent;
pub mod removed;

pub use configuration::Configuration;
pub use engine::{Availability, EngineRecord, EngineRef};
pub use intent::{Desired, Intent, Moved, Place, Policy, StalePolicy};
pub use removed::Removed;

/// The newest form of the objects that this version writes. It reads older ones, and refuses newer
/// ones in words.
pub const FORMAT: u32 = 1;

/// Why a stored object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It is no such object.
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("it has format {0}, and this version reads up to {FORMAT}; use the newer version")]
    Newer(u32),
}
