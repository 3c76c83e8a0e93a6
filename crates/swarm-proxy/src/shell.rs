//! The user's commands: run by the shell, with the configuration's path in `$CONFIG`, within a time, and
//! with the end of what they said kept for the log.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// Checkers look names up, which takes their resolver's time.
const PATIENCE: Duration = Duration::from_secs(30);
/// What one that has ended may still have left in its pipes.
const REST: Duration = Duration::from_millis(300);
/// The end of what was said that is kept.
const LONGEST: usize = 2048;

/// A command that did not do what it was to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{command}` {reason}")]
pub struct Failed {
    /// As it was given.
    pub command: String,
    /// What happened, and the last it said.
    pub reason: String,
}

/// The environment's name for the configuration's path.
pub const CONFIG: &str = "CONFIG";

/// Runs a command to its end.
pub async fn shell(command: &str, config: &Path) -> Result<(), Failed> {
    let failed = |reason: String| Failed { command: command.to_owned(), reason };
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env(CONFIG, config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let said = Arc::new(Mutex::new(Vec::new()));
    let out = child.stdout.take().map(|pipe| tokio::spawn(listen(pipe, Arc::clone(&said))));
    let error = child.stderr.take().map(|pipe| tokio::spawn(listen(pipe, Arc::clone(&said))));
    let ended = timeout(PATIENCE, child.wait()).await;
    if let (Err(_), Some(group)) = (&ended, group) {
        // It may have ended in this very moment, which is as good.
        let _ = killpg(group, Signal::SIGKILL);
    }
    // What it has left running may hold the pipes for ever.
    for mut listening in [out, error].into_iter().flatten() {
        if timeout(REST, &mut listening).await.is_err() {
            listening.abort();
        }
    }
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let said = last_words(&said);
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(format!("failed ({status}){said}"))),
        Ok(Err(error)) => Err(failed(format!("cannot be waited for: {error}"))),
        Err(_) => Err(failed(format!("did not end within {} s{said}", PATIENCE.as_secs()))),
    }
}

async fn listen(mut pipe: impl AsyncRead + Unpin, said: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0_u8; 1024];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&chunk[..count]);
        if said.len() > 2 * LONGEST {
            let before = said.len() - LONGEST;
            said.drain(..before);
        }
    }
}

/// In one line; control characters would act on a reader's terminal.
fn last_words(said: &[u8]) -> String {
    let from = said.len().saturating_sub(LONGEST);
    let text = String::from_utf8_lossy(&said[from..]);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text: String = lines.join(" | ").chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &str) -> String {
        match shell(command, Path::new("/a b")).await {
            Ok(()) => "done".to_owned(),
            Err(failed) => failed.to_string(),
        }
    }

    #[tokio::test]
    async fn a_command_knows_the_path_and_its_words_are_kept() {
        assert_eq!(run("test \"$CONFIG\" = '/a b'").await, "done");
        let found = run("echo one; echo two >&2; exit 3").await;
        assert!(found.contains("failed (exit status: 3): "), "{found}");
        assert!(found.contains("one") && found.contains("two"), "{found}");
        let found = run("no-such-program -t").await;
        assert!(found.contains("127") && found.contains("not found"), "{found}");
        let long = run("yes | head -c 100000; printf '\\033[2Jend'; exit 1").await;
        assert!(long.ends_with("[2Jend") && long.len() < 3 * LONGEST, "{} bytes", long.len());
    }

    #[tokio::test]
    async fn one_that_leaves_something_running_is_done_when_it_ends() {
        let begun = tokio::time::Instant::now();
        assert_eq!(run("sleep 20 & exit 0").await, "done");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
