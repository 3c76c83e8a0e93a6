//! Classic Swarm's flags were read by Go's `flag` package, which takes one dash or two
//! for any name. Old scripts rely on it (`-experimental`, `-cluster-opt x=y`, `--H tcp://…`);
//! this rewrites such arguments to what clap reads, and leaves all others alone.
//!
//! Invariant: only an argument that spells a known flag in full is rewritten, and nothing
//! after `--` is.

use std::collections::HashSet;
use std::ffi::OsString;

use clap::Command;

/// Rewrites `-name[=value]` to `--name[=value]` and `--x[=value]` to `-x[=value]` for the
/// flags of `command` and its subcommands.
pub fn normalize(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut names = Names::default();
    names.collect(command);
    let mut literal = false;
    arguments
        .into_iter()
        .map(|argument| {
            literal |= argument == "--";
            match argument.to_str() {
                Some(text) if !literal => names.rewrite(text).map_or(argument, OsString::from),
                _ => argument,
            }
        })
        .collect()
}

#[derive(Default)]
struct Names {
    long: HashSet<String>,
    short: HashSet<char>,
}

impl Names {
    fn collect(&mut self, command: &Command) {
        // clap adds these two itself, later than we look.
        self.long.extend(["help".to_owned(), "version".to_owned()]);
        for argument in command.get_arguments() {
            self.short.extend(argument.get_short_and_visible_aliases().unwrap_or_default());
            for name in argument.get_long_and_visible_aliases().unwrap_or_default() {
                self.long.insert(name.to_owned());
            }
        }
        for subcommand in command.get_subcommands() {
            self.collect(subcommand);
        }
    }

    fn rewrite(&self, argument: &str) -> Option<String> {
        let name_of = |rest: &str| rest.split('=').next().unwrap_or_default().to_owned();
        if let Some(rest) = argument.strip_prefix("--") {
            let name = name_of(rest);
            let mut letters = name.chars();
            let letter = letters.next()?;
            (letters.next().is_none() && self.short.contains(&letter)).then(|| format!("-{rest}"))
        } else {
            let rest = argument.strip_prefix('-')?;
            self.long.contains(&name_of(rest)).then(|| format!("--{rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn normalized(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from);
        let words = normalize(&Cli::command(), arguments);
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_dash_or_two_name_the_same_flag() {
        let table = [
            ("swarm -experimental manage x:1", "swarm --experimental manage x:1"),
            ("swarm -debug -l info m", "swarm --debug -l info m"),
            (
                "swarm m -cluster-opt swarm.overcommit=1 -tls=true",
                "swarm m --cluster-opt swarm.overcommit=1 --tls=true",
            ),
            ("swarm m --H tcp://:1 --f=health", "swarm m -H tcp://:1 -f=health"),
            ("swarm m -cors -c swarm", "swarm m --cors -c swarm"),
            ("swarm j -addr a:1", "swarm j --addr a:1"),
            ("swarm -version", "swarm --version"),
            ("swarm m -help", "swarm m --help"),
        ];
        for (line, expected) in table {
            assert_eq!(normalized(line), expected);
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        for line in [
            "swarm m -H tcp://:1 --host unix:///x",
            "swarm m --engine-refresh-min-interval -10s",
            "swarm m -fhealth -unknown --u",
            "swarm m - --",
            "swarm m -- -debug --H",
        ] {
            assert_eq!(normalized(line), line);
        }
    }
}
