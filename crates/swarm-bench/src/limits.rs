//! Open files: five thousand engines need tens of thousands of sockets.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Sockets of 5,000 engines: a listener, an event stream and a few requests each.
const WANTED: u64 = 131_072;

/// Raises the limit as far as allowed; children inherit it.
pub fn raise_open_files() {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    // Only root may pass the hard limit; others get what they have.
    if setrlimit(Resource::RLIMIT_NOFILE, WANTED.max(hard), WANTED.max(hard)).is_err() {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The limit as it stands.
pub fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}
