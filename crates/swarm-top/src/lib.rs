//! What `swarm top` shows: a pool or a swarm at a glance in the terminal, from a manager's answers to `GET
//! /info`, `/nodes`, `/containers/json` and `/events`, and of a swarm `/services` and `/tasks`.
//!
//! Nothing is asked and no terminal is opened here: whoever runs it hands over answers and keys, and
//! draws where it likes. In reading order: `sight` and `swarm` (what the answers say), `screen` (where the
//! reader is in it), `draw`.
//!
//! Invariant: any answer and any size of terminal can be shown; what an answer lacks is left out.

mod draw;
mod screen;
mod sight;
mod swarm;

pub use draw::{draw, height, text};
pub use ratatui;
pub use screen::{Key, Next, Screen};
pub use sight::{Answers, Sight};
