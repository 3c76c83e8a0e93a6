//! Fault tests on real engines: seeded rounds in which engines, managers and the network fail while
//! clients work, and checkers over the history of events.
//!
//! - `plan`: what goes wrong in a round, chosen by a seed;
//! - `faults`: doing it; `clients`: who works meanwhile;
//! - `watch`: who looks at the engines; `gates`: who looks at what managers ask of them;
//! - `history`: what happened; `check`: what must hold;
//! - `round`: all of it together.
//!
//! The same rules hold on virtual time in `swarm-sim`, for thousands of rounds.

mod check;
mod clients;
mod faults;
mod gates;
mod history;
mod plan;
mod round;
mod watch;

pub use check::{Breach, Moves};
pub use history::{Entry, around};
pub use plan::Plan;
pub use round::{Outcome, lab, play};
