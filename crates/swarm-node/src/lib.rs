//! A node of a swarm: this machine's engine, and its part in a swarm.
//!
//! Reading order: [`requests`] and [`addresses`] (what clients say), [`kept`], [`engine`],
//! [`transport`], [`locked`], `plugins`, `pace`, [`manager`], [`member`], `removal`, [`node`], [`backend`] (the ports),
//! [`backup`], [`info`], [`words`]; [`cluster`] (all nodes as one engine).

pub mod addresses;
mod backend;
pub mod backup;
pub mod cluster;
pub mod engine;
pub mod identity;
pub mod info;
pub mod kept;
pub mod locked;
pub mod manager;
pub mod member;
mod metrics;
pub mod node;
mod pace;
mod plugins;
mod removal;
pub mod requests;
mod snapshots;
pub mod transport;
pub mod words;

pub use cluster::{Clients, Cluster};
pub use node::{Node, NodeOptions};
