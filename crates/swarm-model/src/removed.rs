//! A container that was removed while its engine could not be asked: should the engine come back
//! with it, it goes.

use serde::{Deserialize, Serialize};

use crate::{EngineRef, FORMAT, FormatError};

/// What is kept of a removed container, under its intent's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// See [`FORMAT`].
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

impl Removed {
    /// Reads a stored one.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let removed: Self = serde_json::from_slice(bytes)?;
        if removed.format > FORMAT { Err(FormatError::Newer(removed.format)) } else { Ok(removed) }
    }

    /// As it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
