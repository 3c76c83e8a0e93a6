//! Placement: which engine a new container goes to, as classic Docker Swarm (1.2.9) decides it, in
//! one pass over small summaries of the engines.
//!
//! Reading order: [`expr`] (the little language), [`node`] with [`ports`] and [`images`] (what is
//! known about an engine), [`request`] and [`extract`] (what is asked for), [`containers`] (the
//! one question that needs an index), [`filter`], [`strategy`], [`place()`](place::place), and
//! [`reservation`] (what is promised but not yet there).
//!
//! Leaves to the runtime: keeping summaries true, holding reservations, talking to engines.

pub mod containers;
pub mod cpu;
pub mod decision;
pub mod expr;
pub mod extract;
pub mod filter;
pub mod images;
pub mod node;
pub mod place;
pub mod ports;
pub mod request;
pub mod reservation;
pub mod strategy;

pub use place::place;
