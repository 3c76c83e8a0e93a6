//! A node of a swarm: this machine's engine, and its part in a swarm.
//!
//! Reading order: [`requests`] and [`addresses`] (what clients say), [`kept`], [`engine`],
//! [`transport`], [`manager`], [`member`], [`node`], [`backend`] (the ports), [`info`], [`words`].

pub mod addresses;
mod backend;
pub mod engine;
pub mod identity;
pub mod info;
pub mod kept;
pub mod manager;
pub mod member;
mod metrics;
pub mod node;
pub mod requests;
pub mod transport;
pub mod words;

pub use node::{Node, NodeOptions};
