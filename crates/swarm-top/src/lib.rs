//! What `swarm top` shows: a pool at a glance in the terminal, from a manager's answers to `GET
//! /info`, `/nodes`, `/containers/json` and `/events`.
//!
//! Nothing is asked and no terminal is opened here: whoever runs it hands over answers and keys, and
//! draws where it likes. In reading order: `sight` (what the answers say), `screen` (where the
//! reader is in it), `draw`.
//!
//! Invariant: any answer and any size of terminal can be shown; what an answer lacks is left out.

mod draw;
mod screen;
mod sight;

pub use draw::{draw, height, text};
pub use ratatui;
pub use screen::{Key, Next, Screen};
pub use sight::{Answers, Sight};
