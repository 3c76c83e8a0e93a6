//! Clearing a lab away after a process that could not do it itself.
//!
//! A second process, the janitor, holds the reading end of a pipe. When the lab's owner ends, by
//! whatever cause, the kernel closes the other end and the janitor takes the lab down.
//! Invariant: an owner that took its lab down itself first dismisses the janitor.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Lab;

impl Lab {
    /// Ties the lab to this process's life. `janitor` must be a command that calls [`janitor`]
    /// with this lab's base and name.
    pub fn leash(&self, mut janitor: Command) -> Result<()> {
        let child = janitor
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C ends the owner; that is what the janitor is waiting for.
            .spawn()
            .with_context(|| "cannot start the janitor")?;
        *self.leash.lock() = Some(child);
        Ok(())
    }

    pub(super) fn slip_leash(&self) {
        if let Some(mut janitor) = self.leash.lock().take() {
            // It may have died before; then nothing is left to dismiss.
            let _ = janitor.kill();
            let _ = janitor.wait();
        }
    }
}

/// The janitor's whole work: waits for the end of standard input, then takes the lab down.
pub fn janitor(base: &Path, name: &str) -> Result<()> {
    let mut rest = [0; 64];
    while std::io::stdin().read(&mut rest).is_ok_and(|n| n > 0) {}
    Lab::attach(base, name)?.down()
}
