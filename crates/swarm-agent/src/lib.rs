//! What every node of a swarm does: it hears from the leader which tasks it is to run, runs them as
//! containers of its own stock engine, and says what became of them.
//!
//! Reading order: [`convert`] with [`template`] (pure), [`executor`] with [`files`], [`report`],
//! [`session`], `logs`, `tunnels` (to its engine), and [`Agent`], which is all of it; `left` (where none can be started).
//!
//! Invariants: a container that runs is never stopped or started anew because this program or the
//! engine was restarted, or because no manager answers; only containers with this swarm's label are
//! touched; nothing goes before a whole assignment was heard; secrets are only ever in memory.

mod agent;
pub mod convert;
pub mod executor;
pub mod files;
mod left;
mod logs;
pub mod report;
pub mod session;
pub mod template;
mod tunnels;

pub use agent::{Agent, AgentError, AgentOptions};
pub use left::remove_tasks;
pub use session::dial::Dial;
