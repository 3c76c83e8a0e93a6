//! A whole pool in one thread on virtual time: managers that run the real planner over a store and
//! engines that fail in every way, and checkers that watch.
//!
//! Reading order: [`exec`] (time, tasks, pauses), [`store`], [`engine`], [`world`] (the network),
//! [`manager`], [`client`], [`faults`], [`check`], [`round`].
//!
//! What it shows is only as good as what it models. It does not model the time between a manager's
//! look at its fence and the packet's leaving; a packet that arrives up to [`world::LATEST`] late
//! stands for it. Engines are never restored from a backup, and the store loses nothing.

pub mod bug;
pub mod check;
pub mod client;
pub mod engine;
pub mod exec;
pub mod faults;
pub mod manager;
pub mod round;
pub mod services;
pub mod store;
pub mod world;

#[cfg(test)]
mod tests;
