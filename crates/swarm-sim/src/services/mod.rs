//! Swarm mode in one thread on virtual time: a store, the real planners, and agents that fail in every
//! way, from one seed.
//!
//! Reading order: [`store`], [`agent`], [`cluster`] (all of it), [`manager`] (the loops), [`scene`]
//! (services and what people do to them), [`even`], [`faults`], [`check`], [`round`].
//!
//! What it shows is only as good as what it models. The store is one and loses nothing; a manager's
//! writes are whole plans; assignments and reports are looked at, not sent, so they are never late by
//! themselves, but a cut link and a stalled manager make them so. Managers' and nodes' clocks differ.

pub mod agent;
pub mod bug;
pub mod check;
pub mod cluster;
pub mod even;
pub mod faults;
pub mod manager;
pub mod round;
pub mod scene;
pub mod store;

#[cfg(test)]
mod tests;
