//! Prometheus's checker for the tests of alerts and dashboard, from the machine's own Debian suite.
//! Its package would start a server where it is installed, so it is unpacked below `target/` only.

use anyhow::Result;
use swarm_testkit::promtool;

use crate::suite::{self, Package, Suite};

const PROMETHEUS: Package = ("prometheus", None);

/// Fetches it unless it is there.
pub fn fetch() -> Result<()> {
    if promtool::program().is_ok() {
        return Ok(());
    }
    let suite = suite::codename()?;
    Suite { name: &suite, packages: &[PROMETHEUS], root: &promtool::root() }.fetch()?;
    promtool::program().map(drop)
}
