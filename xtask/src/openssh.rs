//! OpenSSH's server for the tests of `swarm up`, from the machine's own Debian suite. Its package would start
//! a server where it is installed, so it is unpacked below `target/` only.

use anyhow::Result;
use swarm_testkit::openssh;

use crate::suite::{self, Package, Suite};

const PACKAGES: [Package; 2] = [("openssh-server", None), ("libwrap0", None)];

/// Fetches it unless it is there.
pub fn fetch() -> Result<()> {
    if openssh::files().is_ok() {
        return Ok(());
    }
    let suite = suite::codename()?;
    Suite { name: &suite, packages: &PACKAGES, root: &openssh::root() }.fetch()?;
    openssh::files().map(drop)
}
