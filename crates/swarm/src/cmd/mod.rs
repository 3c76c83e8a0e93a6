//! One file per command; each wires what its flags ask for and reports how it went.

pub mod backup;
pub mod bundle;
pub mod completion;
pub mod create;
pub mod daemon;
pub mod dial;
pub mod discovery;
pub mod doctor;
pub mod down;
pub mod join;
pub mod list;
pub mod machines;
pub mod man;
pub mod manage;
pub mod manager;
pub mod node;
pub mod passphrase;
pub mod proxy;
pub mod rebalance;
pub mod registrator;
pub mod restore;
pub mod service;
pub mod status;
pub mod top;
pub mod up;
pub mod verdict;
