//! Running the machine's own tools, and waiting with a deadline.
//!
//! Invariants: a failed command's error carries its command line and what it said; no wait is
//! endless.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Between two looks at a condition that nothing announces.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a command to its end; anything but success is an error that says why.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", line(command)))?;
    check(command, output)
}

/// As [`run`], with `input` on its standard input.
pub fn feed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", line(command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends before it has read everything tells its reason by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    check(command, output)
}

fn check(command: &Command, output: Output) -> Result<Output> {
    if !output.status.success() {
        bail!("{}: {}: {}", line(command), output.status, told(&output));
    }
    Ok(output)
}

/// What a command said: its errors, or else its output.
pub fn told(output: &Output) -> String {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    String::from_utf8_lossy(said).trim().to_owned()
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Looks until `probe` has an answer; its error, or the deadline, ends the wait.
pub fn until<T>(
    limit: Duration,
    what: impl std::fmt::Display,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

/// Does `work` for every item at once and returns the first error.
pub fn each<T: Copy + Send + Sync>(
    items: &[T],
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| work(*item))).collect();
        let mut all = Ok(());
        for thread in threads {
            match thread.join() {
                Ok(done) => all = all.and(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

/// One word of a POSIX shell command.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_words() {
        let error =
            run(Command::new("sh").args(["-c", "echo gone wrong >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("gone wrong") && text.contains('3'));
    }

    #[test]
    fn quoted_words_survive_the_shell() {
        let word = r#"a 'b' "c" $HOME `d` \e"#;
        let output = run(Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(word))));
        assert_eq!(output.unwrap().stdout, word.as_bytes());
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let error = until(Duration::from_millis(50), "a miracle", || Ok(None::<()>)).unwrap_err();
        assert!(error.to_string().starts_with("a miracle"));
    }
}
