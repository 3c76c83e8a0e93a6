//! What test programs count.

use std::io::{BufRead as _, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl Count {
    pub fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
    }
}

/// Runs a test program, shows all it says, and adds up what it counted.
pub fn counted(command: Command) -> Result<Count> {
    let (count, status) = counting(command, &mut std::io::stdout().lock())?;
    if !status.success() {
        bail!("{} passed, {} failed ({status})", count.passed, count.failed.max(1));
    }
    Ok(count)
}

/// Runs a test program and writes to `out` what it says; how much it counted, and how it ended.
pub fn counting(mut command: Command, out: &mut impl Write) -> Result<(Count, ExitStatus)> {
    // Both streams through one pipe, so that nothing is shown out of order.
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    drop(command); // It holds the writing ends.
    let mut count = Count::default();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        out.flush()?;
        if let Some(more) = summary(&String::from_utf8_lossy(&line)) {
            count.add(more);
        }
        line.clear();
    }
    Ok((count, child.wait()?))
}

/// The numbers in a summary line of libtest or nextest. Nextest shows a failed test's own output,
/// and with it libtest's line for that one test, indented: those it has counted itself.
pub fn summary(line: &str) -> Option<Count> {
    let at_the_margin = line.starts_with("test result: ");
    let line = line.trim();
    let ours = at_the_margin
        || (line.starts_with("Summary [") && line.contains("tests run:"))
        || (line.starts_with("Summary [") && line.contains("test run:"));
    if !ours {
        return None;
    }
    let number = |word: &str| {
        let words: Vec<_> =
            line.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).collect();
        let at = words.iter().position(|w| *w == word)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    Some(Count {
        passed: number("passed").unwrap_or(0),
        failed: number("failed").unwrap_or(0) + number("timed").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_summaries_are_read() {
        let libtest = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; \
             finished in 0.05s";
        assert_eq!(summary(libtest), Some(Count { passed: 12, failed: 3 }));
        let nextest =
            "     Summary [   0.026s] 7 tests run: 6 passed (1 slow), 1 failed, 2 skipped";
        assert_eq!(summary(nextest), Some(Count { passed: 6, failed: 1 }));
        let one = "     Summary [   0.026s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(summary(one), Some(Count { passed: 1, failed: 0 }));
        assert_eq!(summary("test a::b ... ok"), None);
        let shown = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured;";
        assert_eq!(summary(shown), None, "what nextest shows of a failed test");
    }

    #[test]
    fn a_failing_program_is_an_error_with_its_numbers() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: FAILED. 2 passed; 1 failed;'; exit 101"]);
        let error = counted(command).unwrap_err().to_string();
        assert!(error.starts_with("2 passed, 1 failed"), "{error}");
    }
}
