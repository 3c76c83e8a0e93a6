//! Consul for the tests of its adapter, from Debian's suite bullseye, the last one to have it. A
//! single program without libraries of its own, it runs on later suites as it is.

use anyhow::Result;
use swarm_testkit::stores::consul;

use crate::suite::{Package, Pin, Suite};

const CONSUL: Package = (
    "consul",
    Some(Pin {
        version: "1.8.7+dfsg1-2+b3",
        hashes: &[
            ("amd64", "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9"),
            ("arm64", "7318cfa77a7ba6f71dd096e44353279de246ffc6561216ace42353685dcf8255"),
        ],
    }),
);

/// Fetches it unless it is there.
pub fn fetch() -> Result<()> {
    if consul::program().is_ok() {
        return Ok(());
    }
    Suite { name: "bullseye", packages: &[CONSUL], root: &consul::root() }.fetch()?;
    consul::program().map(drop)
}
