//! The adapter against real ZooKeeper servers, and against what is none. One program, so that it is
//! linked once.

// clippy's leave for tests does not reach what several tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod conformance;
mod ensemble;
mod faults;
mod impostors;
mod leases;
mod limits;
mod opening;
mod traffic;
