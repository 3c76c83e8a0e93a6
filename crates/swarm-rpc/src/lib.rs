//! What the nodes of a swarm say to each other: `proto/swarm.proto`, and the code made from it.

/// Messages and services.
#[allow(clippy::pedantic, clippy::unwrap_used, missing_debug_implementations, missing_docs)] // Generated.
pub mod v1 {
    tonic::include_proto!("swarm.v1");
}
