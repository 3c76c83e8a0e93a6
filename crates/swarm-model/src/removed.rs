//! A container that was removed while its engine could not be asked: should the engine come back
//! with it, it goes.

use serde::{Deserialize, Serialize};

use crate::{EngineRef, Kept};

/// What is kept of a removed container, under its intent's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// See [`crate::FORMAT`].
    pub format: u32,
    /// The intent's id.
    pub id: String,
    /// The container's name, for messages.
    pub name: String,
    /// The engine that has it still.
    pub engine: EngineRef,
    /// When, seconds since 1970.
    pub at: i64,
}

impl Kept for Removed {
    const KIND: &'static str = "removed container";

    fn format(&self) -> u32 {
        self.format
    }

    fn name(&self) -> &str {
        &self.name
    }
}
