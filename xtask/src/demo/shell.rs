//! The plain `docker` client, run before the person's eyes.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::told;

/// What a command did.
pub struct Ran {
    /// Whether it succeeded.
    pub ok: bool,
    line: String,
}

impl Ran {
    /// It had to succeed.
    pub fn good(self) -> Result<()> {
        if !self.ok {
            bail!("`{}` failed", self.line);
        }
        Ok(())
    }
}

/// Says what comes next.
pub fn say(text: &str) {
    println!("\n{text}");
}

/// Runs the plain client, showing the command and what it printed.
pub fn docker(host: &str, words: &[&str]) -> Result<Ran> {
    let shown: Vec<_> = words
        .iter()
        .map(|w| {
            if w.contains([' ', '{', '\t']) {
                format!("'{}'", w.replace('\t', "\\t"))
            } else {
                (*w).into()
            }
        })
        .collect();
    let line = format!("docker {}", shown.join(" "));
    println!("  $ {line}");
    let output = client(host, words).output().context("cannot run docker")?;
    let said = if output.status.success() {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    } else {
        told(&output)
    };
    said.lines().for_each(|line| println!("    {line}"));
    Ok(Ran { ok: output.status.success(), line })
}

/// The plain client, with nothing of the person's own settings.
pub fn client(host: &str, words: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(words).env("DOCKER_HOST", host);
    command.env_remove("DOCKER_CONTEXT").env_remove("DOCKER_TLS_VERIFY");
    command
}
