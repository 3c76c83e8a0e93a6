//! The page that shows a pool or a swarm live: its files, and the HTTP that feeds it.
//!
//! - `server`: connections, TLS, the end in order; `guard`: who is let in; `route`: what is asked;
//! - `feed/`: what is shown, as one picture kept by one task for all who look (`picture`: how two
//!   looks differ; `journal`: numbered changes; `watcher`: the task; `stream`: one client's);
//! - `ask`: one object's document, as any client of the API gets it; `logs`: what one wrote, line by
//!   line; `events`: what happens, as the page shows it;
//! - `act/`: what a person may do from the page, where that is allowed at all (`writes`: who may);
//! - `files`: the page itself, embedded.
//!
//! A pool and a swarm are shown alike: each is an [`Overview`] beside the Docker API over it.
//!
//! Invariants: nothing here changes anything unless the page was served with leave to write; nobody is
//! looked after who does not look; a slow client costs one place in line and no memory that grows.

mod act;
mod answer;
mod ask;
mod events;
mod feed;
mod files;
mod guard;
mod logs;
mod route;
mod server;
mod sse;
mod writes;

use std::sync::Arc;

use swarm_backend::{Asked, Overview};

pub use guard::{Guard, Token};
pub use server::{Door, serve};

/// Whom the page asks.
#[derive(Clone)]
pub struct Backend {
    /// What is there.
    pub sight: Arc<dyn Overview>,
    /// The Docker API over the same.
    pub api: Arc<dyn Asked>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}
