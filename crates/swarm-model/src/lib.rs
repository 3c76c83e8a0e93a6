//! The cluster's own objects, as they are kept in a store: what containers were wanted, and what is
//! known of engines. No I/O: who keeps them where is the runtime's business.

pub mod configuration;
pub mod engine;
pub mod intent;
pub mod kept;
pub mod removed;

pub use configuration::Configuration;
pub use engine::{Availability, EngineRecord, EngineRef};
pub use intent::{Desired, Intent, Moved, Place, Policy, StalePolicy};
pub use kept::{FORMAT, FormatError, Kept};
pub use removed::Removed;
