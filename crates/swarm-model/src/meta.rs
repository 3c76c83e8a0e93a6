//! What every object of swarm mode has: the version that guards its changes, and readers for the
//! places where Go writes `null`.

use serde::{Deserialize, Deserializer, Serialize};

/// Fields that Docker knows and this crate does not: kept, compared and written back.
pub type Rest = serde_json::Map<String, serde_json::Value>;

/// `Version` in every object: the store's index at its last change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    /// Rises with each change.
    pub index: u64,
}

/// Go writes an empty list or map as `null`.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// For fields that Docker leaves out when they are zero.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
