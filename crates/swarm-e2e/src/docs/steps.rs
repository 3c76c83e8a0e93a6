//! A block's lines as the commands that a person gives one after the other, and what the block shows of
//! their output.
//!
//! In a block with prompts (`$ `) the lines behind them are commands, the others are output. In one
//! without, all lines are commands. A command goes on over lines until bash takes it for whole.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its line in the block, from 0.
    pub line: usize,
    pub command: String,
    /// What is shown of its output; nothing is no claim.
    pub shown: Vec<String>,
}

/// The commands of a block.
pub fn steps(lines: &[String]) -> Result<Vec<Step>> {
    let prompts = lines.iter().any(|line| line.starts_with("$ "));
    let mut steps: Vec<Step> = Vec::new();
    let mut open: Option<Step> = None;
    for (at, line) in lines.iter().enumerate() {
        let mut step = match open.take() {
            Some(mut step) => {
                step.command.push('\n');
                // A shell's own second prompt is shown by some.
                step.command.push_str(if prompts {
                    line.strip_prefix("> ").unwrap_or(line)
                } else {
                    line
                });
                step
            }
            None => match line.strip_prefix("$ ") {
                Some(command) => Step { line: at, command: command.to_owned(), shown: Vec::new() },
                None if prompts => {
                    let step = steps.last_mut().context("output before the first command")?;
                    step.shown.push(line.clone());
                    continue;
                }
                None if line.trim().is_empty() || line.trim_start().starts_with('#') => continue,
                None => Step { line: at, command: line.clone(), shown: Vec::new() },
            },
        };
        if whole(&step.command)? {
            step.command = foreground(&step.command);
            steps.push(step);
        } else {
            open = Some(step);
        }
    }
    match open {
        Some(step) => bail!("no shell takes this command: {}", step.command),
        None => Ok(steps),
    }
}

/// Would bash run it as it stands, or wait for more lines?
fn whole(command: &str) -> Result<bool> {
    if command.ends_with('\\') {
        return Ok(false);
    }
    let output = Command::new("bash")
        .args(["-n", "-c", command])
        .stdin(Stdio::null())
        .output()
        .context("cannot run bash")?;
    // Of a document that goes on (`<<EOF`) it only warns.
    Ok(output.status.success() && output.stderr.is_empty())
}

/// A program of ours that a person leaves in the background: the prelude does that itself, because it
/// waits until the program serves, as a person would before the next command.
fn foreground(command: &str) -> String {
    let bare = command.split(" #").next().unwrap_or_default().trim_end();
    let ours = ["swarm ", "cargo run "].iter().any(|start| bare.starts_with(start));
    match bare.strip_suffix('&') {
        Some(bare) if ours => bare.trim_end().to_owned(),
        _ => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String, String)> {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let steps = steps(&lines).unwrap().into_iter();
        steps.map(|step| (step.line, step.command, step.shown.join("|"))).collect()
    }

    fn step(line: usize, command: &str, shown: &str) -> (usize, String, String) {
        (line, command.into(), shown.into())
    }

    #[test]
    fn lines_are_commands_until_bash_has_enough() {
        assert_eq!(
            found("a 1 \\\n  2   # why\n\n# a remark\nb <<E\nx\nE\nfor i in 1; do\n  c\ndone\n"),
            [
                step(0, "a 1 \\\n  2   # why", ""),
                step(4, "b <<E\nx\nE", ""),
                step(7, "for i in 1; do\n  c\ndone", ""),
            ]
        );
    }

    #[test]
    fn with_prompts_other_lines_are_output() {
        assert_eq!(
            found("$ a 'x\n> y'\nout 1\n\nout 2\n$ swarm daemon &   # stays\n"),
            [step(0, "a 'x\ny'", "out 1||out 2"), step(5, "swarm daemon", "")]
        );
    }

    #[test]
    fn what_no_shell_takes_is_told() {
        assert!(steps(&["a 'b".to_owned()]).is_err());
        assert!(steps(&["out".to_owned(), "$ a".to_owned()]).is_err());
    }
}
