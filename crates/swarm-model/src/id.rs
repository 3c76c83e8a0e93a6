//! Ids of swarm mode's objects: 25 characters of base 36, as Docker writes them, so that every tool
//! that knows the form knows ours. Randomness is an argument.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base36;

/// How long an id is: 36^25 is the first power above 2^128.
pub const LENGTH: usize = 25;

/// The id of a service, task or node. Cheap to clone; empty where Docker has no id yet (the node of
/// a task that is not assigned).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(Arc<str>);

impl Id {
    /// The id that these 128 random bits make.
    pub fn from_bits(bits: u128) -> Self {
        Self(base36::write(&bits.to_be_bytes(), LENGTH).into())
    }

    /// Whether the text has an id's form.
    pub fn is_id(text: &str) -> bool {
        text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Id {
    fn default() -> Self {
        Self("".into())
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Id {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_range_have_the_form() {
        assert_eq!(&*Id::from_bits(0), "0000000000000000000000000");
        assert_eq!(&*Id::from_bits(u128::MAX), "f5lxx1zz5pnorynqglhzmsp33");
        for text in ["", "0", "f5lxx1zz5pnorynqglhzmsp3A", "f5lxx1zz5pnorynqglhzmsp3ä"] {
            assert!(!Id::is_id(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn different_bits_are_different_ids(a: u128, b: u128) {
            prop_assert!(Id::is_id(&Id::from_bits(a)));
            prop_assert_eq!(a == b, Id::from_bits(a) == Id::from_bits(b));
        }
    }
}
