//! The process's own limits. A manager holds a few connections per engine and one or two per
//! client: the usual soft limit of 1,024 open files is short for a pool of a few hundred.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one. Where it cannot, the manager runs
/// all the same and the log says so.
pub fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
