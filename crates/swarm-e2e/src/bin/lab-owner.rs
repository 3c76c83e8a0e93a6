//! Owns a lab and uses it until it is killed: the subject of the lab's own tests, which kill it
//! at any moment and look at what it leaves. Argument: the lab's name.

use anyhow::{Context as _, Result};
use swarm_e2e::{IMAGE, Lab, LabConfig};

fn main() -> Result<()> {
    let name = std::env::args().nth(1).context("usage: lab-owner NAME")?;
    let lab = Lab::open(LabConfig::named(name))?;
    lab.up(3)?;
    lab.image(IMAGE)?;
    loop {
        lab.sh(1, "docker run --rm busybox true")?;
    }
}
