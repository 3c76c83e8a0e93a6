//! The newer engine and clients, from Debian's suite sid, unpacked below `target/` by `suite`.

use anyhow::Result;
use swarm_testkit::lab::Newer;

use crate::suite::{Package, Suite};

/// An engine with its containerd; a client with Compose v2 and BuildKit.
const PACKAGES: [Package; 5] = [
    ("docker.io", None),
    ("containerd", None),
    ("docker-cli", None),
    ("docker-compose", None),
    ("docker-buildx", None),
];

/// Fetches the packages unless they are there.
pub fn fetch() -> Result<()> {
    if Newer::find().is_ok() {
        return Ok(());
    }
    Suite { name: "sid", packages: &PACKAGES, root: &Newer::root() }.fetch()?;
    Newer::find().map(drop)
}
