//! What is wrong, and what to do about it: the judgement behind `swarm status`, `swarm doctor` and
//! `swarm support-bundle`. Pure: whoever runs it has looked, and hands over what was seen.
//!
//! In reading order: `verdict`; `pool` (a manager's answers), `swarm` (a swarm's) with `clocks` and `ways`, `engine`, `host` (the kernel),
//! `certificate`, each with what was seen and how it is judged; `redact` (what is passed on).

mod certificate;
mod clocks;
mod engine;
mod host;
mod pool;
pub mod redact;
mod swarm;
mod verdict;
mod ways;

pub use certificate::Certificate;
pub use engine::{Engine, Failure, Space};
pub use host::{Host, way_out};
pub use pool::{Reached, pool, reach, reached};
pub use swarm::{SwarmSeen, may_be_lost, swarm};
pub use verdict::{Finding, Level, Verdict};
pub use ways::{reach_managers, ways};
