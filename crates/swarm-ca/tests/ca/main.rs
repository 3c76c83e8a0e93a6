//! Identities as a whole: issued, kept, rotated, shown in real handshakes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cfssl;
mod cluster;
mod disk;
mod external;
mod golden;
mod handshake;
mod rotation;
mod signing_server;
