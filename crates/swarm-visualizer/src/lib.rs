//! The page that shows a pool live: its files, and the read-only HTTP that feeds it.
//!
//! - `server`: connections, TLS, the end in order; `guard`: who is let in; `route`: what is asked;
//! - `feed/`: what is shown, as one picture kept by one task for all who look (`picture`: how two
//!   looks differ; `journal`: numbered changes; `watcher`: the task; `stream`: one client's);
//! - `logs`: a container's output, line by line; `events`: the pool's events as the page shows them;
//! - `files`: the page itself, embedded.
//!
//! Invariants: nothing here changes anything in the pool; nobody is looked after who does not look;
//! a slow client costs one place in line and no memory that grows.

mod answer;
mod events;
mod feed;
mod files;
mod guard;
mod logs;
mod route;
mod server;
mod sse;

use std::sync::Arc;

use swarm_backend::{Containers, Overview, System};

pub use guard::{Guard, Token};
pub use server::{Door, serve};

/// What the page needs behind it.
pub trait Shown: Overview + Containers + System + 'static {}
impl<T: Overview + Containers + System + 'static> Shown for T {}

/// Whom the page asks.
pub type Backend = Arc<dyn Shown>;
