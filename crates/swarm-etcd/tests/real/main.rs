//! The adapter over real etcd servers: the conformance test, and every fault that a store can be
//! in. Each test starts a server or cluster of its own; without `etcd` in the PATH all of them fail.

// Functions of the tests fail as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conforming;
mod doubt;
mod loss;
mod refusals;
mod rig;
mod traffic;
mod watching;
