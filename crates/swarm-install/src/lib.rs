//! `swarm up` and `swarm down`: machines with an engine become the nodes of a swarm, or a pool, over SSH, and are
//! what they were before.
//!
//! The pure part does no I/O: `target` (how a machine is written), `facts` (what its scripts said),
//! `manifest` (what was put on a machine), `standing` (its part in a swarm), `check` (what stands in the
//! way), `plan` (the steps, and the sentence of each). The rest acts: `program` (reads the binary that is
//! to be there), `certs` (of an endpoint on TCP: draws keys, keeps them in a folder), `ssh` (the system's own, one connection per machine), `script` (what runs over there),
//! `remote` (one machine), `asked` (its daemon's API, through `swarm dial-stdio`), `look` (all machines
//! at once), `apply` (the steps).
//!
//! Invariants: nothing is changed before every machine was looked at and nothing stands in the way; a dry
//! run prints the very steps that would be done; a join token or key is in no argument and no text of an error, and
//! in no file but root's own of a machine that needs it; what is put on a machine is in its manifest before it is there.

mod apply;
mod asked;
mod certs;
mod check;
mod facts;
mod look;
mod manifest;
mod plan;
mod program;
mod remote;
mod script;
mod ssh;
mod standing;
mod target;

pub use apply::{Applied, Goods, Watcher, apply};
pub use certs::{Authority, CertError};
pub use check::Refusal;
pub use look::{Look, Pool, Seen, Swarm, look};
pub use manifest::{Manifest, Part};
pub use plan::{
    Action, DownWish, EndpointWish, Plan, Step, USUAL_PORT, UpWish, name, part, place, plan_down,
    plan_pool_up, plan_up,
};
pub use program::{BadProgram, Program};
pub use script::{ENDPOINT_FILES, quote};
pub use ssh::{BadCommand, Ssh, SshError};
pub use standing::{Listed, Member, Standing};
pub use target::{BadTarget, Target};
