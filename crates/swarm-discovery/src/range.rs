//! Ranges in addresses.

/// The most engines one pool's discovery may name.
pub const MAX_ENTRIES: usize = 65_536;

/// Why a range cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// More addresses than a pool may have.
    #[error("{pattern:?} expands to more than {MAX_ENTRIES} addresses")]
    TooMany {
        /// The pattern as given.
        pattern: String,
    },
}

/// Expands the ranges of one address.
pub fn expand(pattern: &str) -> Result<Vec<String>, RangeError> {
    Ok(vec![pattern.to_owned()])
}
