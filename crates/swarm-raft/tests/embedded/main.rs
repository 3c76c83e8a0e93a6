//! The embedded store on real disks and real connections: what every store must do, and what becomes
//! of it when managers, their files or the ways between them fail.

#![allow(clippy::unwrap_used)] // A test's helpers may fail as its tests may.

mod busy;
mod cluster;
mod crash;
mod disk;
mod full;
mod joining;
mod large;
mod partitions;
mod pool;
mod processes;
mod single;
mod torture;
mod traffic;
