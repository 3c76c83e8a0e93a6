//! What a comment before a block says: what is done with the block, on which machines, after what.
//!
//! The first line is `WORD: options`, all lines after it are commands for a shell, or, with `@` before
//! them, things that happen to machines. The words and options are listed in CONTRIBUTING.md.

use anyhow::{Context as _, Result, bail};

/// What is done with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its commands run; what it shows of their output is compared.
    Run,
    /// It is the content of that file; the comment's commands read it.
    File(String),
    /// It is what the comment's last command prints.
    Shown,
    /// Commands of the workspace (`cargo xtask …`): they and their flags exist.
    Cargo,
    /// How a command is called: its `--help` says so.
    Usage,
    /// Nothing, for this reason.
    Not(String),
}

/// What stands on the three machines before a block runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// An engine on each.
    Machine,
    /// And a pool over them, by a manager on node-1.
    Pool,
    /// And a swarm of them, whose manager is node-1.
    Swarm,
}

/// What a block needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub what: What,
    pub stage: Stage,
    /// Not after the block before it, but on machines where nothing was done.
    pub fresh: bool,
    /// The number of the machine where its commands are given.
    pub host: u8,
    /// Its last command fails.
    pub fails: bool,
    /// Words of the block that stand for others.
    pub instead: Vec<(String, String)>,
    /// What happens before it.
    pub given: Vec<String>,
}

impl Need {
    /// Reads a comment's text; none where it is a comment of another kind.
    pub fn parse(comment: &str) -> Result<Option<Self>> {
        let mut lines = comment.trim().lines();
        let head = lines.next().unwrap_or_default().trim();
        let (word, rest) = head.split_once(':').unwrap_or((head, ""));
        let rest = rest.trim();
        let given = lines.map(str::to_owned).filter(|line| !line.trim().is_empty()).collect();
        let mut need = Self {
            what: What::Run,
            stage: Stage::Machine,
            fresh: false,
            host: 1,
            fails: false,
            instead: Vec::new(),
            given,
        };
        let mut options = rest;
        match word {
            "run" => {}
            "shown" => need.what = What::Shown,
            "file" => {
                let (path, more) = rest.split_once(' ').unwrap_or((rest, ""));
                if path.is_empty() {
                    bail!("`file:` needs the path of the file");
                }
                need.what = What::File(path.to_owned());
                options = more;
            }
            "cargo" => need.what = What::Cargo,
            "usage" => need.what = What::Usage,
            "not run" => {
                if rest.len() < 10 {
                    bail!("`not run:` needs a reason");
                }
                need.what = What::Not(rest.to_owned());
                return Ok(Some(need));
            }
            _ => return Ok(None),
        }
        for option in options.split_whitespace() {
            need.option(option)?;
        }
        if need.what == What::Shown && need.given.is_empty() {
            bail!("`shown:` needs the command that prints it, on a line of its own");
        }
        Ok(Some(need))
    }

    fn option(&mut self, option: &str) -> Result<()> {
        match option.split_once('=') {
            Some(("on", machine)) => {
                let number = machine.strip_prefix("node-").and_then(|number| number.parse().ok());
                self.host = number
                    .filter(|number| (1..=3).contains(number))
                    .with_context(|| format!("`{option}`: machines are node-1, node-2, node-3"))?;
            }
            Some((from, to)) => self.instead.push((from.to_owned(), to.to_owned())),
            None => match option {
                "machine" => self.stage = Stage::Machine,
                "pool" => self.stage = Stage::Pool,
                "swarm" => self.stage = Stage::Swarm,
                "fresh" => self.fresh = true,
                "fails" => self.fails = true,
                _ => bail!("`{option}`: not an option that CONTRIBUTING.md lists"),
            },
        }
        Ok(())
    }

    /// Whether it needs machines at all.
    pub fn needs_machines(&self) -> bool {
        matches!(self.what, What::Run | What::File(_) | What::Shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_options_and_commands_are_read() {
        let need = Need::parse("run: pool fresh on=node-2 HOST=10.0.0.11\n@power-off node-3\n\nls")
            .unwrap()
            .unwrap();
        assert_eq!((need.what, need.stage, need.host), (What::Run, Stage::Pool, 2));
        assert!(need.fresh && !need.fails);
        assert_eq!(need.instead, [("HOST".to_owned(), "10.0.0.11".to_owned())]);
        assert_eq!(need.given, ["@power-off node-3", "ls"]);
        let file = Need::parse("file: /etc/x swarm\ncat /etc/x").unwrap().unwrap();
        assert_eq!((file.what, file.stage), (What::File("/etc/x".to_owned()), Stage::Swarm));
        let shown = Need::parse("shown: pool fails\nswarm status").unwrap().unwrap();
        assert!(shown.what == What::Shown && shown.fails);
        assert_eq!(Need::parse("cargo").unwrap().unwrap().what, What::Cargo);
        assert!(Need::parse("a person's remark: here").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for comment in
            ["run: pol", "run: on=node-4", "file:", "shown: pool", "not run:", "not run: no"]
        {
            assert!(Need::parse(comment).is_err(), "{comment}");
        }
    }
}
