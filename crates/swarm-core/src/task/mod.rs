//! The life of a task: who may move it from which state to which.
//!
//! Invariants: an observed state only rises, by its owner, and an end is final; a desired state only
//! rises.

pub mod observe;
pub mod transition;

pub use observe::{desire, observe};
pub use transition::{Forbidden, Owner};
