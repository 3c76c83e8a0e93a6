//! Objects of a store: each is JSON under a key of its own, and says which form it has.

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// What a store keeps.
pub trait Kept: Serialize + DeserializeOwned {
    /// What it is called in messages.
    const KIND: &'static str;

    /// The form it was written in; see [`FORMAT`].
    fn format(&self) -> u32;

    /// The name by which people look for it.
    fn name(&self) -> &str;

    /// Reads a stored one.
    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let object: Self = serde_json::from_slice(bytes)?;
        let format = object.format();
        if format > FORMAT { Err(FormatError::Newer(format)) } else { Ok(object) }
    }

    /// As it is stored.
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
