//! What the workspace's tests and benchmarks stand on. Development only: nothing that
//! ships depends on it.

pub mod collector;
pub mod exposition;
pub mod fleet;
pub mod forms;
pub mod lab;
pub mod leader;
pub mod linear;
pub mod openssh;
pub mod promtool;
pub mod stores;
