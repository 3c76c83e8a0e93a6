//! Commands as one bash script, in one shell as a person has, and what each of them said.
//!
//! Marks in the output tell where a command begins and with which status it ended. What the shell knows at
//! the end (variables, its folder) is kept for the next script. The prelude has what a person does
//! without noticing: waiting for a program to serve, ending what goes on for ever.

use std::fmt::Write as _;

use anyhow::{Result, bail, ensure};

use super::shown::missing;

/// What every script begins with.
pub const PRELUDE: &str = include_str!("prelude.sh");

/// A command, and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its line on the page.
    pub line: usize,
    pub command: String,
    pub fails: bool,
    pub shown: Vec<String>,
}

/// The script of these commands.
pub fn render(steps: &[Expected]) -> String {
    let mut script = String::from(". \"$DOCS/prelude.sh\"\n");
    for (at, step) in steps.iter().enumerate() {
        // Writing into a string cannot fail.
        let _ = writeln!(
            script,
            "docs_begin {at}\n{}\ndocs_end $? {}",
            step.command,
            u8::from(step.fails)
        );
    }
    script.push_str("docs_keep\n");
    script
}

/// What one command did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Did {
    said: String,
    status: Option<i32>,
}

/// What each command did, by the marks in the output of a script.
fn read(output: &str) -> Vec<Did> {
    let mut all: Vec<Did> = Vec::new();
    for line in output.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        // A mark follows what was printed without a line's end.
        let (said, mark) = text.split_once('\u{1e}').map_or((line, None), |(a, b)| (a, Some(b)));
        if let Some(did) = all.last_mut() {
            did.said.push_str(&said.replace('\r', ""));
        }
        match mark.map(|mark| (mark.chars().next(), &mark[1..])) {
            Some((Some('b'), _)) => all.push(Did::default()),
            Some((Some('e'), status)) => {
                if let Some(did) = all.last_mut() {
                    did.status = status.parse().ok();
                }
            }
            _ => {}
        }
    }
    all
}

/// Whether all did what is expected of them, by the output of their script.
pub fn judge(page: &str, steps: &[Expected], output: &str) -> Result<()> {
    let all = read(output);
    for (at, step) in steps.iter().enumerate() {
        let place = format!("{page}:{}: `{}`", step.line, step.command);
        let Some(did) = all.get(at) else {
            bail!("{place}: was not reached; the output:\n{output}");
        };
        match did.status {
            None => {
                bail!("{place}: did not end in time, or ended the shell; it said:\n{}", did.said)
            }
            Some(0) => ensure!(!step.fails, "{place}: did not fail; it said:\n{}", did.said),
            Some(status) => {
                ensure!(step.fails, "{place}: failed with {status}; it said:\n{}", did.said);
            }
        }
        if let Some(word) = missing(&step.shown, &did.said) {
            bail!(
                "{place}: the page shows {word:?} where it did not say so; it said:\n{}",
                did.said
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(line: usize, fails: bool, shown: &str) -> Expected {
        let shown = shown.lines().map(str::to_owned).collect();
        Expected { line, command: "c".into(), fails, shown }
    }

    #[test]
    fn each_command_has_its_output_and_its_status() {
        let output = "before\n\u{1e}b0\nout\r\nmore\u{1e}e0\n\u{1e}b1\n\u{1e}e3\n";
        let all = read(output);
        assert_eq!((all[0].said.as_str(), all[0].status), ("out\nmore", Some(0)));
        assert_eq!((all[1].said.as_str(), all[1].status), ("", Some(3)));
    }

    #[test]
    fn a_judgement_names_the_line() {
        let output = "\u{1e}b0\nold words\n\u{1e}e0\n\u{1e}b1\nError\n\u{1e}e1\n";
        let good = [expected(3, false, "words"), expected(4, true, "Error")];
        judge("a.md", &good, output).unwrap();
        for (steps, says) in [
            (vec![expected(3, true, "")], "a.md:3: `c`: did not fail"),
            (vec![expected(3, false, "new words")], "\"new\""),
            (vec![expected(3, false, ""), expected(4, false, "")], "a.md:4: `c`: failed with 1"),
            (
                vec![good[0].clone(), good[1].clone(), expected(5, false, "")],
                "a.md:5: `c`: was not",
            ),
        ] {
            let error = judge("a.md", &steps, output).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = judge("a.md", &good, "\u{1e}b0\nwords\n").unwrap_err().to_string();
        assert!(error.contains("did not end"), "{error}");
    }
}
