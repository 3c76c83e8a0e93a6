//! How a verdict is said, and the exit codes: those that monitoring systems know from Nagios plugins.

use swarm_doctor::{Level, Verdict};

use super::node::print;

/// What was looked at is not well; what there was to say has been printed.
#[derive(Debug, thiserror::Error)]
#[error("not well")]
pub struct Unwell(pub u8);

/// Says it; what is not well is an error with its exit code.
pub fn say(verdict: &Verdict, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        print(&format!("{:#}\n", verdict.json()))?;
    } else {
        print(&verdict.words())?;
    }
    match verdict.level() {
        Level::Healthy => Ok(()),
        level => Err(Unwell(level as u8).into()),
    }
}
